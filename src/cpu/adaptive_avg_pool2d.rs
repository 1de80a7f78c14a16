//! Average pooling to a fixed output size.

use super::block_windows::{Axis, averages, averages_backward};
use super::layout::Layout;
use super::parallel::units_per_task;
use super::sum::CHAIN;
use crate::ops::AdaptiveAvgPool2d;
use rayon::prelude::*;
use std::ops::Range;

/// Input rows or columns that output `o` of `outputs` averages.
fn window(o: usize, len: usize, outputs: usize) -> Range<usize> {
    o * len / outputs..((o + 1) * len).div_ceil(outputs)
}

/// The windows along one axis.
fn axis(len: usize, outputs: usize) -> Axis {
    // Windows that hold an input are what the input's window would be if inputs and outputs changed places.
    Axis {
        inputs: (0..outputs).map(|o| window(o, len, outputs)).collect(),
        outputs: (0..len).map(|i| window(i, outputs, len)).collect(),
    }
}

/// The axes, and how many pixels each window averages.
fn axes(d: &AdaptiveAvgPool2d) -> (Axis, Axis, Vec<f32>) {
    let (rows, columns) = (axis(d.h_in, d.h_out), axis(d.w_in, d.w_out));
    let size = |i: usize| rows.inputs[i / d.w_out].len() * columns.inputs[i % d.w_out].len();
    let sizes = (0..d.h_out * d.w_out).map(|i| size(i) as f32).collect();
    (rows, columns, sizes)
}

/// A sum by way of parts of [`CHAIN`] terms.
fn sum_of_parts(mut terms: impl ExactSizeIterator<Item = f32>) -> f32 {
    let mut total = terms.by_ref().take(CHAIN).sum::<f32>();
    while terms.len() > 0 {
        total += terms.by_ref().take(CHAIN).sum::<f32>();
    }
    total
}

/// y, the averages.
pub fn adaptive_avg_pool2d_forward(d: &AdaptiveAvgPool2d, layout: Layout, x: &[f32], y: &mut [f32]) {
    if layout == Layout::Blocks {
        let (rows, columns, sizes) = axes(d);
        return averages(&rows, &columns, &sizes, x, y);
    }
    let (inputs, outputs) = (d.h_in * d.w_in, d.h_out * d.w_out);
    let planes = units_per_task(inputs);
    y.par_chunks_mut(planes * outputs).zip(x.par_chunks(planes * inputs)).for_each(|(y, x)| {
        for (y, x) in y.chunks_exact_mut(outputs).zip(x.chunks_exact(inputs)) {
            for (i, y) in y.iter_mut().enumerate() {
                let rows = window(i / d.w_out, d.h_in, d.h_out);
                let columns = window(i % d.w_out, d.w_in, d.w_out);
                let count = (rows.len() * columns.len()) as f32;
                let row = |row: usize| sum_of_parts(x[row * d.w_in..][columns.clone()].iter().copied());
                *y = sum_of_parts(rows.map(row)) / count;
            }
        }
    });
}

/// dx: every pixel of a window gets the same share of dy.
pub fn adaptive_avg_pool2d_backward(d: &AdaptiveAvgPool2d, layout: Layout, dy: &[f32], dx: &mut [f32]) {
    if layout == Layout::Blocks {
        let (rows, columns, sizes) = axes(d);
        return averages_backward(&rows, &columns, &sizes, dy, dx);
    }
    let (inputs, outputs) = (d.h_in * d.w_in, d.h_out * d.w_out);
    let planes = units_per_task(inputs);
    dx.par_chunks_mut(planes * inputs).zip(dy.par_chunks(planes * outputs)).for_each(|(dx, dy)| {
        for (dx, dy) in dx.chunks_exact_mut(inputs).zip(dy.chunks_exact(outputs)) {
            if outputs / inputs >= CHAIN {
                gather(d, dy, dx);
                continue;
            }
            dx.fill(0.0);
            for (i, &dy) in dy.iter().enumerate() {
                let rows = window(i / d.w_out, d.h_in, d.h_out);
                let columns = window(i % d.w_out, d.w_in, d.w_out);
                let share = dy / (rows.len() * columns.len()) as f32;
                for row in rows {
                    for dx in &mut dx[row * d.w_in..][columns.clone()] {
                        *dx += share;
                    }
                }
            }
        }
    });
}

/// dx of one plane where very many windows cover each input: summed in parts, input by input.
fn gather(d: &AdaptiveAvgPool2d, dy: &[f32], dx: &mut [f32]) {
    for (i, dx) in dx.iter_mut().enumerate() {
        // Windows that cover an input are what the input's window would be if inputs and outputs changed places.
        let columns = window(i % d.w_in, d.w_out, d.w_in);
        let share = |row: usize, column: usize| {
            let count = window(row, d.h_in, d.h_out).len() * window(column, d.w_in, d.w_out).len();
            dy[row * d.w_out + column] / count as f32
        };
        let row = |row: usize| sum_of_parts(columns.clone().map(|column| share(row, column)));
        *dx = sum_of_parts(window(i / d.w_in, d.h_out, d.h_in).map(row));
    }
}
