//! Matrix products: views of slices, and which kernel computes which shape.
//!
//! Every product runs on the thread that calls it. Operators split their work themselves, by shape, so that no
//! sum depends on the number of threads.

mod kernel;
mod plain;
#[cfg(test)]
mod tests;
mod vectors;

use plain::Plain;
use vectors::{Columns, Outer, Rows};

/// Multiply-adds up to which a product is not worth the packing of the large kernels.
const SMALL: usize = 16 * 16 * 16;

/// A matrix in a slice.
#[derive(Clone, Copy)]
pub struct View<'a> {
    data: &'a [f32],
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

impl<'a> View<'a> {
    /// `rows` x `cols` in row-major order; a row begins every `pitch` elements.
    pub fn new(data: &'a [f32], rows: usize, cols: usize, pitch: usize) -> Self {
        View { data, rows, cols, row_stride: pitch, col_stride: 1 }
    }

    /// The transposed matrix, in the same memory.
    pub fn transposed(self) -> Self {
        let View { data, rows, cols, row_stride, col_stride } = self;
        View { data, rows: cols, cols: rows, row_stride: col_stride, col_stride: row_stride }
    }

    /// Elements from the first to the last, both included; 0 for an empty matrix.
    fn span(&self) -> usize {
        span(self.rows, self.cols, self.row_stride, self.col_stride)
    }
}

/// Elements from the first to the last of a matrix, both included.
fn span(rows: usize, cols: usize, row_stride: usize, col_stride: usize) -> usize {
    if rows == 0 || cols == 0 { 0 } else { (rows - 1) * row_stride + (cols - 1) * col_stride + 1 }
}

/// What happens to the old content of a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Onto {
    /// It is overwritten without being read.
    Nothing,
    /// The product is added to it.
    Old,
}

/// dst = lhs rhs, or dst += lhs rhs. `dst` is row-major with a row every `pitch` elements.
///
/// Sums use fused multiply-adds on machines that have them. Each element sums its terms in order, in parts of 512 that
/// are added up in `dst`; only where `dst` is one column or row and both operands run along the sum, the terms are
/// dealt out to vector lanes, so that memory is read front to back.
///
/// # Panics
///
/// If the shapes do not fit together or a slice is too short.
pub fn product(dst: &mut [f32], pitch: usize, onto: Onto, lhs: View, rhs: View) {
    let (m, n, k) = (lhs.rows, rhs.cols, lhs.cols);
    assert!(k == rhs.rows, "a product of {m} x {k} and {} x {n}", rhs.rows);
    if m == 0 || n == 0 {
        return;
    }
    assert!(lhs.span() <= lhs.data.len() && rhs.span() <= rhs.data.len(), "an operand is cut off");
    assert!((m == 1 || pitch >= n) && span(m, n, pitch, 1) <= dst.len(), "the destination is too short");
    if k == 0 {
        if onto == Onto::Nothing {
            dst.chunks_mut(pitch).take(m).for_each(|row| row[..n].fill(0.0));
        }
        return;
    }
    let simd = pulp::Arch::new();
    // A column or a row has its own kernels: there is nothing to keep in registers.
    if n == 1 {
        if pitch == 1 && lhs.row_stride == 1 {
            return simd.dispatch(Columns { dst: &mut dst[..m], onto, lhs, rhs: rhs.transposed() });
        }
        if lhs.col_stride == 1 && rhs.row_stride == 1 {
            return simd.dispatch(Rows { dst, step: pitch, onto, lhs, rhs: &rhs.data[..k] });
        }
    }
    if m == 1 {
        if rhs.col_stride == 1 {
            return simd.dispatch(Columns { dst: &mut dst[..n], onto, lhs: rhs.transposed(), rhs: lhs });
        }
        if lhs.col_stride == 1 && rhs.row_stride == 1 {
            return simd.dispatch(Rows { dst, step: 1, onto, lhs: rhs.transposed(), rhs: &lhs.data[..k] });
        }
    }
    if k == 1 && rhs.col_stride == 1 {
        return simd.dispatch(Outer { dst, pitch, onto, lhs, rhs: &rhs.data[..n] });
    }
    if m.saturating_mul(n).saturating_mul(k) <= SMALL || !kernel::product(dst, pitch, onto, lhs, rhs) {
        simd.dispatch(Plain { dst, pitch, onto, lhs, rhs });
    }
}
