// y = x times a factor for each channel; with dy and dx in place of x and y it is the gradient.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

override channels: u32;
override inner: u32;

fn element(i: u32) {
    y[i] = x[i] * w[i / inner % channels];
}
