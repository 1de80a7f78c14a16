//! Dropout whose mask is recomputed from (seed, draw, layer, element).

use super::parallel::CHUNK;
use super::simd::vectorised;
use crate::ops::{Dropout, Hyper};
use crate::random::philox_blocks;
use rayon::prelude::*;

/// Blocks of random numbers that are computed side by side, one to a vector lane.
const BLOCKS: usize = 32;

/// y = x times the mask over 1 - p; with dy and dx it is its own gradient.
pub fn dropout(d: &Dropout, x: &[f32], hyper: &[f32], y: &mut [f32]) {
    let hyper = Hyper::from_words(hyper);
    let (threshold, scale, key) = (d.threshold(), d.scale(), [hyper.seed_lo, hyper.seed_hi]);
    y.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).enumerate().for_each(|(chunk, (y, x))| {
        let first = (chunk * CHUNK / 4) as u32;
        vectorised!(|| {
            for (group, (y, x)) in y.chunks_mut(4 * BLOCKS).zip(x.chunks(4 * BLOCKS)).enumerate() {
                let block = first + (group * BLOCKS) as u32;
                let blocks = std::array::from_fn(|i| block + i as u32);
                let counter = [blocks, [hyper.draw; BLOCKS], [d.layer; BLOCKS], [0; BLOCKS]];
                let words = philox_blocks(counter, key);
                let mut ordered = [0u32; 4 * BLOCKS];
                for (i, four) in ordered.as_chunks_mut::<4>().0.iter_mut().enumerate() {
                    *four = [words[0][i], words[1][i], words[2][i], words[3][i]];
                }
                for ((y, &x), word) in y.iter_mut().zip(x).zip(ordered) {
                    let scaled = x * scale;
                    *y = if word >= threshold { scaled } else { 0.0 };
                }
            }
        });
    });
}
