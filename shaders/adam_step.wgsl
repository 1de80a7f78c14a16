// The step that adam and adamw share (Kingma & Ba 2015, in PyTorch's order of operations).

@group(0) @binding(3u + FACTORS) var<storage, read_write> m: array<f32>;
@group(0) @binding(4u + FACTORS) var<storage, read_write> v: array<f32>;

// What to take from w[i], given its gradient.
fn adam_step(i: u32, d: f32) -> f32 {
    let mean = fma(hyper.momentum, m[i], (1.0 - hyper.momentum) * d);
    let mean_square = fma(hyper.beta2, v[i], (1.0 - hyper.beta2) * d * d);
    m[i] = mean;
    v[i] = mean_square;
    let root = sqrt(mean_square) / sqrt(correction2()) + hyper.eps;
    return learning_rate() / correction1() * mean / root;
}
