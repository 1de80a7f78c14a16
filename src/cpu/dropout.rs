//! Dropout whose mask is recomputed from (seed, draw, layer, element).

use super::parallel::CHUNK;
use super::simd::vectorised;
use crate::ops::{Dropout, Hyper};
use crate::random::philox;
use rayon::prelude::*;

/// Blocks of random numbers that are computed side by side, one to a vector lane.
const BLOCKS: usize = 8;

/// y = x times the mask over 1 - p; with dy and dx it is its own gradient.
pub fn dropout(d: &Dropout, x: &[f32], hyper: &[f32], y: &mut [f32]) {
    let hyper = Hyper::from_words(hyper);
    let (threshold, scale, key) = (d.threshold(), d.scale(), [hyper.seed_lo, hyper.seed_hi]);
    y.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).enumerate().for_each(|(chunk, (y, x))| {
        let first = (chunk * CHUNK / 4) as u32;
        vectorised!(|| {
            for (group, (y, x)) in y.chunks_mut(4 * BLOCKS).zip(x.chunks(4 * BLOCKS)).enumerate() {
                let mut words = [[0u32; BLOCKS]; 4];
                for i in 0..BLOCKS {
                    let block = first + (group * BLOCKS + i) as u32;
                    let four = philox([block, hyper.draw, d.layer, 0], key);
                    for (words, word) in words.iter_mut().zip(four) {
                        words[i] = word;
                    }
                }
                for (i, (y, &x)) in y.iter_mut().zip(x).enumerate() {
                    *y = if words[i % 4][i / 4] >= threshold { x * scale } else { 0.0 };
                }
            }
        });
    });
}
