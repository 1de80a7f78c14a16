// g += wd w; with momentum v = momentum v + g, g = v; w -= lr g. PyTorch's SGD.

// Binding of the velocity, if there is one.
const MOMENTUM = 3u + FACTORS;

fn element(i: u32) {
    let value = w[i];
    look_before(value, WEIGHT);
    if is_skipped() {
        look_at_velocity(i);
        tell();
        return;
    }
    let d = fma(weight_decay(), value, gradient(i));
    let next = fma(-learning_rate(), direction(i, d), value);
    w[i] = next;
    look_after(next, WEIGHT);
    tell();
}
