//! Dropout whose mask is recomputed from (seed, draw, layer, element).

use super::parallel::CHUNK;
use crate::ops::{Dropout, Hyper};
use crate::random::philox;
use rayon::prelude::*;

/// y = x times the mask over 1 - p; with dy and dx it is its own gradient.
pub fn dropout(d: &Dropout, x: &[f32], hyper: &[f32], y: &mut [f32]) {
    let hyper = Hyper::from_words(hyper);
    let (threshold, scale, key) = (d.threshold(), d.scale(), [hyper.seed_lo, hyper.seed_hi]);
    y.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).enumerate().for_each(|(chunk, (y, x))| {
        let first = (chunk * CHUNK / 4) as u32;
        for (block, (y, x)) in (first..).zip(y.chunks_mut(4).zip(x.chunks(4))) {
            let words = philox([block, hyper.draw, d.layer, 0], key);
            for ((y, &x), word) in y.iter_mut().zip(x).zip(words) {
                *y = if word >= threshold { x * scale } else { 0.0 };
            }
        }
    });
}
