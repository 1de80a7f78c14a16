// sum[i] = partials[0, i] + partials[1, i] + ..., in this order.

override pieces: u32;

@group(0) @binding(0) var<storage, read> partials: array<f32>;
@group(0) @binding(1) var<storage, read_write> sum: array<f32>;

fn element(i: u32) {
    var total = 0.0;
    for (var piece = 0u; piece < pieces; piece++) {
        total += partials[piece * len + i];
    }
    sum[i] = total;
}
