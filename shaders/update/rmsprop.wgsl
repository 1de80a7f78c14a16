// g += wd w; v = alpha v + (1 - alpha) g^2; g = g / (sqrt(v) + eps); with momentum m = momentum m + g, g = m;
// w -= lr g. PyTorch's RMSprop.

@group(0) @binding(3u + FACTORS) var<storage, read_write> v: array<f32>;

// Binding of the velocity, if there is one.
const MOMENTUM = 4u + FACTORS;

fn element(i: u32) {
    let value = w[i];
    let before = v[i];
    look_before(value, WEIGHT);
    look_before(before, STATE);
    if is_skipped() {
        look_at_velocity(i);
        tell();
        return;
    }
    let d = fma(weight_decay(), value, gradient(i));
    let mean_square = fma(hyper.beta2, before, (1.0 - hyper.beta2) * d * d);
    v[i] = mean_square;
    look_after(mean_square, STATE);
    let next = fma(-learning_rate(), direction(i, d / (sqrt(mean_square) + hyper.eps)), value);
    w[i] = next;
    look_after(next, WEIGHT);
    tell();
}
