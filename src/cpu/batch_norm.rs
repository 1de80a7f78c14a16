//! Batch normalisation. Statistics are sums over the whole batch: see `sum` for how they keep their digits. The
//! variance is summed from centred values.

mod blocks;

use super::layout::Layout;
use super::parallel::units_per_task;
use super::simd::vectorised;
use super::sum::Sum;
use crate::ops::{BatchNorm2d, Hyper};
use rayon::prelude::*;

/// Real rows of the batch, and the number of values of each channel in them.
fn count(d: &BatchNorm2d, hyper: &Hyper) -> (usize, f64) {
    let rows = (hyper.rows as usize).min(d.batch);
    (rows, (rows * d.inner).max(1) as f64)
}

/// The values of channel `c` in the first `rows` images, image by image.
fn planes<'a>(d: &BatchNorm2d, x: &'a [f32], c: usize, rows: usize) -> impl Iterator<Item = &'a [f32]> {
    let (inner, image) = (d.inner, d.channels * d.inner);
    x.chunks_exact(image).take(rows).map(move |image| &image[c * inner..(c + 1) * inner])
}

/// mean, var and the running statistics.
#[allow(clippy::too_many_arguments, reason = "the operands of the operator")]
pub fn batch_norm2d_stats(
    d: &BatchNorm2d,
    layout: Layout,
    x: &[f32],
    hyper: &[f32],
    mean: &mut [f32],
    var: &mut [f32],
    running_mean: &mut [f32],
    running_var: &mut [f32],
) {
    if layout == Layout::Blocks {
        return blocks::stats(d, x, hyper, mean, var, running_mean, running_var);
    }
    let (rows, n) = count(d, &Hyper::from_words(hyper));
    let momentum = d.momentum;
    let running = running_mean.par_iter_mut().zip(running_var);
    mean.par_iter_mut().zip(var).zip(running).enumerate().for_each(|(c, ((mean, var), running))| {
        let mut total = Sum::default();
        vectorised!(|| planes(d, x, c, rows).for_each(|x| total.add1(x, |x| x)));
        *mean = (total.total() / n) as f32;
        let centre = *mean;
        let mut squares = Sum::default();
        let square = |x: f32| (x - centre) * (x - centre);
        vectorised!(|| planes(d, x, c, rows).for_each(|x| squares.add1(x, square)));
        let squares = squares.total();
        *var = (squares / n) as f32;
        let unbiased = (squares / (n - 1.0).max(1.0)) as f32;
        *running.0 = (1.0 - momentum) * *running.0 + momentum * centre;
        *running.1 = (1.0 - momentum) * *running.1 + momentum * unbiased;
    });
}

/// y from x and given statistics.
#[allow(clippy::too_many_arguments, reason = "the operands of the operator")]
pub fn batch_norm2d_forward(
    d: &BatchNorm2d,
    layout: Layout,
    x: &[f32],
    w: &[f32],
    b: &[f32],
    mean: &[f32],
    var: &[f32],
    y: &mut [f32],
) {
    if layout == Layout::Blocks {
        return blocks::forward(d, x, w, b, mean, var, y);
    }
    let units = units_per_task(d.inner);
    let len = units * d.inner;
    y.par_chunks_mut(len).zip(x.par_chunks(len)).enumerate().for_each(|(i, (y, x))| {
        let lines = y.chunks_exact_mut(d.inner).zip(x.chunks_exact(d.inner));
        for (j, (y, x)) in lines.enumerate() {
            let c = (i * units + j) % d.channels;
            let (centre, shift) = (mean[c], b[c]);
            let scale = w[c] / (var[c] + d.eps).sqrt();
            vectorised!(|| {
                for (y, &x) in y.iter_mut().zip(x) {
                    let v = (x - centre) * scale + shift;
                    // Not f32::max, which would turn a NaN into 0.
                    *y = if d.relu & (v < 0.0) { 0.0 } else { v };
                }
            });
        }
    });
}

/// dw, db and the coefficients of dx.
#[allow(clippy::too_many_arguments, reason = "the operands of the operator")]
pub fn batch_norm2d_grad_parameters(
    d: &BatchNorm2d,
    layout: Layout,
    x: &[f32],
    w: &[f32],
    mean: &[f32],
    var: &[f32],
    dy: &[f32],
    hyper: &[f32],
    dw: &mut [f32],
    db: &mut [f32],
    coefficients: &mut [f32],
) {
    if layout == Layout::Blocks {
        return blocks::grad_parameters(d, x, w, mean, var, dy, hyper, dw, db, coefficients);
    }
    let (rows, n) = count(d, &Hyper::from_words(hyper));
    let n = n as f32;
    let (a, rest) = coefficients.split_at_mut(d.channels);
    let (b, rest) = rest.split_at_mut(d.channels);
    let (c, centres) = rest.split_at_mut(d.channels);
    let coefficients = a.par_iter_mut().zip(b).zip(c).zip(centres);
    dw.par_iter_mut().zip(db).zip(coefficients).enumerate().for_each(
        |(channel, ((dw, db), coefficients))| {
            let (((a, b), c), centre) = coefficients;
            *centre = mean[channel];
            let (centred, scale) = (mean[channel], 1.0 / (var[channel] + d.eps).sqrt());
            let (mut products, mut total) = (Sum::default(), Sum::default());
            vectorised!(|| {
                let pairs = planes(d, x, channel, rows).zip(planes(d, dy, channel, rows));
                for (x, dy) in pairs {
                    products.add2(x, dy, |x, dy| (x - centred) * dy);
                    total.add1(dy, |dy| dy);
                }
            });
            *dw = (products.total() * f64::from(scale)) as f32;
            *db = total.total() as f32;
            *a = w[channel] * scale;
            *b = -*a * scale * *dw / n;
            *c = -*a * *db / n;
        },
    );
}

/// dx = a dy + b (x - mean) + c; 0 in rows that only pad.
pub fn batch_norm2d_grad_input(
    d: &BatchNorm2d,
    layout: Layout,
    x: &[f32],
    coefficients: &[f32],
    dy: &[f32],
    hyper: &[f32],
    dx: &mut [f32],
) {
    if layout == Layout::Blocks {
        return blocks::grad_input(d, x, coefficients, dy, hyper, dx);
    }
    let rows = Hyper::from_words(hyper).rows as usize;
    let units = units_per_task(d.inner);
    let len = units * d.inner;
    let inputs = x.par_chunks(len).zip(dy.par_chunks(len));
    dx.par_chunks_mut(len).zip(inputs).enumerate().for_each(|(i, (dx, (x, dy)))| {
        let lines = x.chunks_exact(d.inner).zip(dy.chunks_exact(d.inner));
        for (j, (dx, (x, dy))) in dx.chunks_exact_mut(d.inner).zip(lines).enumerate() {
            let unit = i * units + j;
            if unit / d.channels >= rows {
                dx.fill(0.0);
                continue;
            }
            let coefficient = |row: usize| coefficients[row * d.channels + unit % d.channels];
            let (a, b, c, centre) = (coefficient(0), coefficient(1), coefficient(2), coefficient(3));
            vectorised!(|| {
                for ((dx, &x), &dy) in dx.iter_mut().zip(x).zip(dy) {
                    *dx = a * dy + b * (x - centre) + c;
                }
            });
        }
    });
}
