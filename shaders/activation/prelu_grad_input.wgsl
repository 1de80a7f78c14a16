// dx = dy if x > 0, else w dy, with the w of the channel; also where x is NaN, as in PyTorch.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

// 1 and all elements of an image, if there is one w for all.
override channels: u32;
override inner: u32;

fn element(i: u32) {
    dx[i] = select(w[i / inner % channels] * dy[i], dy[i], x[i] > 0.0 && !is_nan(x[i]));
}
