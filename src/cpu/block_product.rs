//! Products for blocks of channels: the innermost loop of convolution forward and of the gradient of its input.
//!
//! A tile of sums, some pixels times some blocks of output channels, stays in registers; each term is one number of x against
//! vectors of weights. Lists of places say which pixels and which terms, so that padding, strides, dilation and the
//! transformed tiles of Winograd's algorithm are all the same to it. A sum runs in the order of its terms, with fused
//! multiply-adds on processors that have them, whatever the tile.

use super::layout::BLOCK;
use super::product::Onto;
use super::vector::{multiply_add, relu, widest};
use pulp::{Simd, WithSimd};
use std::array::from_fn;

/// Most blocks of output channels that a tile may have with the vectors of this processor.
pub fn most_blocks() -> usize {
    if super::simd::level() == "avx512" { 4 } else { 1 }
}

/// y at `places[p]`, a block of channels every `block` elements, is the sum over runs r and their terms t of
/// x at `pixels[p] + runs[r] + t` times w `[runs, terms, blocks, BLOCK]`.
pub struct BlockProduct<'a> {
    pub x: &'a [f32],
    pub pixels: &'a [usize],
    pub runs: &'a [usize],
    /// Terms of a run: [`BLOCK`] or 1.
    pub terms: usize,
    pub w: &'a [f32],
    /// At most [`most_blocks`].
    pub blocks: usize,
    pub y: &'a mut [f32],
    pub places: &'a [usize],
    pub block: usize,
    pub onto: Onto,
    /// Runs that are summed in registers before they join y.
    pub part: usize,
    pub finish: Finish<'a>,
}

/// What happens to a finished sum.
#[derive(Clone, Copy, Default)]
pub struct Finish<'a> {
    /// Added, one for each channel of the blocks; channels beyond it have none.
    pub bias: Option<&'a [f32]>,
    /// Whether max(0, .) follows.
    pub relu: bool,
}

impl BlockProduct<'_> {
    /// Computes it with the widest vectors that this processor has.
    pub fn run(self) {
        widest(self);
    }

    #[inline(always)]
    fn sized<S: Simd, const V: usize, const P: usize, const HALF: usize>(self, simd: S) {
        if self.terms == BLOCK {
            self.tiles::<S, BLOCK, V, P, HALF>(simd);
        } else {
            self.tiles::<S, 1, V, P, HALF>(simd);
        }
    }

    #[inline(always)]
    fn tiles<S: Simd, const T: usize, const V: usize, const P: usize, const HALF: usize>(mut self, simd: S) {
        let parts = self.runs.len().div_ceil(self.part).max(1);
        for first in (0..self.pixels.len()).step_by(P) {
            let count = P.min(self.pixels.len() - first);
            for part in 0..parts {
                if count > HALF {
                    self.tile::<S, T, V, P>(simd, first, count, part, part + 1 == parts);
                } else {
                    self.tile::<S, T, V, HALF>(simd, first, count, part, part + 1 == parts);
                }
            }
        }
    }

    /// `count` pixels from `first` on, over the runs of one part. A tile that is not full computes its last pixel again.
    #[inline(always)]
    fn tile<S: Simd, const T: usize, const V: usize, const P: usize>(
        &mut self,
        simd: S,
        first: usize,
        count: usize,
        part: usize,
        is_last: bool,
    ) {
        let starts: [usize; P] = from_fn(|p| self.pixels[first + p.min(count - 1)]);
        let begin = (part * self.part).min(self.runs.len());
        let runs = &self.runs[begin..self.runs.len().min(begin + self.part)];
        let (w, _) = S::as_simd_f32s(self.w);
        let (w, _) = w.as_chunks::<V>();
        let (w, _) = w[begin * T..].as_chunks::<T>();
        let mut sums = [[simd.splat_f32s(0.0); V]; P];
        for (&run, w) in runs.iter().zip(w) {
            let x: [&[f32; T]; P] = from_fn(|p| run_at(self.x, starts[p] + run));
            for t in 0..T {
                for p in 0..P {
                    let factor = simd.splat_f32s(x[p][t]);
                    for v in 0..V {
                        sums[p][v] = multiply_add(simd, factor, w[t][v], sums[p][v]);
                    }
                }
            }
        }
        let per_block = BLOCK / S::F32_LANES;
        let is_first = part == 0 && self.onto == Onto::Nothing;
        for (p, sums) in sums.iter().enumerate().take(count) {
            let place = self.places[first + p];
            for (v, &sum) in sums.iter().enumerate() {
                let lane = v % per_block * S::F32_LANES;
                let at = place + v / per_block * self.block + lane;
                let y = &mut self.y[at..at + S::F32_LANES];
                let (y, _) = S::as_mut_simd_f32s(y);
                let mut value = if is_first { sum } else { simd.add_f32s(y[0], sum) };
                if is_last {
                    if let Some(bias) = self.finish.bias {
                        let begin = (v / per_block * BLOCK + lane).min(bias.len());
                        let end = (begin + S::F32_LANES).min(bias.len());
                        value = simd.add_f32s(value, simd.partial_load_f32s(&bias[begin..end]));
                    }
                    if self.finish.relu {
                        value = relu(simd, value);
                    }
                }
                y[0] = value;
            }
        }
    }
}

impl WithSimd for BlockProduct<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match (S::F32_LANES, self.blocks) {
            (16, 4) => self.sized::<S, 4, 6, 3>(simd),
            (16, 3) => self.sized::<S, 3, 8, 4>(simd),
            (16, 2) => self.sized::<S, 2, 12, 6>(simd),
            (16, _) => self.sized::<S, 1, 12, 6>(simd),
            // 12 sums and 3 operands in 16 registers.
            (8, _) => self.sized::<S, 2, 6, 3>(simd),
            (_, _) if cfg!(target_arch = "aarch64") => self.sized::<S, 4, 6, 3>(simd),
            (_, _) => self.sized::<S, 4, 2, 1>(simd),
        }
    }
}

/// The run of `T` elements at `at`.
#[inline(always)]
fn run_at<const T: usize>(data: &[f32], at: usize) -> &[f32; T] {
    let (runs, _) = data[at..at + T].as_chunks::<T>();
    &runs[0]
}

/// The block at `at`.
#[inline(always)]
pub fn block_at(data: &[f32], at: usize) -> &[f32; BLOCK] {
    run_at(data, at)
}
