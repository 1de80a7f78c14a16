// The gradient before a ReLU and a max pooling, stored and handed on to the frames that sum it. As
// max_pool2d_backward.wgsl and then relu_backward.wgsl, without the tensor between them; y is what the ReLU gave.

@group(0) @binding(0) var<storage, read> index: array<f32>;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read> y: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

// Bindings before db.
const OPERANDS = 4u;

fn gradient(i: u32) -> f32 {
    let value = select(0.0, max_pool2d_gradient(i), y[i] > 0.0);
    dx[i] = value;
    return value;
}
