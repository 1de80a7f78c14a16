// Mean and biased variance of each channel from those of its parts (Chan, Golub & LeVeque 1979), and the running
// statistics brought up to date.

@group(0) @binding(0) var<storage, read> partial: array<f32>;
@group(0) @binding(1) var<uniform> hyper: Hyper;
@group(0) @binding(2) var<storage, read_write> mean: array<f32>;
@group(0) @binding(3) var<storage, read_write> variance: array<f32>;
@group(0) @binding(4) var<storage, read_write> running_mean: array<f32>;
@group(0) @binding(5) var<storage, read_write> running_var: array<f32>;

override parts: u32;
override momentum: f32;

fn element(channel: u32) {
    let total = f32(max(real_rows() * inner, 1u));
    var sum = 0.0;
    for (var part = 0u; part < parts; part++) {
        sum = fma(f32(part_len(part)), partial[part_index(part, channel)], sum);
    }
    let center = sum / total;
    var squares = 0.0;
    for (var part = 0u; part < parts; part++) {
        let at = part_index(part, channel);
        let off = partial[at] - center;
        squares += fma(f32(part_len(part)) * off, off, partial[at + 1u]);
    }
    mean[channel] = center;
    variance[channel] = squares / total;
    let unbiased = squares / max(total - 1.0, 1.0);
    running_mean[channel] = fma(momentum, center, (1.0 - momentum) * running_mean[channel]);
    running_var[channel] = fma(momentum, unbiased, (1.0 - momentum) * running_var[channel]);
}
