// y = x if x > 0, else w x, with the w of the channel. A NaN is returned unchanged.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

// 1 and all elements of an image, if there is one w for all.
override channels: u32;
override inner: u32;

fn element(i: u32) {
    let value = x[i];
    y[i] = select(w[i / inner % channels] * value, value, value > 0.0 || is_nan(value));
}
