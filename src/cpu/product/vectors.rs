//! Products with a vector: one pass over the matrix, in the order in which it lies in memory.

use super::{Onto, View};
use pulp::{Simd, WithSimd};

/// dst = lhs rhs for a column-major `lhs`: its columns, scaled, are added up in `dst`.
pub struct Columns<'a> {
    /// One element for each row of `lhs`.
    pub dst: &'a mut [f32],
    pub onto: Onto,
    /// Column-major.
    pub lhs: View<'a>,
    /// One row, with a factor for each column of `lhs`.
    pub rhs: View<'a>,
}

impl WithSimd for Columns<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Columns { dst, onto, lhs, rhs } = self;
        if onto == Onto::Nothing {
            dst.fill(0.0);
        }
        for k in 0..lhs.cols {
            let column = &lhs.data[k * lhs.col_stride..][..dst.len()];
            add_scaled(simd, dst, column, rhs.data[k * rhs.col_stride]);
        }
    }
}

/// dst = lhs rhs for a row-major `lhs`: a scalar product for each row.
pub struct Rows<'a> {
    pub dst: &'a mut [f32],
    /// Elements between two of `dst`.
    pub step: usize,
    pub onto: Onto,
    /// Row-major.
    pub lhs: View<'a>,
    /// One element for each column of `lhs`.
    pub rhs: &'a [f32],
}

impl WithSimd for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Rows { dst, step, onto, lhs, rhs } = self;
        for (i, dst) in dst.iter_mut().step_by(step).take(lhs.rows).enumerate() {
            let sum = dot(simd, &lhs.data[i * lhs.row_stride..][..rhs.len()], rhs);
            *dst = if onto == Onto::Old { *dst + sum } else { sum };
        }
    }
}

/// dst = lhs rhs for one column and one row.
pub struct Outer<'a> {
    pub dst: &'a mut [f32],
    pub pitch: usize,
    pub onto: Onto,
    /// One column.
    pub lhs: View<'a>,
    /// The row.
    pub rhs: &'a [f32],
}

impl WithSimd for Outer<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Outer { dst, pitch, onto, lhs, rhs } = self;
        for i in 0..lhs.rows {
            let (dst, factor) = (&mut dst[i * pitch..][..rhs.len()], lhs.data[i * lhs.row_stride]);
            match onto {
                Onto::Old => add_scaled(simd, dst, rhs, factor),
                Onto::Nothing => dst.iter_mut().zip(rhs).for_each(|(dst, rhs)| *dst = rhs * factor),
            }
        }
    }
}

/// dst += x factor.
#[inline(always)]
fn add_scaled<S: Simd>(simd: S, dst: &mut [f32], x: &[f32], factor: f32) {
    let factor = simd.splat_f32s(factor);
    let (dst, dst_tail) = S::as_mut_simd_f32s(dst);
    let (x, x_tail) = S::as_simd_f32s(x);
    for (dst, &x) in dst.iter_mut().zip(x) {
        *dst = simd.mul_add_e_f32s(x, factor, *dst);
    }
    if !dst_tail.is_empty() {
        let old = simd.partial_load_f32s(dst_tail);
        let new = simd.mul_add_e_f32s(simd.partial_load_f32s(x_tail), factor, old);
        simd.partial_store_f32s(dst_tail, new);
    }
}

/// The scalar product, in four vectors of sums.
#[inline(always)]
fn dot<S: Simd>(simd: S, a: &[f32], b: &[f32]) -> f32 {
    let (a, a_tail) = S::as_simd_f32s(a);
    let (b, b_tail) = S::as_simd_f32s(b);
    let (a, a_rest) = a.as_chunks::<4>();
    let (b, b_rest) = b.as_chunks::<4>();
    let mut sums = [simd.splat_f32s(0.0); 4];
    for (a, b) in a.iter().zip(b) {
        for (sum, (&a, &b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum = simd.mul_add_e_f32s(a, b, *sum);
        }
    }
    for (sum, (&a, &b)) in sums.iter_mut().zip(a_rest.iter().zip(b_rest)) {
        *sum = simd.mul_add_e_f32s(a, b, *sum);
    }
    if !a_tail.is_empty() {
        let sum = &mut sums[a_rest.len()];
        *sum = simd.mul_add_e_f32s(simd.partial_load_f32s(a_tail), simd.partial_load_f32s(b_tail), *sum);
    }
    let [s0, s1, s2, s3] = sums;
    simd.reduce_sum_f32s(simd.add_f32s(simd.add_f32s(s0, s1), simd.add_f32s(s2, s3)))
}
