// y = mean of input rows floor(i h_in / h_out) .. ceil((i + 1) h_in / h_out), columns alike.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

override h_in: u32;
override w_in: u32;
override h_out: u32;
override w_out: u32;

fn element(i: u32) {
    let plane = i / (h_out * w_out);
    let rows = adaptive_window(i / w_out % h_out, h_in, h_out);
    let columns = adaptive_window(i % w_out, w_in, w_out);
    var sum = 0.0;
    for (var row = rows.x; row < rows.y; row++) {
        for (var column = columns.x; column < columns.y; column++) {
            sum += x[(plane * h_in + row) * w_in + column];
        }
    }
    y[i] = sum / f32((rows.y - rows.x) * (columns.y - columns.x));
}
