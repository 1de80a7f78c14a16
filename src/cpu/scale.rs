//! A factor for each channel.

use super::channel_sums::{ChannelSums, Parts};
use super::layout::{BLOCK, Layout};
use super::parallel::units_per_task;
use super::pixel::pixelwise;
use super::simd::vectorised;
use super::sum::Sum;
use crate::ops::Scale;
use rayon::prelude::*;

/// Channels of one task when every channel has one value to a row.
const COLUMNS: usize = 64;

/// y = x w, and dx = dy w.
pub fn scale(d: &Scale, layout: Layout, x: &[f32], w: &[f32], y: &mut [f32]) {
    if layout == Layout::Blocks {
        return blocks(d, x, w, y);
    }
    let (inner, units) = (d.inner, units_per_task(d.inner));
    if inner == 1 {
        return y.par_chunks_mut(d.channels).zip(x.par_chunks(d.channels)).for_each(|(y, x)| {
            vectorised!(|| {
                for ((y, &x), &w) in y.iter_mut().zip(x).zip(w) {
                    *y = x * w;
                }
            });
        });
    }
    y.par_chunks_mut(units * inner).zip(x.par_chunks(units * inner)).enumerate().for_each(
        |(task, (y, x))| {
            for (line, (y, x)) in y.chunks_exact_mut(inner).zip(x.chunks_exact(inner)).enumerate() {
                let w = w[(task * units + line) % d.channels];
                vectorised!(|| {
                    for (y, &x) in y.iter_mut().zip(x) {
                        *y = x * w;
                    }
                });
            }
        },
    );
}

/// y from x in blocks of channels.
fn blocks(d: &Scale, x: &[f32], w: &[f32], y: &mut [f32]) {
    let (x, w, y) = (x.as_chunks::<BLOCK>().0, w.as_chunks::<BLOCK>().0, y.as_chunks_mut::<BLOCK>().0);
    let planes = units_per_task(d.inner * BLOCK);
    let tasks = y.par_chunks_mut(planes * d.inner).zip(x.par_chunks(planes * d.inner));
    tasks.enumerate().for_each(|(task, (y, x))| {
        pixelwise!(narrow, |v| {
            for (plane, (y, x)) in y.chunks_exact_mut(d.inner).zip(x.chunks_exact(d.inner)).enumerate() {
                let w = v.load(&w[(task * planes + plane) % w.len()]);
                for (y, x) in y.iter_mut().zip(x) {
                    v.store(v.mul(v.load(x), w), y);
                }
            }
        });
    });
}

/// dw, the sums of x dy.
pub fn scale_grad_weight(d: &Scale, layout: Layout, x: &[f32], dy: &[f32], dw: &mut [f32]) {
    let row = d.channels * d.inner;
    if d.inner == 1 {
        dw.par_chunks_mut(COLUMNS).enumerate().for_each(|(task, dw)| {
            let mut total = [0.0f64; COLUMNS];
            for (x, dy) in x.chunks_exact(row).zip(dy.chunks_exact(row)) {
                let columns = task * COLUMNS..task * COLUMNS + dw.len();
                for ((total, &x), &dy) in total.iter_mut().zip(&x[columns.clone()]).zip(&dy[columns]) {
                    *total += f64::from(x * dy);
                }
            }
            for (dw, &total) in dw.iter_mut().zip(&total) {
                *dw = total as f32;
            }
        });
        return;
    }
    if layout == Layout::Blocks {
        let (x, dy) = (x.as_chunks::<BLOCK>().0, dy.as_chunks::<BLOCK>().0);
        let parts = Parts::new(d.batch, d.channels, d.inner);
        let sums = parts.map(|part| {
            pixelwise!(|v| {
                let mut sums = ChannelSums::<1, 4>::new();
                for (x, dy) in part.lines(x).zip(part.lines(dy)) {
                    sums.add2(v, x, dy, |x, dy| [v.mul(x, dy)]);
                }
                let [totals] = sums.totals();
                totals
            })
        });
        for (channel, dw) in dw.iter_mut().enumerate() {
            let totals = parts.of_block(&sums, channel / BLOCK).map(|totals| totals[channel % BLOCK]);
            *dw = totals.sum::<f64>() as f32;
        }
        return;
    }
    dw.par_iter_mut().enumerate().for_each(|(c, dw)| {
        let mut total = Sum::default();
        let lines = x.chunks_exact(row).zip(dy.chunks_exact(row));
        vectorised!(|| {
            for (x, dy) in lines {
                let line = c * d.inner..(c + 1) * d.inner;
                total.add2(&x[line.clone()], &dy[line], |x, dy| x * dy);
            }
        });
        *dw = total.total() as f32;
    });
}
