// dx = dy if x > 0, else negative_slope dy; also where x is NaN, as in PyTorch.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;

override negative_slope: f32;

fn element(i: u32) {
    dx[i] = select(dy[i] * negative_slope, dy[i], x[i] > 0.0 && !is_nan(x[i]));
}
