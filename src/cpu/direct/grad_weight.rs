//! dw from x and dy.
//!
//! The sum runs over every pixel of the batch. It is cut into a number of parts that follows from the shape; each part is
//! summed strip after strip, and the parts are added in order.

use super::narrow::{self, is_narrow};
use super::source::Source;
use super::taps::Taps;
use super::weights::{tile_of, tiles};
use crate::cpu::block_outer::{BlockOuter, most_blocks};
use crate::cpu::correlation::TASKS;
use crate::cpu::layout::{BLOCK, Layout, Layouts};
use crate::cpu::memory::Memory;
use crate::cpu::parallel::with_scratch;
use crate::cpu::product::Onto;
use crate::ops::Conv2d;
use rayon::prelude::*;
use std::ops::Range;

/// Pixels that are summed in registers.
const PIXELS: usize = 256;
/// Most elements of the sums of all parts.
const SUMS: usize = 1 << 24;

/// How the work is cut: parts of the batch, times groups, times blocks of the input channels of a group.
struct Partition<'a> {
    source: Source<'a>,
    parts: usize,
    /// Images of a part.
    images: usize,
    /// Blocks of input channels of a group that are summed apart; 1 where channels do not lie in blocks.
    blocks: usize,
    /// Blocks of output channels of a group.
    outputs: usize,
    /// Runs of one sum and its elements, `[tiles, runs, terms, blocks of the tile, BLOCK]`.
    runs: usize,
    sum: usize,
    /// Where each pixel of a strip lies in dy, or in scratch memory if `is_apart`.
    places: Vec<usize>,
    is_apart: bool,
}

impl<'a> Partition<'a> {
    fn new(d: &Conv2d, layouts: Layouts, taps: &'a Taps) -> Self {
        let (c_in, c_out) = (d.c_in_group(), d.c_out_group());
        let shape = [d.batch, d.groups, c_in];
        let is_blocked = layouts.x == Layout::Blocks;
        let copied = if is_blocked { BLOCK } else { c_in };
        let mut source = Source::new(taps, layouts.x, shape, [d.h_in, d.w_in], d.batch, copied);
        let blocks = if is_blocked { c_in / BLOCK } else { 1 };
        let outputs = c_out.div_ceil(BLOCK);
        let runs = source.runs.len() / blocks;
        let sum = outputs * runs * source.terms * BLOCK;
        let most = (SUMS / (d.groups * blocks * sum)).clamp(1, 2 * TASKS);
        let parts = (2 * TASKS).div_ceil(blocks * d.groups).min(most).min(d.batch).max(1);
        let images = d.batch.div_ceil(parts);
        if source.images > images {
            source = Source::new(taps, layouts.x, shape, [d.h_in, d.w_in], images, copied);
        }
        let is_apart = layouts.y == Layout::Plain;
        let pixels = d.h_out() * d.w_out();
        let count = source.rows * d.w_out();
        let place = |i: usize| {
            if is_apart { i * BLOCK } else { i / count * d.c_out * pixels + i % count * BLOCK }
        };
        let places = (0..source.images * count).map(place).collect();
        Partition {
            source,
            parts: d.batch.div_ceil(images),
            images,
            blocks,
            outputs,
            runs,
            sum,
            places,
            is_apart,
        }
    }
}

/// dw from x and dy.
pub fn grad_weight(
    d: &Conv2d,
    layouts: Layouts,
    x: &[f32],
    dy: &[f32],
    workspace: &mut Memory,
    dw: &mut [f32],
) {
    if layouts == (Layouts { x: Layout::Plain, y: Layout::Plain }) && is_narrow(d.c_out_group()) {
        return narrow::grad_weight(d, x, dy, workspace, dw);
    }
    let taps = Taps::forward(d);
    let cut = Partition::new(d, layouts, &taps);
    let per_part = d.groups * cut.blocks * cut.sum;
    let sums = workspace.reserve(cut.parts * per_part);
    sums.par_chunks_mut(cut.sum).enumerate().for_each(|(task, sum)| {
        let (part, rest) = (task / (d.groups * cut.blocks), task % (d.groups * cut.blocks));
        let first = part * cut.images;
        let images = first..d.batch.min(first + cut.images);
        Task { d, cut: &cut, x, dy }.run(images, rest / cut.blocks, rest % cut.blocks, sum);
    });
    let (sums, c_out, depth) = (&*sums, d.c_out_group(), d.depth());
    dw.par_chunks_mut(c_out * depth).enumerate().for_each(|(group, dw)| {
        dw.par_chunks_mut(BLOCK * depth).enumerate().for_each(|(block, dw)| {
            put_together(&cut, &sums[group * cut.blocks * cut.sum..], per_part, block, depth, dw);
        });
    });
}

