//! Zeros around an image: copies of whole rows. In blocks of channels a pixel is 16 numbers instead of one.

use super::layout::{BLOCK, Layout};
use super::parallel::units_per_task;
use crate::ops::Pad2d;
use rayon::prelude::*;

/// Numbers of a pixel.
fn pixel(layout: Layout) -> usize {
    if layout == Layout::Blocks { BLOCK } else { 1 }
}

/// y, x with zeros around it.
pub fn pad_forward(d: &Pad2d, layout: Layout, x: &[f32], y: &mut [f32]) {
    let (row_in, row_out) = (d.w_in * pixel(layout), d.w_out() * pixel(layout));
    let (plane_in, plane_out) = (d.h_in * row_in, d.h_out() * row_out);
    let ([top, ..], left) = (d.pad, d.pad[1] * pixel(layout));
    let units = units_per_task(plane_out);
    y.par_chunks_mut(units * plane_out).zip(x.par_chunks(units * plane_in)).for_each(|(y, x)| {
        y.fill(0.0);
        for (y, x) in y.chunks_exact_mut(plane_out).zip(x.chunks_exact(plane_in)) {
            for (y, x) in y.chunks_exact_mut(row_out).skip(top).zip(x.chunks_exact(row_in)) {
                y[left..left + row_in].copy_from_slice(x);
            }
        }
    });
}

/// dx, the part of dy where x lies.
pub fn pad_backward(d: &Pad2d, layout: Layout, dy: &[f32], dx: &mut [f32]) {
    let (row_in, row_out) = (d.w_in * pixel(layout), d.w_out() * pixel(layout));
    let (plane_in, plane_out) = (d.h_in * row_in, d.h_out() * row_out);
    let ([top, ..], left) = (d.pad, d.pad[1] * pixel(layout));
    let units = units_per_task(plane_out);
    dx.par_chunks_mut(units * plane_in).zip(dy.par_chunks(units * plane_out)).for_each(|(dx, dy)| {
        for (dx, dy) in dx.chunks_exact_mut(plane_in).zip(dy.chunks_exact(plane_out)) {
            for (dx, dy) in dx.chunks_exact_mut(row_in).zip(dy.chunks_exact(row_out).skip(top)) {
                dx.copy_from_slice(&dy[left..left + row_in]);
            }
        }
    });
}
