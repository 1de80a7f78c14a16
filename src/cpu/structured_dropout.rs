//! Dropout of whole channels, images or batches: the factor of each unit by the dropout of one element for each, and then
//! products.

use super::dropout::dropout;
use super::layout::{BLOCK, Layout};
use super::parallel::units_per_task;
use super::simd::vectorised;
use crate::ops::{DropUnit, StructuredDropout};
use rayon::prelude::*;

/// y = x times the mask over 1 - p; with dy and dx it is its own gradient.
pub fn structured_dropout(d: &StructuredDropout, layout: Layout, x: &[f32], hyper: &[f32], y: &mut [f32]) {
    let units = d.of_units();
    let mut factors = vec![0.0; units.len];
    dropout(&units, &vec![1.0; units.len], hyper, &mut factors);
    if layout == Layout::Blocks && d.unit == DropUnit::Channel {
        return blocks(d, &factors, x, y);
    }
    // Runs of elements with one factor; a long one is cut.
    let run = d.unit_len().min(d.channels * d.inner);
    let (per_factor, runs) = (d.unit_len() / run, units_per_task(run));
    y.par_chunks_mut(runs * run).zip(x.par_chunks(runs * run)).enumerate().for_each(|(task, (y, x))| {
        for (i, (y, x)) in y.chunks_exact_mut(run).zip(x.chunks_exact(run)).enumerate() {
            let factor = factors[(task * runs + i) / per_factor];
            if factor == 0.0 {
                // Not a product, which would keep a NaN.
                y.fill(0.0);
                continue;
            }
            vectorised!(|| {
                for (y, &x) in y.iter_mut().zip(x) {
                    *y = x * factor;
                }
            });
        }
    });
}

/// Channels with x and y in blocks: each block of an image has 16 factors.
fn blocks(d: &StructuredDropout, factors: &[f32], x: &[f32], y: &mut [f32]) {
    let (x, y) = (x.as_chunks::<BLOCK>().0, y.as_chunks_mut::<BLOCK>().0);
    let planes = units_per_task(d.inner * BLOCK);
    let factors = factors.as_chunks::<BLOCK>().0;
    let tasks = y.par_chunks_mut(planes * d.inner).zip(x.par_chunks(planes * d.inner));
    tasks.enumerate().for_each(|(task, (y, x))| {
        vectorised!(|| {
            for (plane, (y, x)) in y.chunks_exact_mut(d.inner).zip(x.chunks_exact(d.inner)).enumerate() {
                let factors = factors[task * planes + plane];
                for (y, x) in y.iter_mut().zip(x) {
                    for lane in 0..BLOCK {
                        let scaled = x[lane] * factors[lane];
                        y[lane] = if factors[lane] == 0.0 { 0.0 } else { scaled };
                    }
                }
            }
        });
    });
}
