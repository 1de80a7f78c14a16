//! The moving average of a weight.

use super::parallel::CHUNK;
use super::simd::vectorised;
use crate::ops::Ema;
use rayon::prelude::*;

/// a += (1 - decay) (w - a), unless the update of the step was skipped.
pub fn ema(d: &Ema, w: &[f32], factor: Option<&[f32]>, a: &mut [f32]) {
    if d.scaled && factor.and_then(<[f32]>::first) == Some(&0.0) {
        return;
    }
    let weight = d.weight();
    a.par_chunks_mut(CHUNK).zip(w.par_chunks(CHUNK)).for_each(|(a, w)| {
        vectorised!(|| {
            for (a, &w) in a.iter_mut().zip(w) {
                *a += weight * (w - *a);
            }
        });
    });
}
