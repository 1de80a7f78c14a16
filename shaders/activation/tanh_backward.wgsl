// dx = dy (1 - y^2).

@group(0) @binding(0) var<storage, read> y: array<f32>;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;

fn element(i: u32) {
    let value = y[i];
    // Not 1 - y * y: near 1 that would lose the digits that 1 - y has exactly.
    dx[i] = dy[i] * ((1.0 - value) * (1.0 + value));
}
