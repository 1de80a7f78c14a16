//! y from x and w, and dx from dy and w: sums over taps for every pixel.

use super::narrow::{self, is_narrow};
use super::source::Source;
use super::taps::Taps;
use super::weights::{Direction, Packing, tiles};
use crate::cpu::block_product::{BlockProduct, Finish, most_blocks};
use crate::cpu::correlation::TASKS;
use crate::cpu::layout::{BLOCK, Layout, Layouts};
use crate::cpu::memory::Memory;
use crate::cpu::parallel::with_scratch;
use crate::cpu::product::Onto;
use crate::ops::Conv2d;
use rayon::prelude::*;
use std::ops::Range;

/// Terms that are summed in registers.
const TERMS: usize = 512;

/// y = conv(x, w) (+ b) (then max(0, .)).
pub fn forward(
    d: &Conv2d,
    layouts: Layouts,
    x: &[f32],
    w: &[f32],
    b: Option<&[f32]>,
    workspace: &mut Memory,
    y: &mut [f32],
) {
    let taps = Taps::forward(d);
    let pass = Pass {
        d,
        taps: &taps,
        direction: Direction::Forward,
        layouts: [layouts.x, layouts.y],
        finish: Finish { bias: b, relu: d.relu },
    };
    pass.run(x, w, workspace, y);
}

/// dx from dy and w.
pub fn grad_input(
    d: &Conv2d,
    layouts: Layouts,
    dy: &[f32],
    w: &[f32],
    workspace: &mut Memory,
    dx: &mut [f32],
) {
    for taps in &Taps::backward(d) {
        let pass = Pass {
            d,
            taps,
            direction: Direction::Backward,
            layouts: [layouts.y, layouts.x],
            finish: Finish::default(),
        };
        pass.run(dy, w, workspace, dx);
    }
}

/// The sums over `taps`: from a source to a target, each with its layout.
struct Pass<'a> {
    d: &'a Conv2d,
    taps: &'a Taps,
    direction: Direction,
    layouts: [Layout; 2],
    finish: Finish<'a>,
}

/// How a pass is cut into tasks. None of it changes a result.
struct Partition<'a> {
    source: Source<'a>,
    /// Where each pixel of a strip lies in the target, or in scratch memory if `is_apart`.
    places: Vec<usize>,
    /// Whether results are computed in scratch memory: the target is plain.
    is_apart: bool,
    /// Channels of a task.
    channels: usize,
    /// Most blocks of channels of a tile, elements of the packed weights of a group.
    most: usize,
    packed: usize,
}

