// The output of a loss that is there only in training.

@group(0) @binding(5) var<storage, read_write> dx: array<f32>;

fn store_gradient(i: u32, value: f32) {
    dx[i] = value;
}
