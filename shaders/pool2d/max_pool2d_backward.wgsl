// dx = sum of dy over the windows whose maximum this element was.

@group(0) @binding(0) var<storage, read> index: array<f32>;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;

fn element(i: u32) {
    dx[i] = max_pool2d_gradient(i);
}
