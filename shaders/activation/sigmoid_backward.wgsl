// dx = dy y (1 - y).

@group(0) @binding(0) var<storage, read> y: array<f32>;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;

fn element(i: u32) {
    let value = y[i];
    dx[i] = dy[i] * value * (1.0 - value);
}
