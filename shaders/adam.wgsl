// Adam with the weight decay as a part of the gradient.

fn element(i: u32) {
    let value = w[i];
    w[i] = value - adam_step(i, fma(weight_decay(), value, gradient(i)));
}
