//! Matrix products: views on slices, and faer behind them. The only file that names faer.
//!
//! Every product runs on the thread that asks for it. Operators split their work themselves, by shape, so that no
//! sum depends on the number of threads.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};

/// A matrix in a slice.
#[derive(Clone, Copy)]
pub struct View<'a> {
    data: &'a [f32],
    rows: usize,
    cols: usize,
    pitch: usize,
    transposed: bool,
}

impl<'a> View<'a> {
    /// `rows` x `cols` in row-major order; a row begins every `pitch` elements.
    pub fn new(data: &'a [f32], rows: usize, cols: usize, pitch: usize) -> Self {
        View { data, rows, cols, pitch, transposed: false }
    }

    /// The transposed matrix, in the same memory.
    pub fn transposed(self) -> Self {
        View { transposed: !self.transposed, ..self }
    }

    fn matrix(self) -> MatRef<'a, f32> {
        let columns =
            MatRef::from_column_major_slice_with_stride(self.data, self.cols, self.rows, self.pitch);
        if self.transposed { columns } else { columns.transpose() }
    }
}

/// What happens to the old content of a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Onto {
    /// It is not looked at.
    Nothing,
    /// The product is added to it.
    Old,
}

/// dst = lhs rhs, or dst += lhs rhs. `dst` is row-major with a row every `pitch` elements. Each element sums its
/// terms in order, with fused multiply-adds on machines that have them.
pub fn product(dst: &mut [f32], pitch: usize, onto: Onto, lhs: View, rhs: View) {
    let (lhs, rhs) = (lhs.matrix(), rhs.matrix());
    // Not from_row_major_slice_with_stride_mut: in faer 0.24.4 it mixes up the strides and reaches past the slice.
    let dst = MatMut::from_column_major_slice_with_stride_mut(dst, rhs.ncols(), lhs.nrows(), pitch);
    let accum = match onto {
        Onto::Nothing => Accum::Replace,
        Onto::Old => Accum::Add,
    };
    matmul(dst.transpose_mut(), accum, lhs, rhs, 1.0, Par::Seq);
}
