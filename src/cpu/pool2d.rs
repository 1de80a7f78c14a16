//! Pooling with windows. The forward passes work on whole rows of output pixels, tap by tap, on padded rows split by
//! phase (`windows`), so every inner loop runs over contiguous memory and needs no test for the border.

use super::parallel::{units_per_task, with_scratch};
use super::windows::Windows;
use crate::ops::Pool2d;
use rayon::prelude::*;
use std::ops::Range;

fn windows(d: &Pool2d) -> Windows {
    Windows {
        h_in: d.h_in,
        w_in: d.w_in,
        h_out: d.h_out(),
        w_out: d.w_out(),
        kernel: d.kernel,
        stride: d.stride,
        dilation: [1, 1],
        origin: [-(d.pad[0] as isize), -(d.pad[1] as isize)],
    }
}

/// Kernel rows (axis 0) or columns (axis 1) of window `o` that lie in the picture; `len` is its extent.
fn valid(windows: &Windows, axis: usize, o: usize, len: usize) -> Range<usize> {
    let begin = (o * windows.stride[axis]) as isize + windows.origin[axis];
    let first = begin.min(0).unsigned_abs();
    let last = (len as isize - begin).clamp(0, windows.kernel[axis] as isize) as usize;
    first.min(last)..last
}

/// y and the winner's place in its window.
pub fn max_pool2d_forward(d: &Pool2d, x: &[f32], y: &mut [f32], index: &mut [f32]) {
    let windows = windows(d);
    let (inputs, outputs, line) = (windows.inputs(), windows.outputs(), windows.pitch());
    let (w_out, kernel_w) = (windows.w_out, d.kernel[1]);
    let seen = windows.rows_seen(windows.h_out);
    let planes = units_per_task(inputs);
    let firsts: Vec<f32> = (0..w_out).map(|ox| valid(&windows, 1, ox, d.w_in).start as f32).collect();
    let results = y.par_chunks_mut(planes * outputs).zip(index.par_chunks_mut(planes * outputs));
    results.zip(x.par_chunks(planes * inputs)).for_each(|((y, index), x)| {
        with_scratch([seen * line], |[split]| {
            let results = y.chunks_exact_mut(outputs).zip(index.chunks_exact_mut(outputs));
            for ((y, index), x) in results.zip(x.chunks_exact(inputs)) {
                windows.split_rows(x, windows.origin[0], seen, f32::NEG_INFINITY, split);
                let lines = y.chunks_exact_mut(w_out).zip(index.chunks_exact_mut(w_out));
                for (oy, (best, index)) in lines.enumerate() {
                    let rows = valid(&windows, 0, oy, d.h_in);
                    // Where all of a window is minus infinity, its first pixel is the winner, and not the padding.
                    best.fill(f32::NEG_INFINITY);
                    for (index, &first) in index.iter_mut().zip(&firsts) {
                        *index = (rows.start * kernel_w) as f32 + first;
                    }
                    for ky in rows {
                        let source = &split[(oy * d.stride[0] + ky) * line..][..line];
                        for kx in 0..kernel_w {
                            let values = &source[windows.tap_column(kx)..][..w_out];
                            take_maxima(values, (ky * kernel_w + kx) as f32, best, index);
                        }
                    }
                }
            }
        });
    });
}

/// Where a value is greater than the best so far, or the first NaN, it takes its place.
fn take_maxima(values: &[f32], tap: f32, best: &mut [f32], index: &mut [f32]) {
    for ((&v, best), index) in values.iter().zip(best).zip(index) {
        let wins = (v > *best) | (v.is_nan() & !best.is_nan());
        *best = if wins { v } else { *best };
        *index = if wins { tap } else { *index };
    }
}

/// dx: every dy goes to the winner of its window.
pub fn max_pool2d_backward(d: &Pool2d, index: &[f32], dy: &[f32], dx: &mut [f32]) {
    let windows = windows(d);
    let (inputs, outputs) = (windows.inputs(), windows.outputs());
    let kernel_w = d.kernel[1];
    // Where each tap lies from the corner of its window.
    let offsets: Vec<isize> =
        (0..windows.taps()).map(|k| (k / kernel_w * d.w_in + k % kernel_w) as isize).collect();
    let planes = units_per_task(inputs);
    let sources = index.par_chunks(planes * outputs).zip(dy.par_chunks(planes * outputs));
    dx.par_chunks_mut(planes * inputs).zip(sources).for_each(|(dx, (index, dy))| {
        let planes = index.chunks_exact(outputs).zip(dy.chunks_exact(outputs));
        for (dx, (index, dy)) in dx.chunks_exact_mut(inputs).zip(planes) {
            dx.fill(0.0);
            let lines = index.chunks_exact(windows.w_out).zip(dy.chunks_exact(windows.w_out));
            for (oy, (index, dy)) in lines.enumerate() {
                let row = (oy * d.stride[0]) as isize + windows.origin[0];
                let mut corner = row * d.w_in as isize + windows.origin[1];
                for (&k, &dy) in index.iter().zip(dy) {
                    let place = offsets.get(k as usize).map_or(-1, |offset| corner + offset);
                    if let Some(dx) = usize::try_from(place).ok().and_then(|place| dx.get_mut(place)) {
                        *dx += dy;
                    }
                    corner += d.stride[1] as isize;
                }
            }
        }
    });
}

