//! Upsampling by repetition. In blocks of channels a pixel is 16 numbers instead of one.

use super::layout::{BLOCK, Layout};
use super::parallel::units_per_task;
use super::simd::vectorised;
use crate::ops::Upsample;
use rayon::prelude::*;

/// y, every pixel of x repeated.
pub fn upsample_forward(d: &Upsample, layout: Layout, x: &[f32], y: &mut [f32]) {
    match layout {
        Layout::Plain => forward::<1>(d, x, y),
        Layout::Blocks => forward::<BLOCK>(d, x, y),
    }
}

/// dx, the sums over the copies of each pixel.
pub fn upsample_backward(d: &Upsample, layout: Layout, dy: &[f32], dx: &mut [f32]) {
    match layout {
        Layout::Plain => backward::<1>(d, dy, dx),
        Layout::Blocks => backward::<BLOCK>(d, dy, dx),
    }
}

fn forward<const LANES: usize>(d: &Upsample, x: &[f32], y: &mut [f32]) {
    let (x, y) = (x.as_chunks::<LANES>().0, y.as_chunks_mut::<LANES>().0);
    let ([scale_h, scale_w], w_out) = (d.scale, d.w_out());
    // Rows of x, and the rows of y that repeat them.
    let (rows, copies) = (units_per_task(scale_h * w_out * LANES), scale_h * w_out);
    y.par_chunks_mut(rows * copies).zip(x.par_chunks(rows * d.w_in)).for_each(|(y, x)| {
        for (y, x) in y.chunks_exact_mut(copies).zip(x.chunks_exact(d.w_in)) {
            let (first, others) = y.split_at_mut(w_out);
            for (y, x) in first.chunks_exact_mut(scale_w).zip(x) {
                y.fill(*x);
            }
            for row in others.chunks_exact_mut(w_out) {
                row.copy_from_slice(first);
            }
        }
    });
}

fn backward<const LANES: usize>(d: &Upsample, dy: &[f32], dx: &mut [f32]) {
    let (dy, dx) = (dy.as_chunks::<LANES>().0, dx.as_chunks_mut::<LANES>().0);
    let ([scale_h, scale_w], w_out) = (d.scale, d.w_out());
    let (rows, copies) = (units_per_task(scale_h * w_out * LANES), scale_h * w_out);
    dx.par_chunks_mut(rows * d.w_in).zip(dy.par_chunks(rows * copies)).for_each(|(dx, dy)| {
        vectorised!(|| {
            for (dx, dy) in dx.chunks_exact_mut(d.w_in).zip(dy.chunks_exact(copies)) {
                dx.fill([0.0; LANES]);
                for row in dy.chunks_exact(w_out) {
                    for (dx, copies) in dx.iter_mut().zip(row.chunks_exact(scale_w)) {
                        for copy in copies {
                            for lane in 0..LANES {
                                dx[lane] += copy[lane];
                            }
                        }
                    }
                }
            }
        });
    });
}
