//! Batch normalisation in blocks of channels.

use super::count;
use crate::cpu::channel_sums::{ChannelSums, Part, Parts};
use crate::cpu::layout::BLOCK;
use crate::cpu::parallel::CHUNK;
use crate::cpu::pixel::{Pixel, Vectors, pixelwise};
use crate::ops::{BatchNorm2d, Hyper};
use pulp::Simd;
use rayon::prelude::*;
use std::ops::Range;

/// Pixels of one task of the elementwise operators.
const PIXELS: usize = CHUNK / BLOCK;

/// The moments of one part of a block of channels.
struct Moments {
    count: f64,
    totals: [f64; BLOCK],
    /// The part's mean, rounded.
    centres: Pixel,
    /// Sums of x - centre and its square.
    rests: [f64; BLOCK],
    squares: [f64; BLOCK],
}

/// The second pass, around the mean of the first, reads the part from the cache.
#[inline(always)]
fn moments<S: Simd, const L: usize>(v: Vectors<S, L>, part: &Part, x: &[Pixel]) -> Moments {
    let count = part.count() as f64;
    let mut sums = ChannelSums::<1, 4>::new();
    for x in part.lines(x) {
        sums.add1(v, x, |x| [x]);
    }
    let [totals] = sums.totals();
    let centres = totals.map(|total| (total / count) as f32);
    let mut sums = ChannelSums::<2, 3>::new();
    let centre = v.load(&centres);
    for x in part.lines(x) {
        sums.add1(v, x, |x| {
            let rest = v.sub(x, centre);
            [rest, v.mul(rest, rest)]
        });
    }
    let [rests, squares] = sums.totals();
    Moments { count, totals, centres, rests, squares }
}

/// mean, var and the running statistics.
pub fn stats(
    d: &BatchNorm2d,
    x: &[f32],
    hyper: &[f32],
    mean: &mut [f32],
    var: &mut [f32],
    running_mean: &mut [f32],
    running_var: &mut [f32],
) {
    let (rows, n) = count(d, &Hyper::from_words(hyper));
    let momentum = d.momentum;
    let x = x.as_chunks::<BLOCK>().0;
    let parts = Parts::new(rows, d.channels, d.inner);
    let moments = parts.map(|part| pixelwise!(|v| moments(v, part, x)));
    let running = running_mean.par_chunks_mut(BLOCK).zip(running_var.par_chunks_mut(BLOCK));
    let results = mean.par_chunks_mut(BLOCK).zip(var.par_chunks_mut(BLOCK)).zip(running);
    results.enumerate().for_each(|(block, ((mean, var), running))| {
        for c in 0..BLOCK {
            let total: f64 = parts.of_block(&moments, block).map(|part| part.totals[c]).sum();
            mean[c] = (total / n) as f32;
            let centre = f64::from(mean[c]);
            // The sum of (x - centre)^2 from that around the part's own centre.
            let moved = |part: &Moments| {
                let distance = f64::from(part.centres[c]) - centre;
                part.squares[c] + 2.0 * distance * part.rests[c] + part.count * distance * distance
            };
            let squares: f64 = parts.of_block(&moments, block).map(moved).sum();
            // Rounding may leave less than 0. Not f64::max, which would turn a NaN into 0.
            let squares = if squares < 0.0 { 0.0 } else { squares };
            var[c] = (squares / n) as f32;
            let unbiased = (squares / (n - 1.0).max(1.0)) as f32;
            running.0[c] = (1.0 - momentum) * running.0[c] + momentum * mean[c];
            running.1[c] = (1.0 - momentum) * running.1[c] + momentum * unbiased;
        }
    });
}

/// Planes of `inner` pixels that `len` pixels from `first` on cut through: their numbers, and where they lie among
/// those pixels.
#[inline(always)]
fn planes(first: usize, len: usize, inner: usize) -> impl Iterator<Item = (usize, Range<usize>)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let (start, pixel) = (at, first + at);
        at = (at + inner - pixel % inner).min(len);
        (start < at).then(|| (pixel / inner, start..at))
    })
}

