//! Direct convolution: w times the panels of x, then bias and ReLU while a tile of y is in the cache.

use super::correlation::{Correlation, TASKS};
use super::lowering::{DEPTH, RowRange, Tiling, channels_per_piece, lower, split_len};
use super::parallel::with_scratch;
use super::product::{Onto, View, product};
use super::simd::vectorised;
use super::sum::CHAIN;
use rayon::prelude::*;

/// The longest sum that is one chain from one piece of the channels to the next.
const LONGEST: usize = 32_768;

impl Correlation {
    /// y from x and w `[groups * c_out, c_in, kernel_h, kernel_w]`.
    pub fn run(&self, x: &[f32], w: &[f32], b: Option<&[f32]>, y: &mut [f32]) {
        let windows = &self.windows;
        let depth = self.c_in * windows.taps();
        let channels = self.groups * self.c_out;
        let most_images = if self.is_pointwise() { 1 } else { (self.batch / TASKS).min(16) };
        let tiling = Tiling::new(windows, depth, most_images);
        // A small batch is cut by output channels too; each cut lowers x again.
        let cuts = if self.batch < TASKS { TASKS.div_ceil(self.batch) } else { 1 };
        let per_task = channels.div_ceil(cuts).next_multiple_of(4).min(channels);
        let per_task = if tiling.images > 1 { channels } else { per_task };
        let image = channels * windows.outputs();
        y.par_chunks_mut(tiling.images * image).enumerate().for_each(|(i, y)| {
            let first = i * tiling.images;
            if per_task == channels {
                self.task(tiling, x, w, b, first, 0, y);
            } else {
                y.par_chunks_mut(per_task * windows.outputs()).enumerate().for_each(|(j, y)| {
                    self.task(tiling, x, w, b, first, j * per_task, y);
                });
            }
        });
    }

    /// One task: `y` holds whole images from `first` on, or some channels from `channel` on of that image.
    #[allow(clippy::too_many_arguments, reason = "the operands of one loop nest")]
    fn task(
        &self,
        tiling: Tiling,
        x: &[f32],
        w: &[f32],
        b: Option<&[f32]>,
        first: usize,
        channel: usize,
        y: &mut [f32],
    ) {
        let windows = &self.windows;
        let outputs = windows.outputs();
        let total = self.groups * self.c_out;
        let channels = (y.len() / outputs).min(total);
        let images = y.len() / (channels * outputs);
        let piece = channels_per_piece(self.c_in, windows.taps());
        let lengths = [
            split_len(windows, tiling),
            piece * windows.taps() * tiling.pitch,
            channels.min(self.c_out) * tiling.pitch,
            if self.is_long() { channels.min(self.c_out) * tiling.pitch } else { 0 },
        ];
        let groups = channel / self.c_out..(channel + channels).div_ceil(self.c_out);
        with_scratch(lengths, |[split, panel, result, part]| {
            for tile in tiling.tiles(windows, first, images, self.is_pointwise()) {
                for group in groups.clone() {
                    let begin = channel.max(group * self.c_out);
                    let end = (channel + channels).min((group + 1) * self.c_out);
                    self.multiply(tiling, x, w, group, begin..end, tile, split, panel, result, part);
                    for segment in tile.segments(windows) {
                        let len = segment.rows * windows.w_out;
                        for (row, c) in (begin..end).enumerate() {
                            let bias = b.map_or(0.0, |b| b[c]);
                            let start = ((segment.image - first) * channels + c - channel) * outputs
                                + segment.row * windows.w_out;
                            let source = &result[row * tiling.pitch + segment.column..][..len];
                            finish(source, bias, self.relu, &mut y[start..start + len]);
                        }
                    }
                }
            }
        });
    }

    /// result = w panel for output channels `channels` (of group `group`) and the pixels of `tile`. `part` is scratch memory,
    /// as long as `result` if the sums are long.
    #[allow(clippy::too_many_arguments, reason = "the operands of one loop nest")]
    fn multiply(
        &self,
        tiling: Tiling,
        x: &[f32],
        w: &[f32],
        group: usize,
        channels: std::ops::Range<usize>,
        tile: RowRange,
        split: &mut [f32],
        panel: &mut [f32],
        result: &mut [f32],
        part: &mut [f32],
    ) {
        let windows = &self.windows;
        let taps = windows.taps();
        let depth = self.c_in * taps;
        let columns = tile.rows * windows.w_out;
        let w = &w[channels.start * depth..channels.end * depth];
        let total = self.groups * self.c_in;
        let piece = channels_per_piece(self.c_in, taps);
        debug_assert!(piece * taps <= DEPTH.max(taps));
        // Products that are added to others continue their sums: one chain, unless a part of it starts again.
        let per_part = if self.is_long() { (CHAIN / (piece * taps)).max(1) * piece } else { self.c_in };
        for begin in (0..self.c_in).step_by(piece) {
            let onto = if begin % per_part == 0 { Onto::Nothing } else { Onto::Old };
            let is_first = begin < per_part;
            let end = (begin + piece).min(self.c_in);
            let inputs = group * self.c_in + begin..group * self.c_in + end;
            let rows = inputs.len() * taps;
            let panel = match tile.single(windows).filter(|_| self.is_pointwise()) {
                Some(segment) => {
                    let start = (segment.image * total + inputs.start) * windows.inputs();
                    View::new(&x[start + segment.row * windows.w_in..], rows, columns, windows.inputs())
                }
                None => {
                    lower(windows, x, total, inputs, tile, split, panel, tiling.pitch);
                    View::new(panel, rows, columns, tiling.pitch)
                }
            };
            let weights = View::new(&w[begin * taps..], channels.len(), rows, depth);
            let target = if is_first { &mut *result } else { &mut *part };
            product(target, tiling.pitch, onto, weights, panel);
            if !is_first && (end.is_multiple_of(per_part) || end == self.c_in) {
                for (result, part) in result.iter_mut().zip(&*part) {
                    *result += part;
                }
            }
        }
    }

    /// Whether a sum is so long that it is added up from parts.
    fn is_long(&self) -> bool {
        self.c_in * self.windows.taps() > LONGEST
    }

    /// Whether x itself is the panel: a kernel of one tap, and images large enough to make a tile each.
    fn is_pointwise(&self) -> bool {
        let windows = &self.windows;
        windows.taps() == 1
            && windows.stride == [1, 1]
            && windows.origin == [0, 0]
            && (windows.h_out, windows.w_out) == (windows.h_in, windows.w_in)
            && windows.outputs() >= 128
    }
}

/// y = x + bias, then max(0, .) if `relu`.
fn finish(x: &[f32], bias: f32, relu: bool, y: &mut [f32]) {
    vectorised!(|| {
        if relu {
            for (y, &x) in y.iter_mut().zip(x) {
                let v = x + bias;
                // Not f32::max, which would turn a NaN into 0.
                *y = if v < 0.0 { 0.0 } else { v };
            }
        } else {
            for (y, &x) in y.iter_mut().zip(x) {
                *y = x + bias;
            }
        }
    });
}
