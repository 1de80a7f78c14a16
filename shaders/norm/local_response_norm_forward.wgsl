// y = x scale^-beta, scale = k + alpha / size * sum of x^2 over the window of channels.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<storage, read_write> scale: array<f32>;

override channels: u32;
override inner: u32;
override size: u32;
override alpha: f32;
override k: f32;

fn element(i: u32) {
    let c = i / inner % channels;
    // Element of channel 0 at the same place.
    let base = i - c * inner;
    let end = min(c + (size - 1u) / 2u + 1u, channels);
    var sum = 0.0;
    for (var other = c - min(c, size / 2u); other < end; other++) {
        let value = x[base + other * inner];
        sum = fma(value, value, sum);
    }
    let s = fma(alpha / f32(size), sum, k);
    scale[i] = s;
    y[i] = x[i] * response_power(s);
}