/// dw `[up to BLOCK, depth]` of one block of output channels, from the sums of all parts.
fn put_together(cut: &Partition, sums: &[f32], per_part: usize, block: usize, depth: usize, dw: &mut [f32]) {
    let unit = cut.source.terms;
    let tile = tile_of(block, cut.outputs, most_blocks());
    // With blocks, the runs of a sum are the taps.
    let taps = cut.runs;
    for k in 0..depth {
        let (input, term) = if unit == BLOCK {
            let (channel, tap) = (k / taps, k % taps);
            (channel / BLOCK, tap * BLOCK + channel % BLOCK)
        } else {
            (0, k)
        };
        let line = term * tile.len() + block - tile.start;
        let start = input * cut.sum + tile.start * cut.runs * unit * BLOCK + line * BLOCK;
        let mut total = [0.0f32; BLOCK];
        for part in 0..cut.parts {
            let (values, _) = sums[part * per_part + start..][..BLOCK].as_chunks::<BLOCK>();
            for i in 0..BLOCK {
                total[i] += values[0][i];
            }
        }
        for (line, &total) in dw.chunks_exact_mut(depth).zip(&total) {
            line[k] = total;
        }
    }
}

struct Task<'a> {
    d: &'a Conv2d,
    cut: &'a Partition<'a>,
    x: &'a [f32],
    dy: &'a [f32],
}

impl Task<'_> {
    /// The sum over `images` for one block of input channels of a group.
    fn run(&self, images: Range<usize>, group: usize, block: usize, sum: &mut [f32]) {
        let Task { d, cut, .. } = *self;
        let source = &cut.source;
        let (c_out, h_out, w_out) = (d.c_out_group(), d.h_out(), d.w_out());
        let pixels = h_out * w_out;
        let runs = &source.runs[..cut.runs];
        let channels =
            if source.terms == BLOCK { block * BLOCK..(block + 1) * BLOCK } else { 0..d.c_in_group() };
        let apart = if cut.is_apart { cut.outputs * source.images * source.rows * w_out * BLOCK } else { 0 };
        with_scratch([source.scratch(), apart], |[copy, apart]| {
            let mut onto = Onto::Nothing;
            for first in images.clone().step_by(source.images) {
                let count = source.images.min(images.end - first);
                for row in (0..h_out).step_by(source.rows) {
                    let rows = row..h_out.min(row + source.rows);
                    let x = source.strip(self.x, first, count, rows.clone(), group, channels.clone(), copy);
                    let strip = count * rows.len() * w_out;
                    let (dy, pitch) = if cut.is_apart {
                        self.gather(first, count, group, rows.clone(), apart);
                        (&*apart, strip * BLOCK)
                    } else {
                        let channel = first * d.c_out + group * c_out;
                        (&self.dy[channel * pixels + row * w_out * BLOCK..], pixels * BLOCK)
                    };
                    for begin in (0..strip).step_by(PIXELS) {
                        let part = begin..strip.min(begin + PIXELS);
                        for tile in tiles(cut.outputs, most_blocks()) {
                            BlockOuter {
                                x,
                                pixels: &source.pixels[part.clone()],
                                runs,
                                terms: source.terms,
                                dy: &dy[tile.start * pitch..],
                                places: &cut.places[part.clone()],
                                block: pitch,
                                blocks: tile.len(),
                                dw: &mut sum[tile.start * runs.len() * source.terms * BLOCK..]
                                    [..tile.len() * runs.len() * source.terms * BLOCK],
                                onto,
                                part: PIXELS,
                            }
                            .run();
                        }
                        onto = Onto::Old;
                    }
                }
            }
        });
    }

    /// apart `[blocks, images * rows * w_out, BLOCK]` = the channels of a group of dy, and zeros up to whole blocks.
    fn gather(&self, first: usize, images: usize, group: usize, rows: Range<usize>, apart: &mut [f32]) {
        let d = self.d;
        let (c_out, w_out, pixels) = (d.c_out_group(), d.w_out(), d.h_out() * d.w_out());
        let count = rows.len() * w_out;
        for (block, target) in apart.chunks_mut(images * count * BLOCK).take(self.cut.outputs).enumerate() {
            let channels = BLOCK.min(c_out - block * BLOCK);
            for n in 0..images {
                let (target, _) = target[n * count * BLOCK..][..count * BLOCK].as_chunks_mut::<BLOCK>();
                for c in 0..BLOCK {
                    if c >= channels {
                        target.iter_mut().for_each(|target| target[c] = 0.0);
                        continue;
                    }
                    let channel = group * c_out + block * BLOCK + c;
                    let start = ((first + n) * d.c_out + channel) * pixels + rows.start * w_out;
                    for (target, &value) in target.iter_mut().zip(&self.dy[start..]) {
                        target[c] = value;
                    }
                }
            }
        }
    }
}
