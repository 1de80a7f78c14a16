//! Local response normalisation across channels. In the plain layout images are treated in blocks of pixels: all channels of a block fit
//! a core's cache, and every inner loop runs along the pixels of one channel.

mod blocks;

use super::layout::Layout;
use super::parallel::with_scratch;
use super::simd::vectorised;
use crate::ops::LocalResponseNorm;
use rayon::prelude::*;
use std::ops::Range;

/// Pixels of one block.
const PIXELS: usize = 256;

/// Channels whose squares belong to channel `c`.
fn window(d: &LocalResponseNorm, c: usize) -> Range<usize> {
    c.saturating_sub(d.size / 2)..(c + (d.size - 1) / 2 + 1).min(d.channels)
}

/// Channels whose windows hold channel `c`.
fn seen_by(d: &LocalResponseNorm, c: usize) -> Range<usize> {
    c.saturating_sub((d.size - 1) / 2)..(c + d.size / 2 + 1).min(d.channels)
}

/// out[i] = f(i, scale[i]^-beta). Roots are much faster than a general power, and AlexNet's beta is 3/4.
#[inline(always)]
pub(super) fn with_power(beta: f32, scale: &[f32], out: &mut [f32], f: impl Fn(usize, f32) -> f32) {
    let lines = out.iter_mut().zip(scale).enumerate();
    if beta == 0.75 {
        lines.for_each(|(i, (o, &s))| *o = f(i, 1.0 / (s.sqrt() * s.sqrt().sqrt())));
    } else if beta == 0.5 {
        lines.for_each(|(i, (o, &s))| *o = f(i, 1.0 / s.sqrt()));
    } else if beta == 1.0 {
        lines.for_each(|(i, (o, &s))| *o = f(i, 1.0 / s));
    } else {
        lines.for_each(|(i, (o, &s))| *o = f(i, s.powf(-beta)));
    }
}

/// y and scale.
pub fn local_response_norm_forward(
    d: &LocalResponseNorm,
    layout: Layout,
    x: &[f32],
    y: &mut [f32],
    scale: &mut [f32],
) {
    if layout == Layout::Blocks {
        return blocks::forward(d, x, y, scale);
    }
    let (inner, image) = (d.inner, d.channels * d.inner);
    let factor = d.alpha / d.size as f32;
    let results = y.par_chunks_mut(image).zip(scale.par_chunks_mut(image));
    results.zip(x.par_chunks(image)).for_each(|((y, scale), x)| {
        vectorised!(|| {
            for first in (0..inner).step_by(PIXELS) {
                let block = first..(first + PIXELS).min(inner);
                for c in 0..d.channels {
                    let scale = &mut scale[c * inner..][block.clone()];
                    scale.fill(0.0);
                    for other in window(d, c) {
                        for (s, &x) in scale.iter_mut().zip(&x[other * inner..][block.clone()]) {
                            *s += x * x;
                        }
                    }
                    for s in scale.iter_mut() {
                        *s = d.k + factor * *s;
                    }
                    let x = &x[c * inner..][block.clone()];
                    with_power(d.beta, scale, &mut y[c * inner..][block.clone()], |i, power| x[i] * power);
                }
            }
        })
    });
}

/// dx[c] = dy[c] scale[c]^-beta - 2 alpha beta / size x[c] sum over j of dy[j] x[j] scale[j]^(-beta - 1), where j runs
/// over the channels whose window holds c.
pub fn local_response_norm_backward(
    d: &LocalResponseNorm,
    layout: Layout,
    x: &[f32],
    scale: &[f32],
    dy: &[f32],
    dx: &mut [f32],
) {
    if layout == Layout::Blocks {
        return blocks::backward(d, x, scale, dy, dx);
    }
    let (inner, image) = (d.inner, d.channels * d.inner);
    let factor = 2.0 * d.alpha * d.beta / d.size as f32;
    let inputs = x.par_chunks(image).zip(scale.par_chunks(image)).zip(dy.par_chunks(image));
    dx.par_chunks_mut(image).zip(inputs).for_each(|(dx, ((x, scale), dy))| {
        with_scratch([d.channels * PIXELS, PIXELS], |[ratios, sum]| {
            vectorised!(|| {
                for first in (0..inner).step_by(PIXELS) {
                    let block = first..(first + PIXELS).min(inner);
                    let len = block.len();
                    // First dx = dy scale^-beta, and ratios = dx x / scale for all channels.
                    for (c, ratio) in ratios.chunks_exact_mut(PIXELS).enumerate() {
                        let (x, scale) = (&x[c * inner + first..][..len], &scale[c * inner + first..][..len]);
                        let dy = &dy[c * inner + first..][..len];
                        let dx = &mut dx[c * inner + first..][..len];
                        with_power(d.beta, scale, dx, |i, power| dy[i] * power);
                        for (((ratio, &dx), &x), &scale) in ratio.iter_mut().zip(&*dx).zip(x).zip(scale) {
                            *ratio = dx * x / scale;
                        }
                    }
                    for c in 0..d.channels {
                        let sum = &mut sum[..len];
                        sum.fill(0.0);
                        for other in seen_by(d, c) {
                            for (s, &r) in sum.iter_mut().zip(&ratios[other * PIXELS..][..len]) {
                                *s += r;
                            }
                        }
                        let x = &x[c * inner + first..][..len];
                        let dx = &mut dx[c * inner + first..][..len];
                        for ((dx, &x), &s) in dx.iter_mut().zip(x).zip(&*sum) {
                            *dx -= factor * x * s;
                        }
                    }
                }
            })
        });
    });
}
