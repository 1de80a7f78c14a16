// y = x, four elements at a time: how fast the device's memory is.

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4<f32>>;

fn element(i: u32) {
    y[i] = x[i];
}
