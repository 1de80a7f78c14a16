// y = x times the gate of its image and channel.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> gate: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

override inner: u32;

fn element(i: u32) {
    y[i] = x[i] * gate[i / inner];
}
