//! Convolutions whose results have too few channels for vectors of them: vectors run along pixels, in plain tensors.
//!
//! The panel of a strip has one row for each term of a sum, and one column for each pixel: y = w panel, dw = dy panel^T, and dx
//! is like y.

use super::source::Source;
use super::taps::Taps;
use super::weights::Direction;
use crate::cpu::block_product::Finish;
use crate::cpu::correlation::TASKS;
use crate::cpu::layout::{BLOCK, Layout};
use crate::cpu::memory::Memory;
use crate::cpu::parallel::with_scratch;
use crate::cpu::product::{Onto, View, product};
use crate::cpu::simd::vectorised;
use crate::ops::Conv2d;
use rayon::prelude::*;
use std::ops::Range;

/// Whether `channels` of a group are too few for vectors of them.
pub fn is_narrow(channels: usize) -> bool {
    channels < BLOCK
}

/// Elements of a panel: 512 KiB.
const PANEL: usize = 1 << 17;

/// Most elements of the sums of all parts.
const SUMS: usize = 1 << 24;

/// Rows of outputs that make a panel.
fn rows(source: &Source, terms: usize, width: usize) -> usize {
    (PANEL / (terms * width).max(1)).clamp(1, source.rows)
}

/// Length of the scratch memory of a panel: whole blocks are copied to it, so there is one to spare.
fn panel_len(terms: usize, pixels: usize) -> usize {
    terms * pixels + BLOCK
}

/// Writes the panel of `rows` rows of `width` pixels: one line for each run of the source, every `across`-th element. What is
/// too much of a block that is copied is overwritten by the next row, or lies behind the last.
fn panel(source: &Source, x: &[f32], rows: usize, width: usize, across: usize, panel: &mut [f32]) {
    let step = if rows > 1 { source.pixels[width] - source.pixels[0] } else { 0 };
    let reach = (rows - 1) * step + width.next_multiple_of(BLOCK);
    vectorised!(|| {
        for (&run, at) in source.runs.iter().zip((0..).step_by(rows * width)) {
            let x = &x[source.pixels[0] + run..];
            if across == 1 && x.len() >= reach {
                for row in 0..rows {
                    for first in (0..width).step_by(BLOCK) {
                        let to = &mut panel[at + row * width + first..][..BLOCK];
                        to.copy_from_slice(&x[row * step + first..][..BLOCK]);
                    }
                }
            } else {
                for (row, line) in panel[at..at + rows * width].chunks_exact_mut(width).enumerate() {
                    let x = x[row * step..].iter().step_by(across);
                    line.iter_mut().zip(x).for_each(|(to, &x)| *to = x);
                }
            }
        }
    });
}

/// to = from + bias, then max(0, .) if `relu`, with steps of `step` between the elements of `to`.
#[inline(always)]
fn put(from: &[f32], bias: f32, relu: bool, step: usize, to: &mut [f32]) {
    // Not f32::max, which would turn a NaN into 0.
    let finished = |value: f32| if relu & (value + bias < 0.0) { 0.0 } else { value + bias };
    if step == 1 {
        to[..from.len()].iter_mut().zip(from).for_each(|(to, &value)| *to = finished(value));
    } else {
        to.iter_mut().step_by(step).zip(from).for_each(|(to, &value)| *to = finished(value));
    }
}

