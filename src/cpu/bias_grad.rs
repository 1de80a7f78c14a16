//! The gradient of a bias: the sum of dy over everything but the channel.

use super::channel_sums::{ChannelSums, Parts};
use super::layout::{BLOCK, Layout};
use super::pixel::pixelwise;
use super::simd::vectorised;
use super::sum::Sum;
use crate::ops::BiasGrad;
use rayon::prelude::*;

/// Channels of one task when every channel has one value to a row.
const COLUMNS: usize = 64;

/// db from dy.
pub fn bias_grad(d: &BiasGrad, layout: Layout, dy: &[f32], db: &mut [f32]) {
    let row = d.channels * d.inner;
    if d.inner == 1 {
        db.par_chunks_mut(COLUMNS).enumerate().for_each(|(i, db)| {
            let mut total = [0.0f64; COLUMNS];
            for line in dy.chunks_exact(row) {
                for (t, &v) in total.iter_mut().zip(&line[i * COLUMNS..][..db.len()]) {
                    *t += f64::from(v);
                }
            }
            for (b, &t) in db.iter_mut().zip(&total) {
                *b = t as f32;
            }
        });
        return;
    }
    if layout == Layout::Blocks {
        return blocks(d, dy, db);
    }
    db.par_iter_mut().enumerate().for_each(|(c, db)| {
        let mut total = Sum::default();
        vectorised!(|| {
            for line in dy.chunks_exact(row) {
                total.add1(&line[c * d.inner..][..d.inner], |dy| dy);
            }
        });
        *db = total.total() as f32;
    });
}

/// db from dy in blocks of channels.
fn blocks(d: &BiasGrad, dy: &[f32], db: &mut [f32]) {
    let dy = dy.as_chunks::<BLOCK>().0;
    let parts = Parts::new(d.batch, d.channels, d.inner);
    let sums = parts.map(|part| {
        pixelwise!(|v| {
            let mut sums = ChannelSums::<1, 4>::new();
            for dy in part.lines(dy) {
                sums.add1(v, dy, |dy| [dy]);
            }
            let [totals] = sums.totals();
            totals
        })
    });
    for (channel, db) in db.iter_mut().enumerate() {
        let totals = parts.of_block(&sums, channel / BLOCK).map(|totals| totals[channel % BLOCK]);
        *db = totals.sum::<f64>() as f32;
    }
}
