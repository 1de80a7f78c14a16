// dx = dy scale^-beta - 2 alpha beta / size^2 * x * (sum of dy x scale^(-beta - 1) over the places of the map whose
// window holds this one).

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> scale: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

override h: u32;
override w: u32;
override size: u32;
override alpha: f32;

fn element(i: u32) {
    let row = i / w % h;
    let column = i % w;
    let map = i - row * w - column;
    // The windows reach further up and left if `size` is even, so what holds this place lies further down and right.
    let last_row = min(row + size / 2u + 1u, h);
    let last_column = min(column + size / 2u + 1u, w);
    var sum = 0.0;
    for (var r = row - min(row, (size - 1u) / 2u); r < last_row; r++) {
        for (var c = column - min(column, (size - 1u) / 2u); c < last_column; c++) {
            let o = map + r * w + c;
            let s = scale[o];
            sum = fma(dy[o] * x[o], response_power(s) / s, sum);
        }
    }
    let direct = dy[i] * response_power(scale[i]);
    dx[i] = fma(-2.0 * alpha * beta / (f32(size) * f32(size)) * x[i], sum, direct);
}
