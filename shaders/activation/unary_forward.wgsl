// y = value(x) of an activation: the file of the function has `value` and `gradient`.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

fn element(i: u32) {
    y[i] = value(x[i]);
}
