//! The rectifier with a trained slope. All passes test x > 0, so that a NaN takes the branch that multiplies and stays a NaN.

use super::channel_sums::{ChannelSums, Parts};
use super::layout::{BLOCK, Layout};
use super::parallel::{map, map2, units_per_task};
use super::pixel::pixelwise;
use super::simd::vectorised;
use super::sum::Sum;
use crate::ops::Prelu;
use rayon::prelude::*;

/// Channels of one task when every channel has one value to a row.
const COLUMNS: usize = 64;

/// y = x if x > 0, else w x.
pub fn prelu_forward(d: &Prelu, layout: Layout, x: &[f32], w: &[f32], y: &mut [f32]) {
    match w {
        [w] => map(x, y, |x| if x > 0.0 { x } else { w * x }),
        _ => by_channel(d, layout, x, x, w, y, |x, _, w| if x > 0.0 { x } else { w * x }),
    }
}

/// dx = dy if x > 0, else w dy.
pub fn prelu_grad_input(d: &Prelu, layout: Layout, x: &[f32], w: &[f32], dy: &[f32], dx: &mut [f32]) {
    match w {
        [w] => map2(x, dy, dx, |x, dy| if x > 0.0 { dy } else { w * dy }),
        _ => by_channel(d, layout, x, dy, w, dx, |x, dy, w| if x > 0.0 { dy } else { w * dy }),
    }
}

/// y = f(a, b, w of the channel).
fn by_channel(
    d: &Prelu,
    layout: Layout,
    a: &[f32],
    b: &[f32],
    w: &[f32],
    y: &mut [f32],
    f: impl Fn(f32, f32, f32) -> f32 + Sync,
) {
    // A row is one image of a flat input, else a plane of one channel, or of a block of channels.
    let (unit, width) = match layout {
        _ if d.inner == 1 => (d.channels, d.channels),
        Layout::Plain => (d.inner, 1),
        Layout::Blocks => (d.inner * BLOCK, BLOCK),
    };
    let count = units_per_task(unit);
    let inputs = a.par_chunks(count * unit).zip(b.par_chunks(count * unit));
    y.par_chunks_mut(count * unit).zip(inputs).enumerate().for_each(|(task, (y, (a, b)))| {
        let rows = y.chunks_exact_mut(unit).zip(a.chunks_exact(unit)).zip(b.chunks_exact(unit));
        for (row, ((y, a), b)) in rows.enumerate() {
            let first = (task * count + row) * width % d.channels;
            let w = &w[first..first + width];
            vectorised!(|| match *w {
                [w] => {
                    for ((y, &a), &b) in y.iter_mut().zip(a).zip(b) {
                        *y = f(a, b, w);
                    }
                }
                _ => {
                    let pixels =
                        y.chunks_exact_mut(width).zip(a.chunks_exact(width)).zip(b.chunks_exact(width));
                    for ((y, a), b) in pixels {
                        for (((y, &a), &b), &w) in y.iter_mut().zip(a).zip(b).zip(w) {
                            *y = f(a, b, w);
                        }
                    }
                }
            });
        }
    });
}

/// A term of dw.
#[inline(always)]
fn term(x: f32, dy: f32) -> f32 {
    if x > 0.0 { 0.0 } else { x * dy }
}

/// dw = the sum of x dy where x is not above 0.
pub fn prelu_grad_weight(d: &Prelu, layout: Layout, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    let image = d.channels * d.inner;
    if d.shared {
        let images: Vec<f64> = x
            .par_chunks(image)
            .zip(dy.par_chunks(image))
            .map(|(x, dy)| {
                let mut sum = Sum::default();
                vectorised!(|| sum.add2(x, dy, term));
                sum.total()
            })
            .collect();
        dw[0] = images.iter().sum::<f64>() as f32;
    } else if d.inner == 1 {
        dw.par_chunks_mut(COLUMNS).enumerate().for_each(|(i, dw)| {
            let mut totals = [0.0f64; COLUMNS];
            for (x, dy) in x.chunks_exact(image).zip(dy.chunks_exact(image)) {
                let columns = i * COLUMNS..i * COLUMNS + dw.len();
                for ((t, &x), &dy) in totals.iter_mut().zip(&x[columns.clone()]).zip(&dy[columns]) {
                    *t += f64::from(term(x, dy));
                }
            }
            for (dw, &total) in dw.iter_mut().zip(&totals) {
                *dw = total as f32;
            }
        });
    } else if layout == Layout::Blocks {
        blocks(d, x, dy, dw);
    } else {
        dw.par_iter_mut().enumerate().for_each(|(c, dw)| {
            let mut sum = Sum::default();
            vectorised!(|| {
                for (x, dy) in x.chunks_exact(image).zip(dy.chunks_exact(image)) {
                    let plane = c * d.inner..(c + 1) * d.inner;
                    sum.add2(&x[plane.clone()], &dy[plane], term);
                }
            });
            *dw = sum.total() as f32;
        });
    }
}

/// dw from x and dy in blocks of channels.
fn blocks(d: &Prelu, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    let (x, dy) = (x.as_chunks::<BLOCK>().0, dy.as_chunks::<BLOCK>().0);
    let parts = Parts::new(d.batch, d.channels, d.inner);
    let sums = parts.map(|part| {
        pixelwise!(|v| {
            let mut sums = ChannelSums::<1, 4>::new();
            for (x, dy) in part.lines(x).zip(part.lines(dy)) {
                sums.add2(v, x, dy, |x, dy| [v.where_not_positive(x, v.mul(x, dy))]);
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
