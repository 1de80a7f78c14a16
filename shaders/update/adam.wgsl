// Adam with the weight decay as a part of the gradient.

fn element(i: u32) {
    let value = w[i];
    look_before(value, WEIGHT);
    if is_skipped() {
        look_at_moments(i);
        tell();
        return;
    }
    let next = value - adam_step(i, fma(weight_decay(), value, gradient(i)));
    w[i] = next;
    look_after(next, WEIGHT);
    tell();
}
