//! The channel shuffle: copies of whole lines, or of single lanes where channels lie in blocks.

use super::layout::{BLOCK, Layout};
use super::parallel::units_per_task;
use crate::ops::ChannelShuffle;
use rayon::prelude::*;

/// y from x.
pub fn channel_shuffle(d: &ChannelShuffle, layout: Layout, x: &[f32], y: &mut [f32]) {
    if layout == Layout::Blocks {
        return blocks(d, x, y);
    }
    let (inner, units) = (d.inner, units_per_task(d.inner));
    y.par_chunks_mut(units * inner).enumerate().for_each(|(task, y)| {
        for (line, y) in y.chunks_exact_mut(inner).enumerate() {
            let line = task * units + line;
            let source = line / d.channels * d.channels + d.source(line % d.channels);
            y.copy_from_slice(&x[source * inner..][..inner]);
        }
    });
}

/// y from x, both in blocks of channels: each lane of a block of y is a lane of some block of x.
fn blocks(d: &ChannelShuffle, x: &[f32], y: &mut [f32]) {
    let (pixels, blocks) = (d.inner, d.channels / BLOCK);
    let x = x.as_chunks::<BLOCK>().0;
    y.as_chunks_mut::<BLOCK>().0.par_chunks_mut(pixels).enumerate().for_each(|(plane, y)| {
        let image = &x[plane / blocks * blocks * pixels..][..blocks * pixels];
        let first = plane % blocks * BLOCK;
        for lane in 0..BLOCK {
            let channel = d.source(first + lane);
            let source = &image[channel / BLOCK * pixels..][..pixels];
            for (y, x) in y.iter_mut().zip(source) {
                y[lane] = x[channel % BLOCK];
            }
        }
    });
}
