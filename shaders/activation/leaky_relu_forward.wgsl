// y = x if x > 0, else negative_slope x. A NaN is returned unchanged: a compiler may assume that there is none.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

override negative_slope: f32;

fn element(i: u32) {
    let value = x[i];
    y[i] = select(value * negative_slope, value, value > 0.0 || is_nan(value));
}
