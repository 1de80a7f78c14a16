//! Sums of outer products for blocks of channels: the innermost loop of the gradient of a convolution's weights.
//!
//! A tile of sums, some terms of a run times some blocks of output channels, stays in registers while the pixels go by.

use super::block_product::block_at;
use super::layout::BLOCK;
use super::product::Onto;
use super::vector::{multiply_add, widest};
use pulp::{Simd, WithSimd};
use std::array::from_fn;

/// Most blocks of output channels that a tile may have with the vectors of this processor.
pub fn most_blocks() -> usize {
    if super::simd::level() == "avx512" { 4 } else { 1 }
}

/// dw `[runs, terms, blocks, BLOCK]` is the sum over pixels p of x at `pixels[p] + runs[r] + t`, for each run r and
/// its terms t, times dy at `places[p]`, a block of channels every `block` elements.
pub struct BlockOuter<'a> {
    pub x: &'a [f32],
    pub pixels: &'a [usize],
    pub runs: &'a [usize],
    /// Terms of a run: [`BLOCK`] or 1.
    pub terms: usize,
    pub dy: &'a [f32],
    pub places: &'a [usize],
    pub block: usize,
    /// At most [`most_blocks`].
    pub blocks: usize,
    pub dw: &'a mut [f32],
    pub onto: Onto,
    /// Pixels that are summed in registers before they join dw.
    pub part: usize,
}

impl BlockOuter<'_> {
    /// Computes it with the widest vectors that this processor has.
    pub fn run(self) {
        widest(self);
    }

    /// `R` terms at a time, `B` blocks of `L` vectors.
    #[inline(always)]
    fn sized<S: Simd, const B: usize, const L: usize, const R: usize>(self, simd: S) {
        let mut onto = self.onto;
        let pairs = self.pixels.chunks(self.part).zip(self.places.chunks(self.part));
        let line = B * L;
        let (dw, _) = S::as_mut_simd_f32s(self.dw);
        for (pixels, places) in pairs {
            if self.terms == BLOCK {
                for (&run, dw) in self.runs.iter().zip(dw.chunks_exact_mut(BLOCK * line)) {
                    for (first, dw) in (0..BLOCK).step_by(R).zip(dw.chunks_exact_mut(R * line)) {
                        let sums = sums::<S, B, L, R>(simd, pixels, places, self.dy, self.block, |pixel| {
                            let x = &self.x[pixel + run + first..][..R];
                            from_fn(|r| x[r])
                        });
                        store(simd, sums.as_flattened().as_flattened(), onto, dw);
                    }
                }
            } else {
                // The last few are summed with the last of them again in the place of those that there are not.
                for (runs, dw) in self.runs.chunks(R).zip(dw.chunks_mut(R * line)) {
                    let runs: [usize; R] = from_fn(|r| runs[r.min(runs.len() - 1)]);
                    let sums = sums::<S, B, L, R>(simd, pixels, places, self.dy, self.block, |pixel| {
                        from_fn(|r| self.x[pixel + runs[r]])
                    });
                    store(simd, sums.as_flattened().as_flattened(), onto, dw);
                }
            }
            onto = Onto::Old;
        }
    }
}

/// The sums over pixels of the `R` values that `load` gives of x, times `B` blocks of dy.
#[inline(always)]
fn sums<S: Simd, const B: usize, const L: usize, const R: usize>(
    simd: S,
    pixels: &[usize],
    places: &[usize],
    dy: &[f32],
    block: usize,
    load: impl Fn(usize) -> [f32; R],
) -> [[[S::f32s; L]; B]; R] {
    let mut sums = [[[simd.splat_f32s(0.0); L]; B]; R];
    for (&pixel, &place) in pixels.iter().zip(places) {
        let x = load(pixel);
        let dy: [&[f32; BLOCK]; B] = from_fn(|b| block_at(dy, place + b * block));
        for b in 0..B {
            let (dy, _) = S::as_simd_f32s(dy[b]);
            for r in 0..R {
                let factor = simd.splat_f32s(x[r]);
                for l in 0..L {
                    sums[r][b][l] = multiply_add(simd, factor, dy[l], sums[r][b][l]);
                }
            }
        }
    }
    sums
}

/// As many of `sums` as there is room for, to or onto `dw`.
#[inline(always)]
fn store<S: Simd>(simd: S, sums: &[S::f32s], onto: Onto, dw: &mut [S::f32s]) {
    for (dw, &sum) in dw.iter_mut().zip(sums) {
        *dw = if onto == Onto::Nothing { sum } else { simd.add_f32s(*dw, sum) };
    }
}

impl WithSimd for BlockOuter<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match (S::F32_LANES, self.blocks) {
            // Sums, operands and factors within 32 registers, or 16.
            (16, 4) => self.sized::<S, 4, 1, 4>(simd),
            (16, 3) => self.sized::<S, 3, 1, 4>(simd),
            (16, 2) => self.sized::<S, 2, 1, 8>(simd),
            (16, _) => self.sized::<S, 1, 1, 8>(simd),
            (8, _) => self.sized::<S, 1, 2, 4>(simd),
            (_, _) if cfg!(target_arch = "aarch64") => self.sized::<S, 1, 4, 4>(simd),
            (_, _) => self.sized::<S, 1, 4, 2>(simd),
        }
    }
}
