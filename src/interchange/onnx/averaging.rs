//! Average pooling that no single ONNX node expresses; the export writes it and the import recognises it. Adaptive
//! pooling with windows of several sizes is a product with averaging matrices; windows cut off by the padding (`ceil`)
//! are full windows whose averages are rescaled.

/// Start and end of the window of output `o` (see `ops::AdaptiveAvgPool2d`).
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

/// The transpose, `[columns, rows]`, of `matrix`.
pub(super) fn transposed(matrix: &[f32], columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|i| matrix.iter().skip(i).step_by(columns).copied()).collect()
}

/// The factors that turn averages over full windows of `kernel` into averages over the elements that count, where the
/// last windows have `missing` rows and columns beyond the padding. Returns shape and values of a matrix that broadcasts
/// to `[rows, columns]` = `out`; it has a single row (column) if no row (column) is missing.
pub(super) fn scales(out: [usize; 2], kernel: [usize; 2], missing: [usize; 2]) -> ([usize; 2], Vec<f32>) {
    let dims = [0, 1].map(|axis| if missing[axis] == 0 { 1 } else { out[axis] });
    let counted = |axis: usize, o: usize| {
        kernel[axis] - if missing[axis] > 0 && o + 1 == out[axis] { missing[axis] } else { 0 }
    };
    let all = (kernel[0] * kernel[1]) as f64;
    let scale = |row: usize, column: usize| (all / (counted(0, row) * counted(1, column)) as f64) as f32;
    (dims, (0..dims[0]).flat_map(|row| (0..dims[1]).map(move |column| scale(row, column))).collect())
}
