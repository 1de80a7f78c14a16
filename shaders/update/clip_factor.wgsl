// An update with gradient clipping: the factor is one more operand, before w.

// Bindings between hyper and w.
const FACTORS = TABLES + 1u;

@group(0) @binding(2u + TABLES) var<storage, read> factor: array<f32>;

fn clip_factor() -> f32 {
    return factor[0];
}

fn is_skipped() -> bool {
    return false;
}

fn correction1() -> f32 {
    return hyper.correction1;
}

fn correction2() -> f32 {
    return hyper.correction2;
}
