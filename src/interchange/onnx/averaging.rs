//! Adaptive average pooling as products with matrices, for extents where no windows of one size do: how it is written out, and known again.

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
pub(super) fn turned(matrix: &[f32], columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|i| matrix.iter().skip(i).step_by(columns).copied()).collect()
}
