// The gradient before a ReLU, stored and handed on to the frames that sum it. As relu_backward.wgsl.

@group(0) @binding(0) var<storage, read> y: array<f32>;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;

// Bindings before db.
const OPERANDS = 3u;

fn gradient(i: u32) -> f32 {
    let value = select(0.0, dy[i], y[i] > 0.0);
    dx[i] = value;
    return value;
}
