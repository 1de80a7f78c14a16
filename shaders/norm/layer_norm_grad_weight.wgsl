// The products of dy and the normalised x, for the frames that sum them for each channel (shaders/bias_grad).

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> mean: array<f32>;
@group(0) @binding(2) var<storage, read> r: array<f32>;
@group(0) @binding(3) var<storage, read> dy: array<f32>;

// Bindings before the result.
const OPERANDS = 4u;

fn gradient(i: u32) -> f32 {
    let place = i / (channels * inner) * inner + i % inner;
    return dy[i] * ((x[i] - mean[place]) * r[place]);
}
