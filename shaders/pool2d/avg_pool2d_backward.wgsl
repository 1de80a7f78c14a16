// dx = sum of dy / divisor over the windows that cover an element.

@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read_write> dx: array<f32>;

fn element(i: u32) {
    let p = position(i, h_in, w_in);
    let rows = windows(p.y + pad_top, kernel_h, stride_h, h_out);
    let columns = windows(p.z + pad_left, kernel_w, stride_w, w_out);
    var sum = 0.0;
    for (var row = rows.x; row < rows.y; row++) {
        for (var column = columns.x; column < columns.y; column++) {
            sum += dy[(p.x * h_out + row) * w_out + column] / divisor(row, column);
        }
    }
    dx[i] = sum;
}
