// g += wd w; with momentum v = momentum v + g, g = v; w -= lr g. PyTorch's SGD.

// Binding of the velocity, if there is one.
const MOMENTUM = 3u + FACTORS;

fn element(i: u32) {
    if is_skipped() {
        return;
    }
    let d = fma(weight_decay(), w[i], gradient(i));
    w[i] = fma(-learning_rate(), direction(i, d), w[i]);
}
