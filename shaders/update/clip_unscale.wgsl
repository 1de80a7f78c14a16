// An update of scaled gradients, with or without clipping: the result of grad_unscale is one more operand, before w.

// Bindings between hyper and w.
const FACTORS = TABLES + 1u;

@group(0) @binding(2u + TABLES) var<storage, read> factor: array<f32>;

fn clip_factor() -> f32 {
    return factor[0];
}

fn is_skipped() -> bool {
    return factor[0] == 0.0;
}

fn correction1() -> f32 {
    return factor[1];
}

fn correction2() -> f32 {
    return factor[2];
}
