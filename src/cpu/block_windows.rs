//! Windows over images in blocks of channels: which pixels they hold along each axis, and their averages. A pixel is a
//! vector of [`BLOCK`] channels, so ranges that are worked out once for each row and column replace padding.

use super::layout::BLOCK;
use super::parallel::{units_per_task, with_scratch};
use super::pixel::{Vectors, pixelwise};
use super::sum::CHAIN;
use crate::ops::Pool2d;
use pulp::Simd;
use rayon::prelude::*;
use std::ops::Range;

/// The windows along one axis.
pub struct Axis {
    /// The inputs in the window of each output.
    pub inputs: Vec<Range<usize>>,
    /// The outputs whose windows hold each input.
    pub outputs: Vec<Range<usize>>,
}

impl Axis {
    /// The windows of a pooling along its rows (axis 0) or columns (axis 1).
    pub fn of_pool(d: &Pool2d, axis: usize) -> Self {
        let (kernel, stride, pad) = (d.kernel[axis], d.stride[axis], d.pad[axis]);
        let (inputs, outputs) = if axis == 0 { (d.h_in, d.h_out()) } else { (d.w_in, d.w_out()) };
        let clip = |begin: usize| begin.saturating_sub(pad).min(inputs);
        let seen_by = |i: usize| {
            let end = ((i + pad) / stride + 1).min(outputs);
            (i + pad + 1).saturating_sub(kernel).div_ceil(stride).min(end)..end
        };
        Axis {
            inputs: (0..outputs).map(|o| clip(o * stride)..clip(o * stride + kernel)).collect(),
            outputs: (0..inputs).map(seen_by).collect(),
        }
    }
}

/// The sum of f(i) by way of parts of [`CHAIN`] terms.
#[inline(always)]
fn sum_of_parts<S: Simd, const L: usize>(
    v: Vectors<S, L>,
    range: Range<usize>,
    f: impl Fn(usize) -> [S::f32s; L],
) -> [S::f32s; L] {
    let mut total = v.splat(0.0);
    let mut first = range.start;
    while first < range.end {
        let end = range.end.min(first + CHAIN);
        let mut part = v.splat(0.0);
        for i in first..end {
            part = v.add(part, f(i));
        }
        total = v.add(total, part);
        first = end;
    }
    total
}

/// y, the sums of the windows over `sizes`, `[outputs]`.
pub fn averages(rows: &Axis, columns: &Axis, sizes: &[f32], x: &[f32], y: &mut [f32]) {
    let (h_in, w_in) = (rows.outputs.len(), columns.outputs.len());
    let (h_out, w_out) = (rows.inputs.len(), columns.inputs.len());
    let (x, y) = (x.as_chunks::<BLOCK>().0, y.as_chunks_mut::<BLOCK>().0);
    // A task reads about as much as one of an elementwise operator, or writes as much where windows overlap.
    let lines = units_per_task((h_in * w_in).div_ceil(h_out).max(w_out) * BLOCK);
    y.par_chunks_mut(lines * w_out).enumerate().for_each(|(task, y)| {
        pixelwise!(|v| {
            for (line, y) in (task * lines..).zip(y.chunks_exact_mut(w_out)) {
                let (x, oy) = (&x[line / h_out * h_in * w_in..][..h_in * w_in], line % h_out);
                let rows = rows.inputs[oy].clone();
                let sizes = &sizes[oy * w_out..][..w_out];
                for ((y, columns), size) in y.iter_mut().zip(&columns.inputs).zip(sizes) {
                    let total = sum_of_parts(v, rows.clone(), |row| {
                        let x = &x[row * w_in..][..w_in][columns.clone()];
                        sum_of_parts(v, 0..x.len(), |i| v.load(&x[i]))
                    });
                    v.store(v.div(total, v.splat(*size)), y);
                }
            }
        });
    });
}

/// dx: every pixel of a window gets dy over the window's size. For an input line, the output lines whose windows hold
/// it are added up first; each of its pixels then adds up those sums whose windows hold it.
pub fn averages_backward(rows: &Axis, columns: &Axis, sizes: &[f32], dy: &[f32], dx: &mut [f32]) {
    let (h_in, w_in) = (rows.outputs.len(), columns.outputs.len());
    let (h_out, w_out) = (rows.inputs.len(), columns.inputs.len());
    let (dy, dx) = (dy.as_chunks::<BLOCK>().0, dx.as_chunks_mut::<BLOCK>().0);
    let shares: Vec<f32> = sizes.iter().map(|size| 1.0 / size).collect();
    let lines = units_per_task((h_out * w_out).div_ceil(h_in).max(w_in) * BLOCK);
    dx.par_chunks_mut(lines * w_in).enumerate().for_each(|(task, dx)| {
        with_scratch([w_out * BLOCK], |[sums]| {
            let sums = sums.as_chunks_mut::<BLOCK>().0;
            pixelwise!(|v| {
                for (line, dx) in (task * lines..).zip(dx.chunks_exact_mut(w_in)) {
                    let dy = &dy[line / h_in * h_out * w_out..][..h_out * w_out];
                    let rows = &rows.outputs[line % h_in];
                    for (ox, sum) in sums.iter_mut().enumerate() {
                        let share = |row: usize| {
                            let place = row * w_out + ox;
                            v.mul(v.load(&dy[place]), v.splat(shares[place]))
                        };
                        v.store(sum_of_parts(v, rows.clone(), share), sum);
                    }
                    for (dx, columns) in dx.iter_mut().zip(&columns.outputs) {
                        let sums = &sums[columns.clone()];
                        v.store(sum_of_parts(v, 0..sums.len(), |i| v.load(&sums[i])), dx);
                    }
                }
            });
        });
    });
}
