//! Local response normalisation within each map. A sum over a square window is a sum along rows of sums along columns;
//! every inner loop runs along a row.

use super::local_response_norm::with_power;
use super::parallel::{units_per_task, with_scratch};
use super::simd::vectorised;
use crate::ops::LocalResponseNormWithin;
use rayon::prelude::*;

/// out = sum of `plane` over the windows that reach `before` places up and left and `after` down and right.
#[inline(always)]
fn box_sum(w: usize, before: usize, after: usize, plane: &[f32], rows: &mut [f32], out: &mut [f32]) {
    let h = plane.len() / w;
    rows.fill(0.0);
    for (sum, row) in rows.chunks_exact_mut(w).zip(plane.chunks_exact(w)) {
        for back in (1..=before.min(w - 1)).rev() {
            sum[back..].iter_mut().zip(row).for_each(|(s, &x)| *s += x);
        }
        for ahead in 0..=after.min(w - 1) {
            sum.iter_mut().zip(&row[ahead..]).for_each(|(s, &x)| *s += x);
        }
    }
    out.fill(0.0);
    for (r, sum) in out.chunks_exact_mut(w).enumerate() {
        for other in r.saturating_sub(before)..(r + after + 1).min(h) {
            sum.iter_mut().zip(&rows[other * w..][..w]).for_each(|(s, &x)| *s += x);
        }
    }
}

/// y and scale.
pub fn local_response_norm_within_forward(
    d: &LocalResponseNormWithin,
    x: &[f32],
    y: &mut [f32],
    scale: &mut [f32],
) {
    let plane = d.h * d.w;
    let task = units_per_task(plane) * plane;
    let factor = d.alpha / (d.size * d.size) as f32;
    let (before, after) = (d.size / 2, (d.size - 1) / 2);
    let results = y.par_chunks_mut(task).zip(scale.par_chunks_mut(task));
    results.zip(x.par_chunks(task)).for_each(|((y, scale), x)| {
        with_scratch([plane, plane], |[squares, rows]| {
            vectorised!(|| {
                let results = y.chunks_exact_mut(plane).zip(scale.chunks_exact_mut(plane));
                for ((y, scale), x) in results.zip(x.chunks_exact(plane)) {
                    squares.iter_mut().zip(x).for_each(|(s, &x)| *s = x * x);
                    box_sum(d.w, before, after, squares, rows, scale);
                    scale.iter_mut().for_each(|s| *s = d.k + factor * *s);
                    with_power(d.beta, scale, y, |i, power| x[i] * power);
                }
            })
        })
    });
}

/// dx[i] = dy[i] scale[i]^-beta - 2 alpha beta / size^2 x[i] sum over j of dy[j] x[j] scale[j]^(-beta - 1), where j runs
/// over the places whose window holds i: the window turned around.
pub fn local_response_norm_within_backward(
    d: &LocalResponseNormWithin,
    x: &[f32],
    scale: &[f32],
    dy: &[f32],
    dx: &mut [f32],
) {
    let plane = d.h * d.w;
    let task = units_per_task(plane) * plane;
    let factor = 2.0 * d.alpha * d.beta / (d.size * d.size) as f32;
    let (before, after) = ((d.size - 1) / 2, d.size / 2);
    let inputs = x.par_chunks(task).zip(scale.par_chunks(task)).zip(dy.par_chunks(task));
    dx.par_chunks_mut(task).zip(inputs).for_each(|(dx, ((x, scale), dy))| {
        with_scratch([plane, plane, plane], |[ratios, rows, sums]| {
            vectorised!(|| {
                let inputs = x.chunks_exact(plane).zip(scale.chunks_exact(plane)).zip(dy.chunks_exact(plane));
                for (dx, ((x, scale), dy)) in dx.chunks_exact_mut(plane).zip(inputs) {
                    with_power(d.beta, scale, dx, |i, power| dy[i] * power);
                    for (((ratio, &dx), &x), &scale) in ratios.iter_mut().zip(&*dx).zip(x).zip(scale) {
                        *ratio = dx * x / scale;
                    }
                    box_sum(d.w, before, after, ratios, rows, sums);
                    for ((dx, &x), &sum) in dx.iter_mut().zip(x).zip(&*sums) {
                        *dx -= factor * x * sum;
                    }
                }
            })
        })
    });
}
