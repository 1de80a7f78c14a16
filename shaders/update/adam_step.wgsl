// The step that adam and adamw share (Kingma & Ba 2015, in PyTorch's order of operations).

@group(0) @binding(3u + FACTORS) var<storage, read_write> m: array<f32>;
@group(0) @binding(4u + FACTORS) var<storage, read_write> v: array<f32>;

// Binding of the step's record, if there is one.
const RECORD = 5u + FACTORS;

fn look_at_moments(i: u32) {
    look_before(m[i], STATE);
    look_before(v[i], STATE);
}

// What to take from w[i], given its gradient.
fn adam_step(i: u32, d: f32) -> f32 {
    look_at_moments(i);
    let mean = fma(hyper.momentum, m[i], (1.0 - hyper.momentum) * d);
    let mean_square = fma(hyper.beta2, v[i], (1.0 - hyper.beta2) * d * d);
    m[i] = mean;
    v[i] = mean_square;
    look_after(mean, STATE);
    look_after(mean_square, STATE);
    let root = sqrt(mean_square) / sqrt(correction2()) + hyper.eps;
    return learning_rate() / correction1() * mean / root;
}