/// The sums over `taps`, from `from` to `to`, both plain.
#[allow(clippy::too_many_arguments, reason = "the operands of one loop nest")]
pub fn over_pixels(
    d: &Conv2d,
    taps: &Taps,
    direction: Direction,
    from: &[f32],
    w: &[f32],
    finish: Finish,
    workspace: &mut Memory,
    to: &mut [f32],
) {
    let (c_in, c_out) = (d.c_in_group(), d.c_out_group());
    let (x, y) = ([d.h_in, d.w_in], [d.h_out(), d.w_out()]);
    let (from_channels, from_size, to_channels, to_size) = match direction {
        Direction::Forward => (c_in, x, c_out, y),
        Direction::Backward => (c_out, y, c_in, x),
    };
    let shape = [d.batch, d.groups, from_channels];
    let source = Source::new(taps, Layout::Plain, shape, from_size, 1, from_channels);
    let terms = source.runs.len();
    let [h_out, w_out] = taps.outputs;
    let most = rows(&source, terms, w_out);
    // Weights as [groups * channels, terms].
    let weights = workspace.reserve(d.groups * to_channels * terms);
    let kernel = d.kernel[0] * d.kernel[1];
    for (i, line) in weights.chunks_exact_mut(terms.max(1)).enumerate() {
        let (group, channel) = (i / to_channels, i % to_channels);
        for (k, value) in line.iter_mut().enumerate() {
            let (other, tap) = (k / taps.kernel.len(), taps.kernel[k % taps.kernel.len()]);
            let pair = match direction {
                Direction::Forward => (group * c_out + channel) * c_in + other,
                Direction::Backward => (group * c_out + other) * c_in + channel,
            };
            *value = w[pair * kernel + tap];
        }
    }
    let weights = &*weights;
    let pixels = to_size[0] * to_size[1];
    to.par_chunks_mut(to_channels * pixels).enumerate().for_each(|(i, to)| {
        let (image, group) = (i / d.groups, i % d.groups);
        let lengths = [source.scratch(), panel_len(terms, most * w_out), to_channels * most * w_out];
        with_scratch(lengths, |[copy, lines, result]| {
            for row in (0..h_out).step_by(most) {
                let rows = row..h_out.min(row + most);
                let count = rows.len() * w_out;
                let x = source.strip(from, image, 1, rows.clone(), group, 0..from_channels, copy);
                panel(&source, x, rows.len(), w_out, taps.step[1], lines);
                let weights = &weights[group * to_channels * terms..][..to_channels * terms];
                let weights = View::new(weights, to_channels, terms, terms);
                product(result, count, Onto::Nothing, weights, View::new(lines, terms, count, count));
                vectorised!(|| {
                    for (c, result) in result.chunks_exact(count).take(to_channels).enumerate() {
                        let bias = finish.bias.map_or(0.0, |b| b[group * to_channels + c]);
                        for (row, result) in rows.clone().zip(result.chunks_exact(w_out)) {
                            let begin = c * pixels + taps.place(row, 0, to_size[1]);
                            put(result, bias, finish.relu, taps.spread[1], &mut to[begin..]);
                        }
                    }
                });
            }
        });
    });
}

/// dw from x and dy, both plain. The sum over the batch is cut into parts by the shape, which are added in order.
pub fn grad_weight(d: &Conv2d, x: &[f32], dy: &[f32], workspace: &mut Memory, dw: &mut [f32]) {
    let (c_in, c_out) = (d.c_in_group(), d.c_out_group());
    let taps = Taps::forward(d);
    let source = Source::new(&taps, Layout::Plain, [d.batch, d.groups, c_in], [d.h_in, d.w_in], 1, c_in);
    let terms = source.runs.len();
    let most = rows(&source, terms, d.w_out());
    let parts = (2 * TASKS).div_ceil(d.groups).min((SUMS / dw.len()).max(1));
    let images = d.batch.div_ceil(parts);
    let sums = workspace.reserve(d.batch.div_ceil(images) * dw.len());
    sums.par_chunks_mut(c_out * terms).enumerate().for_each(|(i, sum)| {
        let (part, group) = (i / d.groups, i % d.groups);
        let images = part * images..d.batch.min((part + 1) * images);
        part_sum(d, &source, most, x, dy, images, group, sum);
    });
    let len = dw.len();
    dw.par_chunks_mut(BLOCK * BLOCK).enumerate().for_each(|(i, dw)| {
        dw.fill(0.0);
        for part in sums.chunks_exact(len) {
            dw.iter_mut().zip(&part[i * BLOCK * BLOCK..]).for_each(|(dw, &part)| *dw += part);
        }
    });
}

/// The sum `[c_out, terms]` over `images` for one group.
#[allow(clippy::too_many_arguments, reason = "the operands of one loop nest")]
fn part_sum(
    d: &Conv2d,
    source: &Source,
    most: usize,
    x: &[f32],
    dy: &[f32],
    images: Range<usize>,
    group: usize,
    sum: &mut [f32],
) {
    let (c_in, c_out, h_out, w_out) = (d.c_in_group(), d.c_out_group(), d.h_out(), d.w_out());
    let terms = source.runs.len();
    let pixels = h_out * w_out;
    with_scratch([source.scratch(), panel_len(terms, most * w_out)], |[copy, lines]| {
        let mut onto = Onto::Nothing;
        for image in images {
            for row in (0..h_out).step_by(most) {
                let rows = row..h_out.min(row + most);
                let count = rows.len() * w_out;
                let x = source.strip(x, image, 1, rows.clone(), group, 0..c_in, copy);
                panel(source, x, rows.len(), w_out, d.stride[1], lines);
                let start = (image * d.c_out + group * c_out) * pixels + row * w_out;
                let dy = View::new(&dy[start..], c_out, count, pixels);
                let lines = View::new(lines, terms, count, count);
                product(sum, terms, onto, dy, lines.transposed());
                onto = Onto::Old;
            }
        }
    });
}
