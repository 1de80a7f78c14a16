//! Softmax over channels, as a separate layer.

use super::exponential::exp;
use super::parallel::with_scratch;
use super::simd::vectorised;
use super::sum::CHAIN;
use crate::ops::Softmax;
use rayon::prelude::*;

/// total += part, element by element.
#[inline(always)]
fn add(total: &mut [f32], part: &[f32]) {
    for (total, &part) in total.iter_mut().zip(part) {
        *total += part;
    }
}

/// y = exp(x - max) / sum exp(x - max), over channels.
pub fn softmax_forward(d: &Softmax, x: &[f32], y: &mut [f32]) {
    let (inner, row) = (d.inner, d.channels * d.inner);
    y.par_chunks_mut(row).zip(x.par_chunks(row)).for_each(|(y, x)| {
        with_scratch([inner, inner, inner], |[peak, total, part]| {
            vectorised!(|| {
                peak.fill(f32::NEG_INFINITY);
                total.fill(0.0);
                for line in x.chunks_exact(inner) {
                    for (peak, &x) in peak.iter_mut().zip(line) {
                        *peak = peak.max(x);
                    }
                }
                for (y, x) in y.chunks_mut(CHAIN * inner).zip(x.chunks(CHAIN * inner)) {
                    part.fill(0.0);
                    for (y, x) in y.chunks_exact_mut(inner).zip(x.chunks_exact(inner)) {
                        for (((y, &x), &peak), part) in y.iter_mut().zip(x).zip(&*peak).zip(&mut *part) {
                            *y = exp(x - peak);
                            *part += *y;
                        }
                    }
                    add(total, part);
                }
                for y in y.chunks_exact_mut(inner) {
                    for (y, &total) in y.iter_mut().zip(&*total) {
                        *y /= total;
                    }
                }
            })
        });
    });
}

/// dx = y (dy - sum over channels of dy y).
pub fn softmax_backward(d: &Softmax, y: &[f32], dy: &[f32], dx: &mut [f32]) {
    let (inner, row) = (d.inner, d.channels * d.inner);
    let inputs = y.par_chunks(row).zip(dy.par_chunks(row));
    dx.par_chunks_mut(row).zip(inputs).for_each(|(dx, (y, dy))| {
        with_scratch([inner, inner], |[total, part]| {
            total.fill(0.0);
            for (y, dy) in y.chunks(CHAIN * inner).zip(dy.chunks(CHAIN * inner)) {
                part.fill(0.0);
                for (y, dy) in y.chunks_exact(inner).zip(dy.chunks_exact(inner)) {
                    for ((part, &y), &dy) in part.iter_mut().zip(y).zip(dy) {
                        *part += dy * y;
                    }
                }
                add(total, part);
            }
            let lines = y.chunks_exact(inner).zip(dy.chunks_exact(inner));
            for (dx, (y, dy)) in dx.chunks_exact_mut(inner).zip(lines) {
                for (((dx, &y), &dy), &total) in dx.iter_mut().zip(y).zip(dy).zip(&*total) {
                    *dx = y * (dy - total);
                }
            }
        });
    });
}
