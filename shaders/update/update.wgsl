// Shared by all updates of parameters: gradient, weights and the factor of the gradient. The multipliers
// lr_mult and decay_mult come from update_one.wgsl or update_table.wgsl.

@group(0) @binding(0) var<storage, read> g: array<f32>;
@group(0) @binding(1) var<uniform> hyper: Hyper;
@group(0) @binding(2u + FACTORS) var<storage, read_write> w: array<f32>;

fn learning_rate() -> f32 {
    return hyper.lr * lr_mult;
}

fn weight_decay() -> f32 {
    return hyper.weight_decay * decay_mult;
}

fn gradient(i: u32) -> f32 {
    return g[i] * clip_factor();
}
