// y = (x - mean) / sqrt(var + eps) * w + b, then max(0, .) if `relu_after`.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read> mean: array<f32>;
@group(0) @binding(4) var<storage, read> variance: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

override channels: u32;
override inner: u32;
override eps: f32;
override relu_after: bool;

fn element(i: u32) {
    let c = i / inner % channels;
    let a = w[c] / sqrt(variance[c] + eps);
    let value = fma(x[i] - mean[c], a, b[c]);
    y[i] = select(value, relu(value), relu_after);
}
