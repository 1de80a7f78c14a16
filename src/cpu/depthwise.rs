//! Convolution with one channel to a group, in blocks of channels: vectors of channels, no product.

use super::block_product::block_at;
use super::correlation::TASKS;
use super::direct::{Source, Taps};
use super::layout::{BLOCK, Layout, Layouts};
use super::memory::Memory;
use super::parallel::{units_per_task, with_scratch};
use super::pixel::{Vectors, pixelwise};
use crate::ops::Conv2d;
use pulp::Simd;
use rayon::prelude::*;
use std::array::from_fn;

/// Pixels whose sums are in registers together, and taps whose gradients are.
const PIXELS: usize = 6;
const TAPS: usize = 6;

/// Whether `d` is such a convolution, of tensors in blocks.
pub fn knows(d: &Conv2d, layouts: Layouts) -> bool {
    let is_blocked = layouts == Layouts { x: Layout::Blocks, y: Layout::Blocks };
    is_blocked && d.groups == d.c_in && d.c_out == d.c_in
}

/// y from x, w and b.
pub fn forward(d: &Conv2d, x: &[f32], w: &[f32], b: Option<&[f32]>, y: &mut [f32]) {
    let sizes = [[d.h_in, d.w_in], [d.h_out(), d.w_out()]];
    over_pixels(d, &Taps::forward(d), sizes, x, w, b, d.relu, y);
}

/// dx from dy and w.
pub fn grad_input(d: &Conv2d, dy: &[f32], w: &[f32], dx: &mut [f32]) {
    let sizes = [[d.h_out(), d.w_out()], [d.h_in, d.w_in]];
    for taps in &Taps::backward(d) {
        over_pixels(d, taps, sizes, dy, w, None, false, dx);
    }
}

/// `to` from the sums over `taps` of `from`.
#[allow(clippy::too_many_arguments, reason = "the operands of one loop nest")]
fn over_pixels(
    d: &Conv2d,
    taps: &Taps,
    [from_size, to_size]: [[usize; 2]; 2],
    from: &[f32],
    w: &[f32],
    b: Option<&[f32]>,
    relu: bool,
    to: &mut [f32],
) {
    let source = Source::new(taps, Layout::Blocks, [d.batch, 1, d.c_in], from_size, 1, BLOCK);
    let [h_out, w_out] = taps.outputs;
    let places: Vec<usize> =
        (0..source.rows * w_out).map(|i| taps.place(i / w_out, i % w_out, to_size[1]) * BLOCK).collect();
    let unit = to_size[0] * to_size[1] * BLOCK;
    let blocks = d.c_in / BLOCK;
    let kernel = d.kernel[0] * d.kernel[1];
    to.par_chunks_mut(unit).with_min_len(units_per_task(unit)).enumerate().for_each(|(i, to)| {
        let (image, block) = (i / blocks, i % blocks);
        with_scratch([source.scratch(), taps.kernel.len() * BLOCK], |[copy, weights]| {
            for (&tap, line) in taps.kernel.iter().zip(weights.chunks_exact_mut(BLOCK)) {
                for (c, value) in line.iter_mut().enumerate() {
                    *value = w[(block * BLOCK + c) * kernel + tap];
                }
            }
            for row in (0..h_out).step_by(source.rows) {
                let rows = row..h_out.min(row + source.rows);
                let count = rows.len() * w_out;
                let channels = block * BLOCK..(block + 1) * BLOCK;
                let x = source.strip(from, image, 1, rows, 0, channels, copy);
                let sums = Sums {
                    x,
                    pixels: &source.pixels[..count],
                    runs: &source.runs[..taps.kernel.len()],
                    w: weights,
                    bias: b.map_or([0.0; BLOCK], |b| *block_at(b, block * BLOCK)),
                    relu,
                    y: &mut to[row * taps.spread[0] * to_size[1] * BLOCK..],
                    places: &places[..count],
                };
                pixelwise!(|v| sums.run(v));
            }
        });
    });
}

/// y at `places[p]` = the sum over taps of x at `pixels[p] + runs[tap]` times w `[taps, BLOCK]`, and the bias.
struct Sums<'a> {
    x: &'a [f32],
    pixels: &'a [usize],
    runs: &'a [usize],
    w: &'a [f32],
    bias: [f32; BLOCK],
    relu: bool,
    y: &'a mut [f32],
    places: &'a [usize],
}

