//! The product of a feature map with one factor for each image and channel, and its gradient.

use super::channel_sums::ChannelSums;
use super::layout::{BLOCK, Layout};
use super::parallel::units_per_task;
use super::pixel::pixelwise;
use super::simd::vectorised;
use super::sum::sum2;
use crate::ops::Gate;
use rayon::prelude::*;

/// y = x times the gate of its channel.
pub fn mul_gate(d: &Gate, layout: Layout, x: &[f32], gate: &[f32], y: &mut [f32]) {
    // Planes of one channel, or of a block of channels. The gates lie in the same order in either layout.
    let width = width(layout);
    let (unit, count) = (d.inner * width, units_per_task(d.inner * width));
    let inputs = x.par_chunks(count * unit).zip(gate.par_chunks(count * width));
    y.par_chunks_mut(count * unit).zip(inputs).for_each(|(y, (x, gate))| {
        let planes = y.chunks_exact_mut(unit).zip(x.chunks_exact(unit)).zip(gate.chunks_exact(width));
        for ((y, x), gate) in planes {
            match layout {
                Layout::Plain => vectorised!(|| {
                    for (y, &x) in y.iter_mut().zip(x) {
                        *y = x * gate[0];
                    }
                }),
                Layout::Blocks => {
                    let (gate, _) = gate.as_chunks::<BLOCK>();
                    pixelwise!(narrow, |v| {
                        let gate = v.load(&gate[0]);
                        for (y, x) in y.as_chunks_mut().0.iter_mut().zip(x.as_chunks().0) {
                            v.store(v.mul(v.load(x), gate), y);
                        }
                    });
                }
            }
        }
    });
}

/// dgate = the sum of dy x over each plane.
pub fn mul_grad_gate(d: &Gate, layout: Layout, x: &[f32], dy: &[f32], dgate: &mut [f32]) {
    let width = width(layout);
    let (unit, count) = (d.inner * width, units_per_task(d.inner * width));
    let inputs = x.par_chunks(count * unit).zip(dy.par_chunks(count * unit));
    dgate.par_chunks_mut(count * width).zip(inputs).for_each(|(dgate, (x, dy))| {
        let planes = dgate.chunks_exact_mut(width).zip(x.chunks_exact(unit)).zip(dy.chunks_exact(unit));
        for ((dgate, x), dy) in planes {
            match layout {
                Layout::Plain => dgate[0] = vectorised!(|| sum2(x, dy, |x, dy| x * dy)) as f32,
                Layout::Blocks => {
                    let [totals] = pixelwise!(|v| {
                        let mut sums = ChannelSums::<1, 4>::new();
                        sums.add2(v, x.as_chunks().0, dy.as_chunks().0, |x, dy| [v.mul(x, dy)]);
                        sums.totals()
                    });
                    for (dgate, total) in dgate.iter_mut().zip(totals) {
                        *dgate = total as f32;
                    }
                }
            }
        }
    });
}

/// Channels that lie side by side at each pixel.
fn width(layout: Layout) -> usize {
    match layout {
        Layout::Plain => 1,
        Layout::Blocks => BLOCK,
    }
}
