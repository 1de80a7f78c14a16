//! Layer normalisation in blocks of channels.

use super::inverse_deviation;
use crate::cpu::channel_sums::{ChannelSums, Parts};
use crate::cpu::layout::BLOCK;
use crate::cpu::pixel::{Pixel, Vectors, pixelwise};
use crate::ops::LayerNorm;
use pulp::Simd;

/// Pixels whose sums are taken up side by side; a block of so many pixels takes 4 KiB.
const PIXELS: usize = 64;

/// Adds `term(block, pixel)` up over the blocks, for each pixel of a run, and then its lanes in order.
#[inline(always)]
fn over_channels<S: Simd, const L: usize>(
    v: Vectors<S, L>,
    blocks: usize,
    pixels: usize,
    term: impl Fn(usize, usize) -> [S::f32s; L],
) -> [f64; PIXELS] {
    let mut sums: [Pixel; PIXELS] = [[0.0; BLOCK]; PIXELS];
    for block in 0..blocks {
        for (i, sum) in sums[..pixels].iter_mut().enumerate() {
            v.store(v.add(v.load(sum), term(block, i)), sum);
        }
    }
    sums.map(|lanes| lanes.iter().map(|&lane| f64::from(lane)).sum())
}

/// One image `[blocks, inner, BLOCK]`.
pub fn forward(
    d: &LayerNorm,
    x: &[f32],
    w: &[f32],
    b: &[f32],
    y: &mut [f32],
    mean: &mut [f32],
    r: &mut [f32],
) {
    let (x, y) = (x.as_chunks::<BLOCK>().0, y.as_chunks_mut::<BLOCK>().0);
    let (w, b) = (w.as_chunks::<BLOCK>().0, b.as_chunks::<BLOCK>().0);
    for first in (0..d.inner).step_by(PIXELS) {
        let pixels = PIXELS.min(d.inner - first);
        let (mean, r) = (&mut mean[first..first + pixels], &mut r[first..first + pixels]);
        pixelwise!(|v| {
            let at = |block: usize, i: usize| block * d.inner + first + i;
            let totals = over_channels(v, w.len(), pixels, |block, i| v.load(&x[at(block, i)]));
            for (mean, total) in mean.iter_mut().zip(totals) {
                *mean = (total / d.channels as f64) as f32;
            }
            let squares = over_channels(v, w.len(), pixels, |block, i| {
                let centred = v.sub(v.load(&x[at(block, i)]), v.splat(mean[i]));
                v.mul(centred, centred)
            });
            for (r, squares) in r.iter_mut().zip(squares) {
                *r = inverse_deviation(d, squares);
            }
            for block in 0..w.len() {
                let (w, b) = (v.load(&w[block]), v.load(&b[block]));
                for i in 0..pixels {
                    let centred = v.sub(v.load(&x[at(block, i)]), v.splat(mean[i]));
                    let value = v.add(v.mul(v.mul(centred, v.splat(r[i])), w), b);
                    v.store(value, &mut y[at(block, i)]);
                }
            }
        });
    }
}

/// dx of one image.
pub fn grad_input(d: &LayerNorm, x: &[f32], w: &[f32], mean: &[f32], r: &[f32], dy: &[f32], dx: &mut [f32]) {
    let (x, dy, dx) = (x.as_chunks::<BLOCK>().0, dy.as_chunks::<BLOCK>().0, dx.as_chunks_mut::<BLOCK>().0);
    let (w, n) = (w.as_chunks::<BLOCK>().0, d.channels as f64);
    for first in (0..d.inner).step_by(PIXELS) {
        let pixels = PIXELS.min(d.inner - first);
        let (mean, r) = (&mean[first..first + pixels], &r[first..first + pixels]);
        pixelwise!(|v| {
            let at = |block: usize, i: usize| block * d.inner + first + i;
            let g = |block: usize, i: usize| v.mul(v.load(&dy[at(block, i)]), v.load(&w[block]));
            let z = |block: usize, i: usize| {
                v.mul(v.sub(v.load(&x[at(block, i)]), v.splat(mean[i])), v.splat(r[i]))
            };
            let sums = over_channels(v, w.len(), pixels, g);
            let products = over_channels(v, w.len(), pixels, |block, i| v.mul(g(block, i), z(block, i)));
            for block in 0..w.len() {
                for i in 0..pixels {
                    let (sum, product) = (v.splat((sums[i] / n) as f32), v.splat((products[i] / n) as f32));
                    let rest = v.sub(v.sub(g(block, i), sum), v.mul(z(block, i), product));
                    v.store(v.mul(v.splat(r[i]), rest), &mut dx[at(block, i)]);
                }
            }
        });
    }
}

/// dw.
pub fn grad_weight(d: &LayerNorm, x: &[f32], mean: &[f32], r: &[f32], dy: &[f32], dw: &mut [f32]) {
    let (x, dy) = (x.as_chunks::<BLOCK>().0, dy.as_chunks::<BLOCK>().0);
    let parts = Parts::new(d.batch, d.channels, d.inner);
    let sums = parts.map(|part| {
        pixelwise!(|v| {
            let mut sums = ChannelSums::<1, 4>::new();
            let mut normalised: [Pixel; PIXELS] = [[0.0; BLOCK]; PIXELS];
            for (start, (x, dy)) in part.positions().zip(part.lines(x).zip(part.lines(dy))) {
                for (run, (x, dy)) in x.chunks(PIXELS).zip(dy.chunks(PIXELS)).enumerate() {
                    let place = start + run * PIXELS;
                    let statistics = mean[place..].iter().zip(&r[place..]);
                    for ((z, x), (&mean, &r)) in normalised.iter_mut().zip(x).zip(statistics) {
                        v.store(v.mul(v.sub(v.load(x), v.splat(mean)), v.splat(r)), z);
                    }
                    sums.add2(v, &normalised[..x.len()], dy, |z, dy| [v.mul(z, dy)]);
                }
            }
            let [totals] = sums.totals();
            totals
        })
    });
    for (channel, dw) in dw.iter_mut().enumerate() {
        let totals = parts.of_block(&sums, channel / BLOCK).map(|totals| totals[channel % BLOCK]);
        *dw = totals.sum::<f64>() as f32;
    }
}
