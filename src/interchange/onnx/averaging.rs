//! Average pooling that ONNX has no single node for, as it is written out and recognised again: adaptive pooling as products with matrices where the
//! windows have several sizes, and windows that the padding cuts off (`ceil`) as whole windows whose averages are scaled.

/// Beginning and end of output `o`'s window (see `ops::AdaptiveAvgPool2d`).
pub(super) fn window(len: usize, out: usize, o: usize) -> [usize; 2] {
    [o * len / out, ((o + 1) * len).div_ceil(out)]
}

/// The matrix `[out, len]` whose rows average the windows of one axis.
pub(super) fn matrix(len: usize, out: usize) -> Vec<f32> {
    let mut matrix = vec![0.0; len * out];
    for (o, row) in matrix.chunks_exact_mut(len).enumerate() {
        let [begin, end] = window(len, out, o);
        row[begin..end].fill(1.0 / (end - begin) as f32);
    }
    matrix
}

/// The matrix `[columns, rows]` of the same values.
pub(super) fn transposed(matrix: &[f32], columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|i| matrix.iter().skip(i).step_by(columns).copied()).collect()
}

/// What the averages over whole windows `kernel` have to be multiplied by where `missing` rows and columns of the last windows lie beyond the padding
/// and do not count: extents and values of a matrix that broadcasts to `[rows, columns]` = `out`, with one row (column) if no row (column) is missing.
pub(super) fn scales(out: [usize; 2], kernel: [usize; 2], missing: [usize; 2]) -> ([usize; 2], Vec<f32>) {
    let dims = [0, 1].map(|axis| if missing[axis] == 0 { 1 } else { out[axis] });
    let counted = |axis: usize, o: usize| {
        kernel[axis] - if missing[axis] > 0 && o + 1 == out[axis] { missing[axis] } else { 0 }
    };
    let all = (kernel[0] * kernel[1]) as f64;
    let scale = |row: usize, column: usize| (all / (counted(0, row) * counted(1, column)) as f64) as f32;
    (dims, (0..dims[0]).flat_map(|row| (0..dims[1]).map(move |column| scale(row, column))).collect())
}