/// One over the number of pixels, padding included, that window `o` averages along an axis; `len` is the extent of
/// the picture and `after` its padding at the end.
fn shares(windows: &Windows, axis: usize, outputs: usize, len: usize, after: usize) -> Vec<f32> {
    (0..outputs)
        .map(|o| {
            let begin = (o * windows.stride[axis]) as isize + windows.origin[axis];
            let end = (begin + windows.kernel[axis] as isize).min((len + after) as isize);
            (end - begin) as f32
        })
        .collect()
}

/// y, the averages.
pub fn avg_pool2d_forward(d: &Pool2d, x: &[f32], y: &mut [f32]) {
    let windows = windows(d);
    let (inputs, outputs, line) = (windows.inputs(), windows.outputs(), windows.pitch());
    let w_out = windows.w_out;
    let seen = windows.rows_seen(windows.h_out);
    let heights = shares(&windows, 0, windows.h_out, d.h_in, d.pad[2]);
    let widths = shares(&windows, 1, w_out, d.w_in, d.pad[3]);
    let planes = units_per_task(inputs);
    y.par_chunks_mut(planes * outputs).zip(x.par_chunks(planes * inputs)).for_each(|(y, x)| {
        with_scratch([seen * line], |[split]| {
            for (y, x) in y.chunks_exact_mut(outputs).zip(x.chunks_exact(inputs)) {
                windows.split_rows(x, windows.origin[0], seen, 0.0, split);
                for ((oy, y), height) in y.chunks_exact_mut(w_out).enumerate().zip(&heights) {
                    y.fill(0.0);
                    for ky in valid(&windows, 0, oy, d.h_in) {
                        let source = &split[(oy * d.stride[0] + ky) * line..][..line];
                        for kx in 0..d.kernel[1] {
                            let values = &source[windows.tap_column(kx)..][..w_out];
                            for (y, &v) in y.iter_mut().zip(values) {
                                *y += v;
                            }
                        }
                    }
                    for (y, width) in y.iter_mut().zip(&widths) {
                        *y /= height * width;
                    }
                }
            }
        });
    });
}

/// dx: every pixel of a window gets the same share of dy.
pub fn avg_pool2d_backward(d: &Pool2d, dy: &[f32], dx: &mut [f32]) {
    let windows = windows(d);
    let (inputs, outputs) = (windows.inputs(), windows.outputs());
    let (w_out, step) = (windows.w_out, d.stride[1]);
    let heights = shares(&windows, 0, windows.h_out, d.h_in, d.pad[2]);
    let widths = shares(&windows, 1, w_out, d.w_in, d.pad[3]);
    // Output columns whose pixel under tap column kx lies in the picture, and the first of those pixels.
    let columns: Vec<(Range<usize>, usize)> = (0..d.kernel[1])
        .map(|kx| {
            let begin = kx as isize + windows.origin[1];
            let low = begin.min(0).unsigned_abs().div_ceil(step).min(w_out);
            let high = ((d.w_in as isize - begin).max(0) as usize).div_ceil(step).clamp(low, w_out);
            (low..high, ((low * step) as isize + begin).max(0) as usize)
        })
        .collect();
    let planes = units_per_task(inputs);
    dx.par_chunks_mut(planes * inputs).zip(dy.par_chunks(planes * outputs)).for_each(|(dx, dy)| {
        with_scratch([w_out], |[share]| {
            for (dx, dy) in dx.chunks_exact_mut(inputs).zip(dy.chunks_exact(outputs)) {
                dx.fill(0.0);
                for ((oy, dy), height) in dy.chunks_exact(w_out).enumerate().zip(&heights) {
                    for ((share, &dy), width) in share.iter_mut().zip(dy).zip(&widths) {
                        *share = dy / (height * width);
                    }
                    for ky in valid(&windows, 0, oy, d.h_in) {
                        let row = (oy * d.stride[0] + ky) as isize + windows.origin[0];
                        let line = &mut dx[row as usize * d.w_in..][..d.w_in];
                        for (range, first) in columns.iter().filter(|(range, _)| !range.is_empty()) {
                            let pixels = line[*first..].iter_mut().step_by(step);
                            for (dx, &share) in pixels.zip(&share[range.clone()]) {
                                *dx += share;
                            }
                        }
                    }
                }
            }
        });
    });
}
