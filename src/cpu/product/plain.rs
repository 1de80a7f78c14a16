//! Products of any shape in safe code: for matrices too small for packing to pay, and for processors without a faster kernel.

use super::{Onto, View};
use pulp::{Simd, WithSimd};

/// Rows whose sums are in registers together.
const ROWS: usize = 4;

/// Terms that are summed before they join the destination: in a large product as the kernels for those do, in a small one
/// whose right operand is read across its rows.
const PART: usize = 512;
const SMALL_PART: usize = 64;

/// dst = lhs rhs, or dst += lhs rhs.
pub struct Plain<'a> {
    pub dst: &'a mut [f32],
    pub pitch: usize,
    pub onto: Onto,
    pub lhs: View<'a>,
    pub rhs: View<'a>,
}

impl WithSimd for Plain<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Plain { dst, pitch, mut onto, lhs, rhs } = self;
        let (n, depth) = (rhs.cols, rhs.rows);
        // Weights that were trained depend on these lengths to the last bit.
        let along = if pitch > 1 { rhs.col_stride } else { lhs.row_stride };
        let part = match lhs.rows * n * depth <= super::SMALL {
            true if along == 1 || S::F32_LANES == 1 => depth,
            true => SMALL_PART,
            false => PART,
        };
        let mut packed = Vec::new();
        for first in (0..depth).step_by(part) {
            let count = part.min(depth - first);
            for column in (0..n).step_by(S::F32_LANES) {
                let width = S::F32_LANES.min(n - column);
                let begin = first * rhs.row_stride + column * rhs.col_stride;
                let (right, step) = if rhs.col_stride == 1 {
                    (&rhs.data[begin..], rhs.row_stride)
                } else {
                    packed.clear();
                    for k in 0..count {
                        let row = begin + k * rhs.row_stride;
                        packed.extend((0..width).map(|j| rhs.data[row + j * rhs.col_stride]));
                    }
                    (&packed[..], width)
                };
                let mut row = 0;
                while row < lhs.rows {
                    let left = &lhs.data[row * lhs.row_stride + first * lhs.col_stride..];
                    let target = &mut dst[row * pitch + column..];
                    let strides = [lhs.row_stride, lhs.col_stride, step, pitch];
                    if lhs.rows - row >= ROWS {
                        block::<S, ROWS>(simd, target, onto, left, right, strides, [count, width]);
                        row += ROWS;
                    } else {
                        block::<S, 1>(simd, target, onto, left, right, strides, [count, width]);
                        row += 1;
                    }
                }
            }
            onto = Onto::Old;
        }
    }
}

/// `R` rows and `width` columns of the destination, over `count` terms.
#[inline(always)]
fn block<S: Simd, const R: usize>(
    simd: S,
    dst: &mut [f32],
    onto: Onto,
    left: &[f32],
    right: &[f32],
    [row, term, step, pitch]: [usize; 4],
    [count, width]: [usize; 2],
) {
    let mut sums = [simd.splat_f32s(0.0); R];
    for k in 0..count {
        let right = &right[k * step..][..width];
        // The common case is a whole vector, which is loaded without a mask.
        let right = match S::as_simd_f32s(right).0 {
            [whole] => *whole,
            _ => simd.partial_load_f32s(right),
        };
        for (r, sum) in sums.iter_mut().enumerate() {
            let factor = simd.splat_f32s(left[r * row + k * term]);
            *sum = simd.mul_add_e_f32s(factor, right, *sum);
        }
    }
    for (r, sum) in sums.into_iter().enumerate() {
        let dst = &mut dst[r * pitch..][..width];
        let sum = match onto {
            Onto::Old => simd.add_f32s(simd.partial_load_f32s(dst), sum),
            Onto::Nothing => sum,
        };
        simd.partial_store_f32s(dst, sum);
    }
}
