//! The two layouts of an activation in memory, and the way between them.

use super::parallel::units_per_task;
use super::simd::vectorised;
use rayon::prelude::*;

/// Channels of a block: one vector of AVX-512, two of AVX2, four of NEON.
pub const BLOCK: usize = 16;

/// How an activation `[n, c, h, w]` lies in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `[n, c, h, w]`, as hosts read and write it.
    Plain,
    /// `[n, c / BLOCK, h, w, BLOCK]`; c is a multiple of [`BLOCK`].
    Blocks,
}

/// The layouts of x and dx, and of y and dy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layouts {
    pub x: Layout,
    pub y: Layout,
}

/// blocks `[n, c / BLOCK, pixels, BLOCK]` from plain `[n, c, pixels]`.
pub fn to_blocks(pixels: usize, plain: &[f32], blocks: &mut [f32]) {
    let unit = pixels * BLOCK;
    let len = units_per_task(unit) * unit;
    blocks.par_chunks_mut(len).zip(plain.par_chunks(len)).for_each(|(blocks, plain)| {
        vectorised!(|| {
            for (blocks, plain) in blocks.chunks_exact_mut(unit).zip(plain.chunks_exact(unit)) {
                interleave(pixels, plain, blocks);
            }
        });
    });
}

/// The reverse of [`to_blocks`].
pub fn to_plain(pixels: usize, blocks: &[f32], plain: &mut [f32]) {
    let unit = pixels * BLOCK;
    let len = units_per_task(unit) * unit;
    plain.par_chunks_mut(len).zip(blocks.par_chunks(len)).for_each(|(plain, blocks)| {
        vectorised!(|| {
            for (plain, blocks) in plain.chunks_exact_mut(unit).zip(blocks.chunks_exact(unit)) {
                let (blocks, _) = blocks.as_chunks::<BLOCK>();
                for (c, line) in plain.chunks_exact_mut(pixels).enumerate() {
                    for (value, block) in line.iter_mut().zip(blocks) {
                        *value = block[c];
                    }
                }
            }
        });
    });
}

/// One block of channels: `[pixels, BLOCK]` from `[BLOCK, pixels]`.
#[inline(always)]
fn interleave(pixels: usize, plain: &[f32], blocks: &mut [f32]) {
    let (blocks, _) = blocks.as_chunks_mut::<BLOCK>();
    for (c, line) in plain.chunks_exact(pixels).enumerate() {
        for (block, &value) in blocks.iter_mut().zip(line) {
            block[c] = value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_hold_the_channels_of_a_pixel() {
        let (images, channels, pixels) = (3, 2 * BLOCK, 35);
        let plain: Vec<f32> = (0..images * channels * pixels).map(|i| i as f32).collect();
        let mut blocks = vec![f32::NAN; plain.len()];
        to_blocks(pixels, &plain, &mut blocks);
        for n in 0..images {
            for c in 0..channels {
                for p in 0..pixels {
                    let place = ((n * channels / BLOCK + c / BLOCK) * pixels + p) * BLOCK + c % BLOCK;
                    assert_eq!(blocks[place], plain[(n * channels + c) * pixels + p]);
                }
            }
        }
        let mut back = vec![f32::NAN; plain.len()];
        to_plain(pixels, &blocks, &mut back);
        assert_eq!(back, plain);
    }
}
