//! Pooling with windows. In the plain layout all four passes work on padded rows split by phase (`windows`), eight
//! output pixels at a time: every tap then reads or writes contiguous memory, with no test for the border.

mod blocks;

use super::block_windows::{Axis, averages, averages_backward};
use super::layout::Layout;
use super::parallel::{units_per_task, with_scratch};
use super::simd::vectorised;
use super::sum::CHAIN;
use super::windows::Windows;
use crate::ops::Pool2d;
use rayon::prelude::*;

/// Output pixels that are treated at once.
const LANES: usize = 8;

/// What the passes need to know of a geometry.
struct Geometry {
    windows: Windows,
    /// Where each tap lies in the split rows, from the beginning of the first row of its window.
    taps: Vec<usize>,
    /// Rows of a split image, and its length with a vector to spare.
    seen: usize,
    len: usize,
    /// Images of one task.
    images: usize,
}

impl Geometry {
    fn new(d: &Pool2d) -> Self {
        let windows = Windows {
            h_in: d.h_in,
            w_in: d.w_in,
            h_out: d.h_out(),
            w_out: d.w_out(),
            kernel: d.kernel,
            stride: d.stride,
            dilation: [1, 1],
            origin: [-(d.pad[0] as isize), -(d.pad[1] as isize)],
        };
        let kernel_w = d.kernel[1];
        let tap = |k: usize| k / kernel_w * windows.pitch() + windows.tap_column(k % kernel_w);
        let seen = windows.rows_seen(windows.h_out);
        Geometry {
            windows,
            taps: (0..windows.taps()).map(tap).collect(),
            seen,
            len: seen * windows.pitch() + LANES,
            images: units_per_task(windows.inputs()),
        }
    }

    /// Elements of the split rows from one output row to the next.
    fn step(&self) -> usize {
        self.windows.stride[0] * self.windows.pitch()
    }

    /// The first kernel row (axis 0) or column (axis 1) of each window that lies in the image.
    fn firsts(&self, axis: usize, outputs: usize) -> Vec<f32> {
        let begin = |o: usize| (o * self.windows.stride[axis]) as isize + self.windows.origin[axis];
        (0..outputs.next_multiple_of(LANES)).map(|o| begin(o).min(0).unsigned_abs() as f32).collect()
    }

    /// How many rows (axis 0) or columns (axis 1) each window averages.
    fn extents(&self, d: &Pool2d, axis: usize) -> Vec<f32> {
        let outputs = if axis == 0 { self.windows.h_out } else { self.windows.w_out };
        let [first, end] = d.counted(axis);
        let begin = |o: usize| o * self.windows.stride[axis];
        let extent = |o| (begin(o) + self.windows.kernel[axis]).min(end).saturating_sub(begin(o).max(first));
        (0..outputs).map(|o| extent(o).max(1) as f32).collect()
    }

    /// How many pixels each window averages.
    fn sizes(&self, d: &Pool2d) -> Vec<f32> {
        let (heights, widths) = (self.extents(d, 0), self.extents(d, 1));
        heights.iter().flat_map(|height| widths.iter().map(move |width| height * width)).collect()
    }
}

/// Elements `at .. at + LANES`.
#[inline(always)]
fn lanes(data: &[f32], at: usize) -> [f32; LANES] {
    let mut lanes = [0.0; LANES];
    lanes.copy_from_slice(&data[at..at + LANES]);
    lanes
}

/// Up to `LANES` elements from `at` on, then zeros.
#[inline(always)]
fn some_lanes(data: &[f32], at: usize) -> [f32; LANES] {
    if at + LANES <= data.len() {
        return lanes(data, at);
    }
    let mut lanes = [0.0; LANES];
    lanes[..data.len() - at].copy_from_slice(&data[at..]);
    lanes
}

/// Writes as many lanes as there is room for from `at` on.
#[inline(always)]
fn put(data: &mut [f32], at: usize, lanes: [f32; LANES]) {
    let count = LANES.min(data.len() - at);
    data[at..at + count].copy_from_slice(&lanes[..count]);
}

/// y and the winner's place in its window.
pub fn max_pool2d_forward(d: &Pool2d, layout: Layout, x: &[f32], y: &mut [f32], index: &mut [f32]) {
    if layout == Layout::Blocks {
        return blocks::max_forward(d, x, y, index);
    }
    let g = Geometry::new(d);
    let (inputs, outputs, w_out) = (g.windows.inputs(), g.windows.outputs(), g.windows.w_out);
    let (rows, columns) = (g.firsts(0, g.windows.h_out), g.firsts(1, w_out));
    let kernel_w = d.kernel[1] as f32;
    let results = y.par_chunks_mut(g.images * outputs).zip(index.par_chunks_mut(g.images * outputs));
    results.zip(x.par_chunks(g.images * inputs)).for_each(|((y, index), x)| {
        with_scratch([g.len], |[split]| {
            vectorised!(|| {
                let results = y.chunks_exact_mut(outputs).zip(index.chunks_exact_mut(outputs));
                for ((y, index), x) in results.zip(x.chunks_exact(inputs)) {
                    g.windows.split_rows(x, g.windows.origin[0], g.seen, f32::NEG_INFINITY, split);
                    let lines = y.chunks_exact_mut(w_out).zip(index.chunks_exact_mut(w_out));
                    for ((oy, (y, index)), row) in lines.enumerate().zip(&rows) {
                        for ox in (0..w_out).step_by(LANES) {
                            let mut best = [f32::NEG_INFINITY; LANES];
                            // Where all of a window is minus infinity, its first pixel wins, and not the padding.
                            let mut winner = lanes(&columns, ox).map(|column| row * kernel_w + column);
                            for (k, tap) in g.taps.iter().enumerate() {
                                let values = lanes(split, oy * g.step() + tap + ox);
                                for i in 0..LANES {
                                    // Greater, or the first NaN.
                                    let wins =
                                        (values[i] > best[i]) | (values[i].is_nan() & !best[i].is_nan());
                                    best[i] = if wins { values[i] } else { best[i] };
                                    winner[i] = if wins { k as f32 } else { winner[i] };
                                }
                            }
                            put(y, ox, best);
                            put(index, ox, winner);
                        }
                    }
                }
            })
        });
    });
}

