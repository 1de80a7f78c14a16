// A term of the gradient of a slope, x dy where x is not above 0, for the frames that sum it.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> dy: array<f32>;

// Bindings before db.
const OPERANDS = 2u;

fn gradient(i: u32) -> f32 {
    return select(x[i] * dy[i], 0.0, x[i] > 0.0 && !is_nan(x[i]));
}
