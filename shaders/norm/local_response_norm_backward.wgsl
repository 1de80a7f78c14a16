// dx = dy scale^-beta - 2 alpha beta / size * x * (sum of dy x scale^(-beta - 1) over the channels whose window
// holds this one).

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> scale: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

override channels: u32;
override inner: u32;
override size: u32;
override alpha: f32;

fn element(i: u32) {
    let c = i / inner % channels;
    // Element of channel 0 at the same place.
    let base = i - c * inner;
    // The windows reach further down than up if `size` is even, so what holds c reaches further up.
    let end = min(c + size / 2u + 1u, channels);
    var sum = 0.0;
    for (var other = c - min(c, (size - 1u) / 2u); other < end; other++) {
        let o = base + other * inner;
        let s = scale[o];
        sum = fma(dy[o] * x[o], response_power(s) / s, sum);
    }
    let direct = dy[i] * response_power(scale[i]);
    dx[i] = fma(-2.0 * alpha * beta / f32(size) * x[i], sum, direct);
}
