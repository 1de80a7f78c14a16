// dw, db and the coefficients of the gradient of x, from the sums of the parts.

@group(0) @binding(0) var<storage, read> partial: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read> mean: array<f32>;
@group(0) @binding(3) var<storage, read> variance: array<f32>;
@group(0) @binding(4) var<uniform> hyper: Hyper;
@group(0) @binding(5) var<storage, read_write> dw: array<f32>;
@group(0) @binding(6) var<storage, read_write> db: array<f32>;
@group(0) @binding(7) var<storage, read_write> coefficients: array<f32>;

override parts: u32;
override eps: f32;

fn element(channel: u32) {
    var products = 0.0;
    var sum = 0.0;
    for (var part = 0u; part < parts; part++) {
        let at = part_index(part, channel);
        products += partial[at];
        sum += partial[at + 1u];
    }
    let total = f32(max(real_rows() * inner, 1u));
    let s = 1.0 / sqrt(variance[channel] + eps);
    let a = w[channel] * s;
    let gradient = products * s;
    dw[channel] = gradient;
    db[channel] = sum;
    coefficients[channel] = a;
    coefficients[channels + channel] = -a * s * gradient / total;
    coefficients[2u * channels + channel] = -a * sum / total;
    coefficients[3u * channels + channel] = mean[channel];
}
