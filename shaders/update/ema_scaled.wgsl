// A moving average that stays where loss scaling has skipped the update: the result of grad_unscale is one more operand.

// Bindings between w and a.
const FACTORS = 1u;

@group(0) @binding(1) var<storage, read> factor: array<f32>;

fn is_skipped() -> bool {
    return factor[0] == 0.0;
}
