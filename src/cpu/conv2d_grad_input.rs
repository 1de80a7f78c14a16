//! The gradient of a convolution with respect to its input.
//!
//! With steps of 1 it is a correlation of dy with the turned and transposed weights. With longer steps it is
//! w^T dy, tile by tile, each row of which is added to the pixels that its tap saw.

use super::correlation::{Correlation, TASKS, windows};
use super::lowering::{RowRange, Tiling, channels_per_piece, gather};
use super::options::CpuOptions;
use super::parallel::{reserve, with_scratch};
use super::product::{Onto, View, product};
use super::windows::Windows;
use super::winograd::{self, Weights};
use crate::ops::Conv2d;
use rayon::prelude::*;
use std::ops::Range;

/// dx from dy and w.
pub fn conv2d_grad_input(
    d: &Conv2d,
    options: CpuOptions,
    dy: &[f32],
    w: &[f32],
    workspace: &mut Vec<f32>,
    dx: &mut [f32],
) {
    if d.stride == [1, 1] {
        let correlation = Correlation::turned(d);
        if options.winograd && winograd::pays(&correlation) {
            winograd::forward(&correlation, dy, Weights { w, turned: true }, None, workspace, dx);
            return;
        }
        let turned = reserve(workspace, w.len());
        turn(d, w, turned);
        correlation.run(dy, turned, None, dx);
        return;
    }
    let windows = windows(d);
    let tiling = Tiling::new(&windows, d.depth(), (d.batch / TASKS).min(16));
    let image = d.c_in * windows.inputs();
    // A small batch is cut by input channels too.
    let cuts = if d.batch < TASKS { TASKS.div_ceil(d.batch) } else { 1 };
    let per_task = if tiling.images > 1 { d.c_in } else { d.c_in.div_ceil(cuts) };
    dx.par_chunks_mut(tiling.images * image).enumerate().for_each(|(i, dx)| {
        let first = i * tiling.images;
        if per_task == d.c_in {
            scatter_task(d, &windows, tiling, dy, w, first, 0, dx);
        } else {
            dx.par_chunks_mut(per_task * windows.inputs()).enumerate().for_each(|(j, dx)| {
                scatter_task(d, &windows, tiling, dy, w, first, j * per_task, dx);
            });
        }
    });
}

/// turned `[c_in, c_out / groups, taps]` = w `[c_out, c_in / groups, taps]` with the channels of each group exchanged
/// and the taps in reverse order.
fn turn(d: &Conv2d, w: &[f32], turned: &mut [f32]) {
    let (c_in, c_out, taps) = (d.c_in_group(), d.c_out_group(), d.kernel[0] * d.kernel[1]);
    turned.par_chunks_mut(c_out * taps).enumerate().for_each(|(input, row)| {
        let group = input / c_in;
        for (i, target) in row.chunks_exact_mut(taps).enumerate() {
            let start = ((group * c_out + i) * c_in + input % c_in) * taps;
            let source = &w[start..start + taps];
            for (t, &s) in target.iter_mut().zip(source.iter().rev()) {
                *t = s;
            }
        }
    });
}

/// One task: `dx` holds whole images from `first` on, or some channels from `channel` on of that image.
#[allow(clippy::too_many_arguments, reason = "the operands of one loop nest")]
fn scatter_task(
    d: &Conv2d,
    windows: &Windows,
    tiling: Tiling,
    dy: &[f32],
    w: &[f32],
    first: usize,
    channel: usize,
    dx: &mut [f32],
) {
    let (c_in, c_out, taps, inputs) = (d.c_in_group(), d.c_out_group(), windows.taps(), windows.inputs());
    let channels = (dx.len() / inputs).min(d.c_in);
    let images = dx.len() / (channels * inputs);
    let piece = channels_per_piece(c_in, taps);
    dx.fill(0.0);
    with_scratch([c_out * tiling.pitch, piece * taps * tiling.pitch], |[gradient, panel]| {
        for tile in tiling.tiles(windows, first, images, false) {
            let columns = tile.rows * windows.w_out;
            for group in channel / c_in..(channel + channels).div_ceil(c_in) {
                let outputs = group * c_out..(group + 1) * c_out;
                gather(windows, dy, d.c_out, outputs.clone(), tile, gradient, tiling.pitch);
                let gradient = View::new(gradient, c_out, columns, tiling.pitch);
                let end = (channel + channels).min((group + 1) * c_in);
                for begin in (channel.max(group * c_in)..end).step_by(piece) {
                    let block = begin..(begin + piece).min(end);
                    let start = (outputs.start * c_in + block.start - group * c_in) * taps;
                    let weights = View::new(&w[start..], c_out, block.len() * taps, c_in * taps);
                    product(panel, tiling.pitch, Onto::Nothing, weights.transposed(), gradient);
                    let place = GradientSlice { first, channel, channels };
                    add_panel(windows, panel, tiling.pitch, tile, block, place, dx);
                }
            }
        }
    });
}

/// Which images and channels a slice of dx holds.
#[derive(Clone, Copy)]
struct GradientSlice {
    first: usize,
    channel: usize,
    channels: usize,
}

/// Adds the panel rows of `block` to the pixels of dx that their taps saw.
fn add_panel(
    windows: &Windows,
    panel: &[f32],
    pitch: usize,
    tile: RowRange,
    block: Range<usize>,
    place: GradientSlice,
    dx: &mut [f32],
) {
    let [kernel_h, kernel_w] = windows.kernel;
    let (step, inputs) = (windows.stride[1], windows.inputs());
    for segment in tile.segments(windows) {
        for (i, c) in block.clone().enumerate() {
            let index = (segment.image - place.first) * place.channels + c - place.channel;
            let image = &mut dx[index * inputs..][..inputs];
            for (tap, source) in
                panel[i * kernel_h * kernel_w * pitch..].chunks(pitch).take(kernel_h * kernel_w).enumerate()
            {
                // Output columns whose pixel under this tap exists: low .. high.
                let column = (tap % kernel_w * windows.dilation[1]) as isize + windows.origin[1];
                let low = column.min(0).unsigned_abs().div_ceil(step).min(windows.w_out);
                let room = (windows.w_in as isize - column).max(0) as usize;
                let high = room.div_ceil(step).clamp(low, windows.w_out);
                if low == high {
                    continue;
                }
                let start = ((low * step) as isize + column) as usize;
                for r in 0..segment.rows {
                    let row = ((segment.row + r) * windows.stride[0] + tap / kernel_w * windows.dilation[0])
                        as isize
                        + windows.origin[0];
                    if row < 0 || row >= windows.h_in as isize {
                        continue;
                    }
                    let run = &source[segment.column + r * windows.w_out..][low..high];
                    let line = &mut image[row as usize * windows.w_in..][start..];
                    for (x, &v) in line.iter_mut().step_by(step).zip(run) {
                        *x += v;
                    }
                }
            }
        }
    }
}
