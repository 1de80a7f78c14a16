// Adam with the weight decay as a part of the gradient.

fn element(i: u32) {
    if is_skipped() {
        return;
    }
    let value = w[i];
    w[i] = value - adam_step(i, fma(weight_decay(), value, gradient(i)));
}
