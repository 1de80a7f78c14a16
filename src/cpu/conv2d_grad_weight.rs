//! The gradient of a convolution with respect to its weights: by Winograd's algorithm (`winograd`) where that is faster, else
//! dy times the transposed panels of x.
//!
//! The sum runs over every pixel of the batch. It is cut into a number of parts that follows from the shape; each part
//! is summed tile after tile, and the parts are added in order.

use super::correlation::{Correlation, TASKS, windows};
use super::lowering::{RowRange, Tiling, channels_per_piece, gather, lower, split_len};
use super::options::CpuOptions;
use super::parallel::{reserve, with_scratch};
use super::product::{Onto, View, product};
use super::windows::Windows;
use super::winograd;
use crate::ops::Conv2d;
use rayon::prelude::*;

/// Rows of dw that are put together from the parts at once.
const ROWS: usize = 16;

/// How the work is cut: `parts` of the batch, times the groups, times `blocks` of the input channels of a group.
struct Split {
    windows: Windows,
    tiling: Tiling,
    /// Images of one part.
    images: usize,
    parts: usize,
    /// Input channels of one block.
    channels: usize,
    blocks: usize,
    /// Elements of one block of one group's gradient, the blocks being `[channels * taps, c_out / groups]`.
    block: usize,
}

impl Split {
    fn new(d: &Conv2d) -> Self {
        let windows = windows(d);
        let c_in = d.c_in_group();
        let channels = channels_per_piece(c_in, windows.taps());
        let blocks = c_in.div_ceil(channels);
        // Enough parts to keep many threads busy, but not more than a few copies of a large gradient.
        let most = ((1 << 24) / (d.c_out * d.depth())).clamp(2, TASKS);
        let parts = TASKS.div_ceil(blocks * d.groups).min(most).min(d.batch);
        let images = d.batch.div_ceil(parts);
        let parts = d.batch.div_ceil(images);
        let most_images = if is_direct(&windows) { 1 } else { images.min(16) };
        let tiling = Tiling::new(&windows, d.depth(), most_images);
        let block = channels * windows.taps() * d.c_out_group();
        Split { windows, tiling, images, parts, channels, blocks, block }
    }
}

/// Whether x itself is the panel and dy itself the other factor.
fn is_direct(windows: &Windows) -> bool {
    windows.taps() == 1
        && windows.stride == [1, 1]
        && windows.origin == [0, 0]
        && (windows.h_out, windows.w_out) == (windows.h_in, windows.w_in)
        && windows.outputs() >= 128
}

/// dw from x and dy.
pub fn conv2d_grad_weight(
    d: &Conv2d,
    options: CpuOptions,
    x: &[f32],
    dy: &[f32],
    workspace: &mut Vec<f32>,
    dw: &mut [f32],
) {
    let correlation = Correlation::new(d);
    if options.winograd && winograd::pays(&correlation) {
        return winograd::grad_weight(&correlation, x, dy, workspace, dw);
    }
    let split = Split::new(d);
    let per_part = d.groups * split.blocks * split.block;
    let sums = reserve(workspace, split.parts * per_part);
    sums.par_chunks_mut(split.block).enumerate().for_each(|(task, sum)| {
        let (part, rest) = (task / (d.groups * split.blocks), task % (d.groups * split.blocks));
        task_sum(d, &split, x, dy, part, rest / split.blocks, rest % split.blocks, sum);
    });
    let (depth, c_out, taps) = (d.depth(), d.c_out_group(), split.windows.taps());
    dw.par_chunks_mut(c_out * depth).enumerate().for_each(|(group, dw)| {
        dw.par_chunks_mut(ROWS * depth).enumerate().for_each(|(i, dw)| {
            let first = i * ROWS;
            let rows = dw.len() / depth;
            for k in 0..depth {
                let (block, row) = (k / (split.channels * taps), k % (split.channels * taps));
                let start = (group * split.blocks + block) * split.block + row * c_out + first;
                let mut total = [0.0f32; ROWS];
                for part in 0..split.parts {
                    let values = &sums[part * per_part + start..][..rows];
                    for (t, &v) in total.iter_mut().zip(values) {
                        *t += v;
                    }
                }
                for (line, &t) in dw.chunks_exact_mut(depth).zip(&total) {
                    line[k] = t;
                }
            }
        });
    });
}

/// sum `[channels of the block * taps, c_out / groups]` over the images of one part.
#[allow(clippy::too_many_arguments, reason = "the operands of one loop nest")]
fn task_sum(
    d: &Conv2d,
    split: &Split,
    x: &[f32],
    dy: &[f32],
    part: usize,
    group: usize,
    block: usize,
    sum: &mut [f32],
) {
    let Split { windows, tiling, .. } = split;
    let (c_in, c_out, pitch) = (d.c_in_group(), d.c_out_group(), tiling.pitch);
    let inputs = group * c_in + block * split.channels..group * c_in + c_in.min((block + 1) * split.channels);
    let outputs = group * c_out..(group + 1) * c_out;
    let rows = inputs.len() * windows.taps();
    let first = part * split.images;
    let images = split.images.min(d.batch - first);
    let direct = is_direct(windows);
    let lengths = [split_len(windows, *tiling), rows * pitch, c_out * pitch];
    with_scratch(lengths, |[lines, panel, gradient]| {
        let mut onto = Onto::Nothing;
        for tile in tiling.tiles(windows, first, images, direct) {
            let columns = tile.rows * windows.w_out;
            let image = |data, total, channel| pixels(windows, data, total, channel, tile);
            let (left, right) = if direct {
                let left = View::new(image(x, d.c_in, inputs.start), rows, columns, windows.inputs());
                (left, View::new(image(dy, d.c_out, outputs.start), c_out, columns, windows.outputs()))
            } else {
                lower(windows, x, d.c_in, inputs.clone(), tile, lines, panel, pitch);
                gather(windows, dy, d.c_out, outputs.clone(), tile, gradient, pitch);
                (View::new(panel, rows, columns, pitch), View::new(gradient, c_out, columns, pitch))
            };
            product(sum, c_out, onto, left, right.transposed());
            onto = Onto::Old;
        }
    });
}

/// The pixels of a tile that lies in one image, from `channel` on.
fn pixels<'a>(windows: &Windows, data: &'a [f32], total: usize, channel: usize, tile: RowRange) -> &'a [f32] {
    let (image, row) = (tile.first / windows.h_out, tile.first % windows.h_out);
    &data[(image * total + channel) * windows.outputs() + row * windows.w_out..]
}