/// y from x and given statistics.
#[allow(clippy::too_many_arguments, reason = "the operands of the operator")]
pub fn forward(d: &BatchNorm2d, x: &[f32], w: &[f32], b: &[f32], mean: &[f32], var: &[f32], y: &mut [f32]) {
    let scales: Vec<f32> = w.iter().zip(var).map(|(w, var)| w / (var + d.eps).sqrt()).collect();
    let (scales, mean) = (scales.as_chunks::<BLOCK>().0, mean.as_chunks::<BLOCK>().0);
    let (shifts, blocks) = (b.as_chunks::<BLOCK>().0, d.channels / BLOCK);
    let (x, y) = (x.as_chunks::<BLOCK>().0, y.as_chunks_mut::<BLOCK>().0);
    y.par_chunks_mut(PIXELS).zip(x.par_chunks(PIXELS)).enumerate().for_each(|(i, (y, x))| {
        pixelwise!(narrow, |v| {
            for (plane, range) in planes(i * PIXELS, y.len(), d.inner) {
                let block = plane % blocks;
                let (centre, scale) = (v.load(&mean[block]), v.load(&scales[block]));
                let shift = v.load(&shifts[block]);
                for (y, x) in y[range.clone()].iter_mut().zip(&x[range]) {
                    let value = v.add(v.mul(v.sub(v.load(x), centre), scale), shift);
                    v.store(if d.relu { v.relu(value) } else { value }, y);
                }
            }
        });
    });
}

/// dw, db and the coefficients of dx.
#[allow(clippy::too_many_arguments, reason = "the operands of the operator")]
pub fn grad_parameters(
    d: &BatchNorm2d,
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
    let (rows, n) = count(d, &Hyper::from_words(hyper));
    let n = n as f32;
    let (x, dy) = (x.as_chunks::<BLOCK>().0, dy.as_chunks::<BLOCK>().0);
    let means = mean.as_chunks::<BLOCK>().0;
    let parts = Parts::new(rows, d.channels, d.inner);
    let sums = parts.map(|part| {
        pixelwise!(|v| {
            let centre = v.load(&means[part.block]);
            let mut sums = ChannelSums::<2, 3>::new();
            for (x, dy) in part.lines(x).zip(part.lines(dy)) {
                sums.add2(v, x, dy, |x, dy| [v.mul(v.sub(x, centre), dy), dy]);
            }
            sums.totals()
        })
    });
    let (a, rest) = coefficients.split_at_mut(d.channels);
    let (b, rest) = rest.split_at_mut(d.channels);
    let (c, centres) = rest.split_at_mut(d.channels);
    centres.copy_from_slice(mean);
    for channel in 0..d.channels {
        let scale = 1.0 / (var[channel] + d.eps).sqrt();
        let [products, total] = [0, 1].map(|k| {
            parts.of_block(&sums, channel / BLOCK).map(|part| part[k][channel % BLOCK]).sum::<f64>()
        });
        dw[channel] = (products * f64::from(scale)) as f32;
        db[channel] = total as f32;
        a[channel] = w[channel] * scale;
        b[channel] = -a[channel] * scale * dw[channel] / n;
        c[channel] = -a[channel] * db[channel] / n;
    }
}

/// dx = a dy + b (x - mean) + c; 0 in rows that only pad.
pub fn grad_input(
    d: &BatchNorm2d,
    x: &[f32],
    coefficients: &[f32],
    dy: &[f32],
    hyper: &[f32],
    dx: &mut [f32],
) {
    let rows = Hyper::from_words(hyper).rows as usize;
    let coefficients = coefficients.as_chunks::<BLOCK>().0;
    let blocks = d.channels / BLOCK;
    let (x, dy) = (x.as_chunks::<BLOCK>().0, dy.as_chunks::<BLOCK>().0);
    let dx = dx.as_chunks_mut::<BLOCK>().0;
    let inputs = x.par_chunks(PIXELS).zip(dy.par_chunks(PIXELS));
    dx.par_chunks_mut(PIXELS).zip(inputs).enumerate().for_each(|(i, (dx, (x, dy)))| {
        pixelwise!(narrow, |v| {
            for (plane, range) in planes(i * PIXELS, dx.len(), d.inner) {
                let dx = &mut dx[range.clone()];
                if plane / blocks >= rows {
                    dx.fill([0.0; BLOCK]);
                    continue;
                }
                let coefficient = |row: usize| v.load(&coefficients[row * blocks + plane % blocks]);
                let (a, b, c, centre) = (coefficient(0), coefficient(1), coefficient(2), coefficient(3));
                for ((dx, x), dy) in dx.iter_mut().zip(&x[range.clone()]).zip(&dy[range]) {
                    let centred = v.sub(v.load(x), centre);
                    v.store(v.add(v.add(v.mul(a, v.load(dy)), v.mul(b, centred)), c), dx);
                }
            }
        });
    });
}