/// dx: every dy goes to the winner of its window. One pixel at a time: nine additions of mostly zeros in vectors, and the
/// splitting of the rows, take longer.
pub fn max_pool2d_backward(d: &Pool2d, layout: Layout, index: &[f32], dy: &[f32], dx: &mut [f32]) {
    if layout == Layout::Blocks {
        return blocks::max_backward(d, index, dy, dx);
    }
    let g = Geometry::new(d);
    let (inputs, outputs, w_out) = (g.windows.inputs(), g.windows.outputs(), g.windows.w_out);
    let (w_in, kernel_w, [down, across]) = (d.w_in as i32, d.kernel[1] as i32, d.stride);
    let places: Vec<i32> = (0..g.windows.taps() as i32).map(|k| k / kernel_w * w_in + k % kernel_w).collect();
    let sources = index.par_chunks(g.images * outputs).zip(dy.par_chunks(g.images * outputs));
    dx.par_chunks_mut(g.images * inputs).zip(sources).for_each(|(dx, (index, dy))| {
        dx.fill(0.0);
        let images = index.chunks_exact(outputs).zip(dy.chunks_exact(outputs));
        for (dx, (index, dy)) in dx.chunks_exact_mut(inputs).zip(images) {
            let lines = index.chunks_exact(w_out).zip(dy.chunks_exact(w_out));
            for (oy, (index, dy)) in lines.enumerate() {
                let corner = (oy * down) as i32 + g.windows.origin[0] as i32;
                let mut first = corner * w_in + g.windows.origin[1] as i32;
                for (&winner, &dy) in index.iter().zip(dy) {
                    // A winner is a pixel of the image, never padding.
                    let place = first + places[winner as i32 as usize];
                    dx[place as usize] += dy;
                    first += across as i32;
                }
            }
        }
    });
}

/// y, the averages.
pub fn avg_pool2d_forward(d: &Pool2d, layout: Layout, x: &[f32], y: &mut [f32]) {
    let g = Geometry::new(d);
    if layout == Layout::Blocks {
        return averages(&Axis::of_pool(d, 0), &Axis::of_pool(d, 1), &g.sizes(d), x, y);
    }
    let (inputs, outputs, w_out) = (g.windows.inputs(), g.windows.outputs(), g.windows.w_out);
    let (heights, widths) = (g.extents(d, 0), g.extents(d, 1));
    y.par_chunks_mut(g.images * outputs).zip(x.par_chunks(g.images * inputs)).for_each(|(y, x)| {
        with_scratch([g.len], |[split]| {
            vectorised!(|| {
                for (y, x) in y.chunks_exact_mut(outputs).zip(x.chunks_exact(inputs)) {
                    g.windows.split_rows(x, g.windows.origin[0], g.seen, 0.0, split);
                    for ((oy, y), height) in y.chunks_exact_mut(w_out).enumerate().zip(&heights) {
                        for ox in (0..w_out).step_by(LANES) {
                            let mut total = [0.0; LANES];
                            for taps in g.taps.chunks(CHAIN) {
                                let mut part = [0.0; LANES];
                                for tap in taps {
                                    let values = lanes(split, oy * g.step() + tap + ox);
                                    for i in 0..LANES {
                                        part[i] += values[i];
                                    }
                                }
                                for i in 0..LANES {
                                    total[i] += part[i];
                                }
                            }
                            put(y, ox, total);
                        }
                        for (y, width) in y.iter_mut().zip(&widths) {
                            *y /= height * width;
                        }
                    }
                }
            })
        });
    });
}

/// dx: every pixel of a window gets the same share of dy.
pub fn avg_pool2d_backward(d: &Pool2d, layout: Layout, dy: &[f32], dx: &mut [f32]) {
    let g = Geometry::new(d);
    if layout == Layout::Blocks {
        return averages_backward(&Axis::of_pool(d, 0), &Axis::of_pool(d, 1), &g.sizes(d), dy, dx);
    }
    let (inputs, outputs, w_out) = (g.windows.inputs(), g.windows.outputs(), g.windows.w_out);
    let (heights, widths) = (g.extents(d, 0), g.extents(d, 1));
    dx.par_chunks_mut(g.images * inputs).zip(dy.par_chunks(g.images * outputs)).for_each(|(dx, dy)| {
        with_scratch([g.len, g.windows.pitch(), w_out], |[split, line, shares]| {
            vectorised!(|| {
                for (dx, dy) in dx.chunks_exact_mut(inputs).zip(dy.chunks_exact(outputs)) {
                    split.fill(0.0);
                    for ((oy, dy), height) in dy.chunks_exact(w_out).enumerate().zip(&heights) {
                        for ((share, &dy), width) in shares.iter_mut().zip(dy).zip(&widths) {
                            *share = dy / (height * width);
                        }
                        for ox in (0..w_out).step_by(LANES) {
                            let share = some_lanes(shares, ox);
                            for tap in &g.taps {
                                let place = &mut split[oy * g.step() + tap + ox..][..LANES];
                                for i in 0..LANES {
                                    place[i] += share[i];
                                }
                            }
                        }
                    }
                    let rows = &split[..g.seen * g.windows.pitch()];
                    g.windows.join_rows(rows, g.windows.origin[0], line, dx);
                }
            })
        });
    });
}
