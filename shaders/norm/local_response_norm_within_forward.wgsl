// y = x scale^-beta, scale = k + alpha / size^2 * sum of x^2 over a window of size x size places of the map.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<storage, read_write> scale: array<f32>;

override h: u32;
override w: u32;
override size: u32;
override alpha: f32;
override k: f32;

fn element(i: u32) {
    let row = i / w % h;
    let column = i % w;
    let map = i - row * w - column;
    let last_row = min(row + (size - 1u) / 2u + 1u, h);
    let last_column = min(column + (size - 1u) / 2u + 1u, w);
    var sum = 0.0;
    for (var r = row - min(row, size / 2u); r < last_row; r++) {
        for (var c = column - min(column, size / 2u); c < last_column; c++) {
            let value = x[map + r * w + c];
            sum = fma(value, value, sum);
        }
    }
    let s = fma(alpha / (f32(size) * f32(size)), sum, k);
    scale[i] = s;
    y[i] = x[i] * response_power(s);
}
