// The weight of each class in the loss.

@group(0) @binding(6) var<storage, read> weights: array<f32>;

const WEIGHTED = true;

fn class_weight(j: u32) -> f32 {
    return weights[j];
}
