//! Max pooling in blocks of channels, one pixel of [`BLOCK`] channels at a time.

use crate::cpu::block_windows::Axis;
use crate::cpu::layout::BLOCK;
use crate::cpu::parallel::units_per_task;
use crate::cpu::pixel::{Pixel, pixelwise};
use crate::ops::Pool2d;
use rayon::prelude::*;

/// y and the winner's place in its window.
pub fn max_forward(d: &Pool2d, x: &[f32], y: &mut [f32], index: &mut [f32]) {
    let (h_out, w_out, inputs) = (d.h_out(), d.w_out(), d.h_in * d.w_in);
    let (rows, columns) = (Axis::of_pool(d, 0), Axis::of_pool(d, 1));
    let x = x.as_chunks::<BLOCK>().0;
    let (y, index) = (y.as_chunks_mut::<BLOCK>().0, index.as_chunks_mut::<BLOCK>().0);
    let lines = units_per_task(w_out * BLOCK);
    let results = y.par_chunks_mut(lines * w_out).zip(index.par_chunks_mut(lines * w_out));
    results.enumerate().for_each(|(task, (y, index))| {
        pixelwise!(|v| {
            let results = y.chunks_exact_mut(w_out).zip(index.chunks_exact_mut(w_out));
            for (line, (y, index)) in (task * lines..).zip(results) {
                let (x, oy) = (&x[line / h_out * inputs..][..inputs], line % h_out);
                let rows = rows.inputs[oy].clone();
                // Where the window begins in the padding, its first pixels have the taps that follow.
                let row_tap = (rows.start + d.pad[0] - oy * d.stride[0]) * d.kernel[1];
                for (ox, ((y, index), columns)) in y.iter_mut().zip(index).zip(&columns.inputs).enumerate() {
                    let mut tap = (row_tap + columns.start + d.pad[1] - ox * d.stride[1]) as f32;
                    let mut best = v.splat(f32::NEG_INFINITY);
                    // Where all of a window is minus infinity, its first pixel wins.
                    let mut winner = v.splat(tap);
                    for row in rows.clone() {
                        let line = &x[row * d.w_in..][..d.w_in][columns.clone()];
                        let mut place = tap;
                        for values in line {
                            v.take_greater(v.load(values), place, &mut best, &mut winner);
                            place += 1.0;
                        }
                        tap += d.kernel[1] as f32;
                    }
                    v.store(best, y);
                    v.store(winner, index);
                }
            }
        });
    });
}

/// Taps from which on dx is written one value at a time: the scalar additions of a block then cost less than comparing
/// its winners with every tap.
const MANY_TAPS: usize = 16;

/// dx: every dy goes to the winner of its window, in the order of the windows.
pub fn max_backward(d: &Pool2d, index: &[f32], dy: &[f32], dx: &mut [f32]) {
    let (index, dy) = (index.as_chunks::<BLOCK>().0, dy.as_chunks::<BLOCK>().0);
    if d.kernel[0] * d.kernel[1] >= MANY_TAPS {
        scatter(d, index, dy, dx);
    } else {
        compare(d, index, dy, dx.as_chunks_mut::<BLOCK>().0);
    }
}

/// Adds dy to all pixels of a row that a window holds: 0 to those that have not won it.
fn compare(d: &Pool2d, index: &[Pixel], dy: &[Pixel], dx: &mut [Pixel]) {
    let (outputs, w_out) = (d.h_out() * d.w_out(), d.w_out());
    let (rows, columns) = (Axis::of_pool(d, 0), Axis::of_pool(d, 1));
    let lines = units_per_task(d.w_in * BLOCK);
    dx.par_chunks_mut(lines * d.w_in).enumerate().for_each(|(task, dx)| {
        pixelwise!(narrow, |v| {
            for (line, dx) in (task * lines..).zip(dx.chunks_exact_mut(d.w_in)) {
                let (first, iy) = (line / d.h_in * outputs, line % d.h_in);
                dx.fill([0.0; BLOCK]);
                for oy in rows.outputs[iy].clone() {
                    let tap = (iy + d.pad[0] - oy * d.stride[0]) * d.kernel[1] + d.pad[1];
                    let index = &index[first + oy * w_out..][..w_out];
                    let windows = index.iter().zip(&dy[first + oy * w_out..]).zip(&columns.inputs);
                    for (ox, ((index, dy), columns)) in windows.enumerate() {
                        let (index, dy) = (v.load(index), v.load(dy));
                        let mut tap = (tap + columns.start - ox * d.stride[1]) as f32;
                        for dx in &mut dx[columns.clone()] {
                            v.store(v.add(v.load(dx), v.where_equal(index, tap, dy)), dx);
                            tap += 1.0;
                        }
                    }
                }
            }
        });
    });
}

/// Adds dy to the winners alone.
fn scatter(d: &Pool2d, index: &[Pixel], dy: &[Pixel], dx: &mut [f32]) {
    let (inputs, outputs, w_out) = (d.h_in * d.w_in, d.h_out() * d.w_out(), d.w_out());
    // Elements from the first tap, which may lie in the padding, to each of them.
    let taps = 0..d.kernel[0] * d.kernel[1];
    let places: Vec<usize> = taps.map(|k| (k / d.kernel[1] * d.w_in + k % d.kernel[1]) * BLOCK).collect();
    let origin = (d.pad[0] * d.w_in + d.pad[1]) * BLOCK;
    let sources = index.par_chunks(outputs).zip(dy.par_chunks(outputs));
    dx.par_chunks_mut(inputs * BLOCK).zip(sources).for_each(|(dx, (index, dy))| {
        dx.fill(0.0);
        for (o, (index, dy)) in index.iter().zip(dy).enumerate() {
            let first = (o / w_out * d.stride[0] * d.w_in + o % w_out * d.stride[1]) * BLOCK;
            for c in 0..BLOCK {
                // A winner is a pixel of the image, never padding.
                dx[first + places[index[c] as i32 as usize] + c - origin] += dy[c];
            }
        }
    });
}