impl Pass<'_> {
    /// Channels of a group of the source and of the target, and the size of the images of the target.
    fn channels(&self) -> [usize; 2] {
        let (c_in, c_out) = (self.d.c_in_group(), self.d.c_out_group());
        if self.direction == Direction::Forward { [c_in, c_out] } else { [c_out, c_in] }
    }

    fn sizes(&self) -> [[usize; 2]; 2] {
        let (x, y) = ([self.d.h_in, self.d.w_in], [self.d.h_out(), self.d.w_out()]);
        if self.direction == Direction::Forward { [x, y] } else { [y, x] }
    }

    fn run(&self, from: &[f32], w: &[f32], workspace: &mut Memory, to: &mut [f32]) {
        let d = self.d;
        let ([from_channels, to_channels], [from_size, to_size]) = (self.channels(), self.sizes());
        if self.layouts == [Layout::Plain; 2] && is_narrow(to_channels) {
            let Pass { taps, direction, finish, .. } = *self;
            return narrow::over_pixels(d, taps, direction, from, w, finish, workspace, to);
        }
        let most_images = (d.batch / TASKS).max(1);
        let source = Source::new(
            self.taps,
            self.layouts[0],
            [d.batch, d.groups, from_channels],
            from_size,
            most_images,
            from_channels,
        );
        // A small batch is cut by channels too; each cut copies the source again.
        let blocks = to_channels.div_ceil(BLOCK);
        let cuts = if d.batch < TASKS { TASKS.div_ceil(d.batch) } else { 1 };
        let most = (blocks * d.groups / cuts).clamp(1, most_blocks());
        let channels = match (cuts, d.groups) {
            (1, _) => d.groups * to_channels,
            (_, 1) => blocks.div_ceil(cuts).next_multiple_of(most) * BLOCK,
            _ => to_channels,
        };
        let channels = channels.min(d.groups * to_channels);
        // Tiles of a task are those of the whole.
        let is_even = d.groups > 1 || tiles(blocks, most).all(|tile| tile.len() == most);
        let channels = if is_even { channels } else { d.groups * to_channels };
        let packing = Packing { d, taps: self.taps, direction: self.direction, unit: source.terms, most };
        let packed = workspace.reserve(d.groups * packing.len());
        packing.pack(w, packed);
        let is_apart = self.layouts[1] == Layout::Plain;
        let image = channels * to_size[0] * to_size[1];
        let strip = (0..source.images).flat_map(|n| (0..source.rows).map(move |row| (n, row)));
        let places = strip.flat_map(|(n, row)| {
            let columns = 0..self.taps.outputs[1];
            columns.map(move |column| (n, row, column))
        });
        let places = places.enumerate().map(|(i, (n, row, column))| {
            if is_apart { i * BLOCK } else { n * image + self.place(row, column) * BLOCK }
        });
        let places = places.collect();
        let cut = Partition { source, places, is_apart, channels, most, packed: packing.len() };
        let packed = &*packed;
        let per_image = (d.groups * to_channels).div_ceil(channels);
        if per_image == 1 {
            to.par_chunks_mut(cut.source.images * image).enumerate().for_each(|(i, to)| {
                self.task(&cut, from, packed, i * cut.source.images, 0, to);
            });
        } else {
            let whole = d.groups * to_channels * to_size[0] * to_size[1];
            to.par_chunks_mut(whole).enumerate().for_each(|(n, to)| {
                to.par_chunks_mut(image).enumerate().for_each(|(i, to)| {
                    self.task(&cut, from, packed, n, i * channels, to);
                });
            });
        }
    }

    /// Where output (row, column) lies in an image of the target.
    fn place(&self, row: usize, column: usize) -> usize {
        let [_, [_, width]] = self.sizes();
        self.taps.place(row, column, width)
    }

    /// One task: `to` holds whole images from `first` on, or some channels from `channel` on of that image.
    fn task(
        &self,
        cut: &Partition,
        from: &[f32],
        packed: &[f32],
        first: usize,
        channel: usize,
        to: &mut [f32],
    ) {
        let ([_, to_channels], [_, to_size]) = (self.channels(), self.sizes());
        let pixels = to_size[0] * to_size[1];
        let held = cut.channels.min(to.len() / pixels);
        let images = to.len() / (held * pixels);
        let source = &cut.source;
        let [h_out, w_out] = self.taps.outputs;
        let blocks = to_channels.div_ceil(BLOCK);
        let terms = source.runs.len() * source.terms;
        let count = images.min(source.images) * source.rows * w_out;
        let result = if cut.is_apart { cut.most * count * BLOCK } else { 0 };
        with_scratch([source.scratch(), result], |[copy, result]| {
            for group in channel / to_channels..(channel + held).div_ceil(to_channels) {
                let begin = channel.max(group * to_channels) - group * to_channels;
                let end = (channel + held).min((group + 1) * to_channels) - group * to_channels;
                let range = begin / BLOCK..end.div_ceil(BLOCK);
                for row in (0..h_out).step_by(source.rows) {
                    let rows = row..h_out.min(row + source.rows);
                    let all = 0..self.channels()[0];
                    let x = source.strip(from, first, images, rows.clone(), group, all, copy);
                    let count = images * rows.len() * w_out;
                    for tile in tiles(blocks, cut.most).filter(|t| range.contains(&t.start)) {
                        let bias = self.finish.bias.map(|bias| {
                            let bias = &bias[group * to_channels..][..to_channels];
                            &bias[tile.start * BLOCK..]
                        });
                        let product = TileProduct {
                            x,
                            pixels: &source.pixels[..count],
                            runs: &source.runs,
                            terms: source.terms,
                            w: &packed[group * cut.packed + tile.start * terms * BLOCK..],
                            blocks: tile.len(),
                            places: &cut.places[..count],
                            finish: Finish { bias, relu: self.finish.relu },
                        };
                        let start = group * to_channels + tile.start * BLOCK - channel;
                        if cut.is_apart {
                            product.run(result, count * BLOCK);
                            let channels =
                                start..(start + tile.len() * BLOCK).min(end + group * to_channels - channel);
                            self.put(result, images, rows.clone(), channels, held, to);
                        } else {
                            let row = rows.start * self.taps.spread[0] * to_size[1] * BLOCK;
                            product.run(&mut to[start * pixels + row..], pixels * BLOCK);
                        }
                    }
                }
            }
        });
    }

    /// Copies `result` `[blocks, images * rows * w_out, BLOCK]` to `channels` of the plain `to`, whose images have `held`
    /// channels.
    fn put(
        &self,
        result: &[f32],
        images: usize,
        rows: Range<usize>,
        channels: Range<usize>,
        held: usize,
        to: &mut [f32],
    ) {
        let [_, [height, width]] = self.sizes();
        let (pixels, w_out) = (height * width, self.taps.outputs[1]);
        let count = rows.len() * w_out;
        for (i, channel) in channels.enumerate() {
            for n in 0..images {
                let start = (i / BLOCK * images + n) * count * BLOCK + i % BLOCK;
                let mut values = result[start..].iter().step_by(BLOCK);
                for row in rows.clone() {
                    let from = self.place(row, 0);
                    let begin = (n * held + channel) * pixels + from;
                    let line = to[begin..].iter_mut().step_by(self.taps.spread[1]).take(w_out);
                    for (to, &value) in line.zip(values.by_ref()) {
                        *to = value;
                    }
                }
            }
        }
    }
}

/// The sums of one tile of output channels for the pixels of a strip.
struct TileProduct<'a> {
    x: &'a [f32],
    pixels: &'a [usize],
    runs: &'a [usize],
    terms: usize,
    w: &'a [f32],
    blocks: usize,
    places: &'a [usize],
    finish: Finish<'a>,
}

impl TileProduct<'_> {
    /// Computes them, a part of the terms for all pixels before the next: its weights stay in the cache.
    fn run(&self, y: &mut [f32], block: usize) {
        let parts = (self.runs.len() * self.terms).div_ceil(TERMS).max(1);
        let part = self.runs.len().div_ceil(parts).max(1);
        for i in 0..parts {
            let begin = (i * part).min(self.runs.len());
            BlockProduct {
                x: self.x,
                pixels: self.pixels,
                runs: &self.runs[begin..self.runs.len().min(begin + part)],
                terms: self.terms,
                w: &self.w[begin * self.terms * BLOCK * self.blocks..],
                blocks: self.blocks,
                y: &mut *y,
                places: self.places,
                block,
                onto: if i == 0 { Onto::Nothing } else { Onto::Old },
                part,
                finish: if i + 1 == parts { self.finish } else { Finish::default() },
            }
            .run();
        }
    }
}
