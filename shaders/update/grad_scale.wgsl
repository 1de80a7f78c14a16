// dx *= scale.

@group(0) @binding(0) var<storage, read> scaling: array<f32>;
@group(0) @binding(1) var<storage, read_write> dx: array<f32>;

fn element(i: u32) {
    dx[i] *= scaling[0];
}
