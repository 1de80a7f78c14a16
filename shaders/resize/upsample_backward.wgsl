// dx = the sums of dy over the copies of each element, row by row.

@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read_write> dx: array<f32>;

override h_in: u32;
override w_in: u32;
override h_out: u32;
override w_out: u32;
override scale_h: u32;
override scale_w: u32;

fn element(i: u32) {
    let first_row = i / (w_in * h_in) * h_out + i / w_in % h_in * scale_h;
    let first_column = i % w_in * scale_w;
    var sum = 0.0;
    for (var row = 0u; row < scale_h; row++) {
        for (var column = 0u; column < scale_w; column++) {
            sum += dy[(first_row + row) * w_out + first_column + column];
        }
    }
    dx[i] = sum;
}
