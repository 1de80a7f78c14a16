// db[c] = sum of dy[n, c, i], one thread for each channel: for few i, as behind a linear layer.

override batch: u32;
override channels: u32;
override inner: u32;

@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read_write> db: array<f32>;

fn element(c: u32) {
    var sum = 0.0;
    for (var n = 0u; n < batch; n++) {
        for (var i = 0u; i < inner; i++) {
            sum += dy[(n * channels + c) * inner + i];
        }
    }
    db[c] = sum;
}
