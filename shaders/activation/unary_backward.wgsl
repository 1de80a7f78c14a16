// dx = gradient(saved, dy) of an activation, where `saved` is x, or y if the gradient is a function of the output.

@group(0) @binding(0) var<storage, read> saved: array<f32>;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;

fn element(i: u32) {
    dx[i] = gradient(saved[i], dy[i]);
}