impl Sums<'_> {
    #[inline(always)]
    fn run<S: Simd, const L: usize>(self, v: Vectors<S, L>) {
        let (w, _) = self.w.as_chunks::<BLOCK>();
        for (pixels, places) in self.pixels.chunks(PIXELS).zip(self.places.chunks(PIXELS)) {
            // A tile that is not full computes its last pixel again.
            let starts: [usize; PIXELS] = from_fn(|p| pixels[p.min(pixels.len() - 1)]);
            let mut sums = [v.splat(0.0); PIXELS];
            for (&run, w) in self.runs.iter().zip(w) {
                let w = v.load(w);
                for p in 0..PIXELS {
                    sums[p] = v.multiply_add(v.load(block_at(self.x, starts[p] + run)), w, sums[p]);
                }
            }
            for (&place, &sum) in places.iter().zip(&sums) {
                let value = v.add(sum, v.load(&self.bias));
                let (y, _) = self.y[place..place + BLOCK].as_chunks_mut::<BLOCK>();
                v.store(if self.relu { v.relu(value) } else { value }, &mut y[0]);
            }
        }
    }
}

/// dw from x and dy.
pub fn grad_weight(d: &Conv2d, x: &[f32], dy: &[f32], workspace: &mut Memory, dw: &mut [f32]) {
    let taps = Taps::forward(d);
    let source = Source::new(&taps, Layout::Blocks, [d.batch, 1, d.c_in], [d.h_in, d.w_in], 1, BLOCK);
    let (h_out, w_out, blocks) = (d.h_out(), d.w_out(), d.c_in / BLOCK);
    let places: Vec<usize> = (0..source.rows * w_out).map(|i| i * BLOCK).collect();
    let kernel = taps.kernel.len();
    let parts = (2 * TASKS).div_ceil(blocks).min(d.batch);
    let images = d.batch.div_ceil(parts);
    let parts = d.batch.div_ceil(images);
    let sums = workspace.reserve(parts * blocks * kernel * BLOCK);
    sums.par_chunks_mut(kernel * BLOCK).enumerate().for_each(|(i, sums)| {
        let (part, block) = (i / blocks, i % blocks);
        sums.fill(0.0);
        with_scratch([source.scratch()], |[copy]| {
            for image in part * images..d.batch.min((part + 1) * images) {
                for row in (0..h_out).step_by(source.rows) {
                    let rows = row..h_out.min(row + source.rows);
                    let count = rows.len() * w_out;
                    let channels = block * BLOCK..(block + 1) * BLOCK;
                    let x = source.strip(x, image, 1, rows, 0, channels, copy);
                    let start = (image * blocks + block) * h_out * w_out + row * w_out;
                    let gradients = Gradients {
                        x,
                        pixels: &source.pixels[..count],
                        runs: &source.runs[..taps.kernel.len()],
                        dy: &dy[start * BLOCK..],
                        places: &places[..count],
                        sums,
                    };
                    pixelwise!(|v| gradients.run(v));
                }
            }
        });
    });
    for (c, dw) in dw.chunks_exact_mut(kernel).enumerate() {
        for (k, dw) in dw.iter_mut().enumerate() {
            let place = |part: usize| ((part * blocks + c / BLOCK) * kernel + k) * BLOCK + c % BLOCK;
            *dw = (0..parts).map(|part| sums[place(part)]).sum();
        }
    }
}

/// sums `[taps, BLOCK]` += x at `pixels[p] + runs[tap]` times dy at `places[p]`.
struct Gradients<'a> {
    x: &'a [f32],
    pixels: &'a [usize],
    runs: &'a [usize],
    dy: &'a [f32],
    places: &'a [usize],
    sums: &'a mut [f32],
}

/// Pixels that are summed in registers.
const PART: usize = 256;

impl Gradients<'_> {
    #[inline(always)]
    fn run<S: Simd, const L: usize>(self, v: Vectors<S, L>) {
        for (pixels, places) in self.pixels.chunks(PART).zip(self.places.chunks(PART)) {
            for (runs, sums) in self.runs.chunks(TAPS).zip(self.sums.chunks_mut(TAPS * BLOCK)) {
                let taps: [usize; TAPS] = from_fn(|k| runs[k.min(runs.len() - 1)]);
                let mut totals = [v.splat(0.0); TAPS];
                for (&pixel, &place) in pixels.iter().zip(places) {
                    let dy = v.load(block_at(self.dy, place));
                    for k in 0..TAPS {
                        let x = v.load(block_at(self.x, pixel + taps[k]));
                        totals[k] = v.multiply_add(x, dy, totals[k]);
                    }
                }
                let (sums, _) = sums.as_chunks_mut::<BLOCK>();
                for (sum, &total) in sums.iter_mut().zip(&totals) {
                    v.store(v.add(v.load(sum), total), sum);
                }
            }
        }
    }
}
