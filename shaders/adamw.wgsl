// Adam with the weight decay apart from the gradient (Loshchilov & Hutter 2019).

fn element(i: u32) {
    if is_skipped() {
        return;
    }
    let decayed = w[i] * (1.0 - learning_rate() * weight_decay());
    w[i] = decayed - adam_step(i, gradient(i));
}
