//! Layer normalisation over channels. The variance is summed from centred values.
//!
//! Sums over the channels of neighbouring positions run side by side: a plain image is read as lines of positions, one in
//! blocks of channels as lines of pixels, whose 16 lanes are added up at the end. A flat row is one long sum.

mod blocks;

use super::layout::Layout;
use super::parallel::with_scratch;
use super::simd::vectorised;
use super::sum::{CHAIN, Sum, sum1, sum2};
use crate::ops::LayerNorm;
use rayon::prelude::*;

/// Channels of one task when every channel has one value to a row.
const COLUMNS: usize = 64;

/// y, and mean and r of each position.
#[allow(clippy::too_many_arguments, reason = "the operands of the operator")]
pub fn layer_norm_forward(
    d: &LayerNorm,
    layout: Layout,
    x: &[f32],
    w: &[f32],
    b: &[f32],
    y: &mut [f32],
    mean: &mut [f32],
    r: &mut [f32],
) {
    let image = d.channels * d.inner;
    let statistics = mean.par_chunks_mut(d.inner).zip(r.par_chunks_mut(d.inner));
    y.par_chunks_mut(image).zip(x.par_chunks(image)).zip(statistics).for_each(|((y, x), (mean, r))| {
        match (layout, d.inner) {
            (Layout::Blocks, _) => blocks::forward(d, x, w, b, y, mean, r),
            (_, 1) => row_forward(d, x, w, b, y, &mut mean[0], &mut r[0]),
            _ => forward(d, x, w, b, y, mean, r),
        }
    });
}

/// 1 / sqrt(variance + eps).
fn inverse_deviation(d: &LayerNorm, squares: f64) -> f32 {
    (1.0 / (squares / d.channels as f64 + f64::from(d.eps)).sqrt()) as f32
}

/// One flat row.
fn row_forward(d: &LayerNorm, x: &[f32], w: &[f32], b: &[f32], y: &mut [f32], mean: &mut f32, r: &mut f32) {
    vectorised!(|| {
        let centre = (sum1(x, |x| x) / d.channels as f64) as f32;
        let deviation = inverse_deviation(d, sum1(x, |x| (x - centre) * (x - centre)));
        for (((y, &x), &w), &b) in y.iter_mut().zip(x).zip(w).zip(b) {
            *y = (x - centre) * deviation * w + b;
        }
        (*mean, *r) = (centre, deviation);
    });
}

/// Sums of `term(channel, position)` over the channels, by way of parts of [`CHAIN`] terms.
#[inline(always)]
fn over_channels(channels: usize, part: &mut [f32], total: &mut [f64], term: impl Fn(usize, usize) -> f32) {
    total.fill(0.0);
    for first in (0..channels).step_by(CHAIN) {
        part.fill(0.0);
        for c in first..(first + CHAIN).min(channels) {
            for (i, part) in part.iter_mut().enumerate() {
                *part += term(c, i);
            }
        }
        for (total, &part) in total.iter_mut().zip(&*part) {
            *total += f64::from(part);
        }
    }
}

/// One image `[channels, inner]`.
fn forward(d: &LayerNorm, x: &[f32], w: &[f32], b: &[f32], y: &mut [f32], mean: &mut [f32], r: &mut [f32]) {
    let (inner, channels) = (d.inner, d.channels);
    let mut total = vec![0.0f64; inner];
    with_scratch([inner], |[part]| {
        vectorised!(|| {
            over_channels(channels, part, &mut total, |c, i| x[c * inner + i]);
            for (mean, total) in mean.iter_mut().zip(&total) {
                *mean = (total / channels as f64) as f32;
            }
            let centred = |c: usize, i: usize| x[c * inner + i] - mean[i];
            over_channels(channels, part, &mut total, |c, i| centred(c, i) * centred(c, i));
            for (r, &squares) in r.iter_mut().zip(&total) {
                *r = inverse_deviation(d, squares);
            }
            for (c, y) in y.chunks_exact_mut(inner).enumerate() {
                let (w, b) = (w[c], b[c]);
                for (i, y) in y.iter_mut().enumerate() {
                    *y = centred(c, i) * r[i] * w + b;
                }
            }
        });
    });
}

/// dx.
#[allow(clippy::too_many_arguments, reason = "the operands of the operator")]
pub fn layer_norm_grad_input(
    d: &LayerNorm,
    layout: Layout,
    x: &[f32],
    w: &[f32],
    mean: &[f32],
    r: &[f32],
    dy: &[f32],
    dx: &mut [f32],
) {
    let image = d.channels * d.inner;
    let statistics = mean.par_chunks(d.inner).zip(r.par_chunks(d.inner));
    let inputs = x.par_chunks(image).zip(dy.par_chunks(image)).zip(statistics);
    dx.par_chunks_mut(image).zip(inputs).for_each(|(dx, ((x, dy), (mean, r)))| match (layout, d.inner) {
        (Layout::Blocks, _) => blocks::grad_input(d, x, w, mean, r, dy, dx),
        (_, 1) => row_grad_input(d, x, w, mean[0], r[0], dy, dx),
        _ => grad_input(d, x, w, mean, r, dy, dx),
    });
}

