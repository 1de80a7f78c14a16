// The products x dy, for the frames that sum them for each channel (shaders/bias_grad).

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> dy: array<f32>;

// Bindings before the result.
const OPERANDS = 2u;

fn gradient(i: u32) -> f32 {
    return x[i] * dy[i];
}
