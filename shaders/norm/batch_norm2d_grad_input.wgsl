// dx = a dy + b (x - mean) + c with the four rows of `coefficients`; 0 in rows that only pad.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> coefficients: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<uniform> hyper: Hyper;
@group(0) @binding(4) var<storage, read_write> dx: array<f32>;

override channels: u32;
override inner: u32;
// Number of the first image, if x is a piece of a larger tensor.
override first_row: u32;

fn element(i: u32) {
    let c = i / inner % channels;
    let row = first_row + i / (channels * inner);
    let centred = x[i] - coefficients[3u * channels + c];
    let rest = fma(coefficients[channels + c], centred, coefficients[2u * channels + c]);
    dx[i] = select(0.0, fma(coefficients[c], dy[i], rest), row < hyper.rows);
}
