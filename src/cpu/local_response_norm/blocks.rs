//! Local response normalisation in blocks of channels. The terms of the windows are first written with all channels of
//! a pixel side by side, and zeros before the first and after the last: then every term of a block's sums is a vector at
//! some offset, wherever the blocks end. Several pixels are treated at once, so that memory is read in long runs, and
//! no vector is read at another offset right after it was written.

use crate::cpu::layout::BLOCK;
use crate::cpu::parallel::with_scratch;
use crate::cpu::pixel::{Pixel, Vectors, pixelwise};
use crate::ops::LocalResponseNorm;
use pulp::Simd;
use rayon::prelude::*;

/// Pixels that are treated at once.
const PIXELS: usize = 64;

/// The channels of some pixels, and the windows over them.
struct Neighbours {
    /// Channels of a window before the one that it belongs to; the zeros before the first channel.
    before: usize,
    size: usize,
    /// Elements from one pixel to the next.
    pitch: usize,
}

impl Neighbours {
    fn new(d: &LocalResponseNorm, before: usize) -> Self {
        // No window has more terms than there are channels on either side.
        let (before, after) = (before.min(d.channels), (d.size - 1 - before).min(d.channels));
        let size = before + 1 + after;
        Neighbours { before, size, pitch: d.channels + size - 1 }
    }

    /// Elements for `PIXELS` pixels.
    fn len(&self) -> usize {
        PIXELS * self.pitch
    }

    /// The channels of a block, of pixel `p`.
    #[inline(always)]
    fn block<'a>(&self, values: &'a mut [f32], p: usize, block: usize) -> &'a mut Pixel {
        let first = p * self.pitch + self.before + block * BLOCK;
        &mut values[first..].as_chunks_mut::<BLOCK>().0[0]
    }

    /// The sums of the windows of a block's channels, of pixel `p`.
    #[inline(always)]
    fn sums<S: Simd, const L: usize>(
        &self,
        v: Vectors<S, L>,
        values: &[f32],
        p: usize,
        block: usize,
    ) -> [S::f32s; L] {
        let mut sums = v.splat(0.0);
        let first = p * self.pitch + block * BLOCK;
        for place in first..first + self.size {
            sums = v.add(sums, v.load(&values[place..].as_chunks::<BLOCK>().0[0]));
        }
        sums
    }
}

/// scale^-beta. Roots are much faster than a general power, and AlexNet's beta is 3/4.
#[inline(always)]
fn power<S: Simd, const L: usize>(v: Vectors<S, L>, beta: f32, scale: [S::f32s; L]) -> [S::f32s; L] {
    let one = v.splat(1.0);
    if beta == 0.75 {
        let root = v.sqrt(scale);
        v.div(one, v.mul(root, v.sqrt(root)))
    } else if beta == 0.5 {
        v.div(one, v.sqrt(scale))
    } else if beta == 1.0 {
        v.div(one, scale)
    } else {
        let mut powers = [0.0; BLOCK];
        v.store(scale, &mut powers);
        v.load(&powers.map(|scale| scale.powf(-beta)))
    }
}

/// y and scale.
pub fn forward(d: &LocalResponseNorm, x: &[f32], y: &mut [f32], scale: &mut [f32]) {
    let (inner, image) = (d.inner, d.channels * d.inner);
    let factor = d.alpha / d.size as f32;
    let neighbours = Neighbours::new(d, d.size / 2);
    let results = y.par_chunks_mut(image).zip(scale.par_chunks_mut(image));
    results.zip(x.par_chunks(image)).for_each(|((y, scale), x)| {
        let (y, scale) = (y.as_chunks_mut::<BLOCK>().0, scale.as_chunks_mut::<BLOCK>().0);
        let x = x.as_chunks::<BLOCK>().0;
        with_scratch([neighbours.len()], |[squares]| {
            pixelwise!(|v| {
                squares.fill(0.0);
                for first in (0..inner).step_by(PIXELS) {
                    let len = PIXELS.min(inner - first);
                    let blocks = (0..d.channels / BLOCK).map(|block| (block, block * inner + first));
                    for (block, at) in blocks.clone() {
                        for (p, x) in x[at..][..len].iter().enumerate() {
                            let x = v.load(x);
                            v.store(v.mul(x, x), neighbours.block(squares, p, block));
                        }
                    }
                    for (block, at) in blocks {
                        let pixels =
                            x[at..][..len].iter().zip(&mut y[at..][..len]).zip(&mut scale[at..][..len]);
                        for (p, ((x, y), scale)) in pixels.enumerate() {
                            let sum = neighbours.sums(v, squares, p, block);
                            let sum = v.add(v.splat(d.k), v.mul(v.splat(factor), sum));
                            v.store(sum, scale);
                            v.store(v.mul(v.load(x), power(v, d.beta, sum)), y);
                        }
                    }
                }
            });
        });
    });
}

/// dx, as in the plain layout.
pub fn backward(d: &LocalResponseNorm, x: &[f32], scale: &[f32], dy: &[f32], dx: &mut [f32]) {
    let (inner, image) = (d.inner, d.channels * d.inner);
    let factor = 2.0 * d.alpha * d.beta / d.size as f32;
    let neighbours = Neighbours::new(d, (d.size - 1) / 2);
    let inputs = x.par_chunks(image).zip(scale.par_chunks(image)).zip(dy.par_chunks(image));
    dx.par_chunks_mut(image).zip(inputs).for_each(|(dx, ((x, scale), dy))| {
        let [x, scale, dy] = [x, scale, dy].map(|values| values.as_chunks::<BLOCK>().0);
        let dx = dx.as_chunks_mut::<BLOCK>().0;
        with_scratch([neighbours.len()], |[ratios]| {
            pixelwise!(|v| {
                ratios.fill(0.0);
                for first in (0..inner).step_by(PIXELS) {
                    let len = PIXELS.min(inner - first);
                    let blocks = (0..d.channels / BLOCK).map(|block| (block, block * inner + first));
                    // First dx = dy scale^-beta, and ratios = dx x / scale for all channels.
                    for (block, at) in blocks.clone() {
                        let inputs = x[at..][..len].iter().zip(&scale[at..][..len]).zip(&dy[at..][..len]);
                        for (p, (dx, ((x, scale), dy))) in dx[at..][..len].iter_mut().zip(inputs).enumerate()
                        {
                            let scale = v.load(scale);
                            let inverse = v.div(v.splat(1.0), scale);
                            // A quarter's root times the inverse spares the division of the other form.
                            let power = match d.beta {
                                0.75 => v.mul(inverse, v.sqrt(v.sqrt(scale))),
                                _ => power(v, d.beta, scale),
                            };
                            let value = v.mul(v.load(dy), power);
                            v.store(value, dx);
                            let ratio = v.mul(v.mul(value, v.load(x)), inverse);
                            v.store(ratio, neighbours.block(ratios, p, block));
                        }
                    }
                    for (block, at) in blocks {
                        for (p, (dx, x)) in dx[at..][..len].iter_mut().zip(&x[at..][..len]).enumerate() {
                            let sum = neighbours.sums(v, ratios, p, block);
                            let change = v.mul(v.mul(v.splat(factor), v.load(x)), sum);
                            v.store(v.sub(v.load(dx), change), dx);
                        }
                    }
                }
            });
        });
    });
}
