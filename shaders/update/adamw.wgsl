// Adam with the weight decay apart from the gradient (Loshchilov & Hutter 2019).

fn element(i: u32) {
    let value = w[i];
    look_before(value, WEIGHT);
    if is_skipped() {
        look_at_moments(i);
        tell();
        return;
    }
    let decayed = value * (1.0 - learning_rate() * weight_decay());
    let next = decayed - adam_step(i, gradient(i));
    w[i] = next;
    look_after(next, WEIGHT);
    tell();
}