/// One flat row.
fn row_grad_input(d: &LayerNorm, x: &[f32], w: &[f32], mean: f32, r: f32, dy: &[f32], dx: &mut [f32]) {
    let n = d.channels as f64;
    vectorised!(|| {
        let first = (sum2(dy, w, |dy, w| dy * w) / n) as f32;
        // dx holds g = dy w until it is dx.
        for ((g, &dy), &w) in dx.iter_mut().zip(dy).zip(w) {
            *g = dy * w;
        }
        let second = (sum2(dx, x, |g, x| g * ((x - mean) * r)) / n) as f32;
        for (dx, &x) in dx.iter_mut().zip(x) {
            *dx = r * (*dx - first - (x - mean) * r * second);
        }
    });
}

/// One image.
fn grad_input(d: &LayerNorm, x: &[f32], w: &[f32], mean: &[f32], r: &[f32], dy: &[f32], dx: &mut [f32]) {
    let (inner, channels) = (d.inner, d.channels);
    let mut total = vec![0.0f64; inner];
    with_scratch([inner, inner, inner], |[part, first, second]| {
        vectorised!(|| {
            let normalised = |c: usize, i: usize| (x[c * inner + i] - mean[i]) * r[i];
            over_channels(channels, part, &mut total, |c, i| dy[c * inner + i] * w[c]);
            for (first, total) in first.iter_mut().zip(&total) {
                *first = (total / channels as f64) as f32;
            }
            over_channels(channels, part, &mut total, |c, i| dy[c * inner + i] * w[c] * normalised(c, i));
            for (second, total) in second.iter_mut().zip(&total) {
                *second = (total / channels as f64) as f32;
            }
            for (c, dx) in dx.chunks_exact_mut(inner).enumerate() {
                for (i, dx) in dx.iter_mut().enumerate() {
                    *dx = r[i] * (dy[c * inner + i] * w[c] - first[i] - normalised(c, i) * second[i]);
                }
            }
        });
    });
}

/// dw.
pub fn layer_norm_grad_weight(
    d: &LayerNorm,
    layout: Layout,
    x: &[f32],
    mean: &[f32],
    r: &[f32],
    dy: &[f32],
    dw: &mut [f32],
) {
    let (inner, image) = (d.inner, d.channels * d.inner);
    if inner == 1 {
        dw.par_chunks_mut(COLUMNS).enumerate().for_each(|(task, dw)| {
            let mut total = [0.0f64; COLUMNS];
            let columns = task * COLUMNS..task * COLUMNS + dw.len();
            for (n, (x, dy)) in x.chunks_exact(image).zip(dy.chunks_exact(image)).enumerate() {
                let terms = x[columns.clone()].iter().zip(&dy[columns.clone()]);
                for (total, (x, dy)) in total.iter_mut().zip(terms) {
                    *total += f64::from(dy * ((x - mean[n]) * r[n]));
                }
            }
            for (dw, &total) in dw.iter_mut().zip(&total) {
                *dw = total as f32;
            }
        });
        return;
    }
    if layout == Layout::Blocks {
        return blocks::grad_weight(d, x, mean, r, dy, dw);
    }
    dw.par_iter_mut().enumerate().for_each(|(c, dw)| {
        let mut total = Sum::default();
        let mut normalised = [0.0f32; 512];
        vectorised!(|| {
            for (n, (x, dy)) in x.chunks_exact(image).zip(dy.chunks_exact(image)).enumerate() {
                let (x, dy) = (&x[c * inner..][..inner], &dy[c * inner..][..inner]);
                let (mean, r) = (&mean[n * inner..][..inner], &r[n * inner..][..inner]);
                for first in (0..inner).step_by(normalised.len()) {
                    let range = first..(first + normalised.len()).min(inner);
                    let z = &mut normalised[..range.len()];
                    let statistics = mean[range.clone()].iter().zip(&r[range.clone()]);
                    for ((z, x), (mean, r)) in z.iter_mut().zip(&x[range.clone()]).zip(statistics) {
                        *z = (x - mean) * r;
                    }
                    total.add2(z, &dy[range], |z, dy| z * dy);
                }
            }
        });
        *dw = total.total() as f32;
    });
}
