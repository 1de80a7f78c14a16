// g += wd w; v = alpha v + (1 - alpha) g^2; g = g / (sqrt(v) + eps); with momentum m = momentum m + g, g = m;
// w -= lr g. PyTorch's RMSprop.

@group(0) @binding(3u + FACTORS) var<storage, read_write> v: array<f32>;

// Binding of the velocity, if there is one.
const MOMENTUM = 4u + FACTORS;

fn element(i: u32) {
    if is_skipped() {
        return;
    }
    let d = fma(weight_decay(), w[i], gradient(i));
    let mean_square = fma(hyper.beta2, v[i], (1.0 - hyper.beta2) * d * d);
    v[i] = mean_square;
    w[i] = fma(-learning_rate(), direction(i, d / (sqrt(mean_square) + hyper.eps)), w[i]);
}
