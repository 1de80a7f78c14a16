// sum = g, or sum + g if gradients are being accumulated.

@group(0) @binding(0) var<storage, read> g: array<f32>;
@group(0) @binding(1) var<uniform> hyper: Hyper;
@group(0) @binding(2) var<storage, read_write> sum: array<f32>;

fn element(i: u32) {
    if hyper.accumulate == 0u {
        sum[i] = g[i];
    } else {
        sum[i] += g[i];
    }
}
