// a += weight (w - a), with weight = 1 - decay: the moving average of a parameter or a running statistic.

@group(0) @binding(0) var<storage, read> w: array<f32>;
@group(0) @binding(1u + FACTORS) var<storage, read_write> a: array<f32>;

override weight: f32;

fn element(i: u32) {
    if is_skipped() {
        return;
    }
    let before = a[i];
    a[i] = fma(weight, w[i] - before, before);
}
