//! Weights in the order in which products read them.

use super::taps::Taps;
use crate::cpu::layout::BLOCK;
use crate::ops::Conv2d;
use rayon::prelude::*;
use std::ops::Range;

/// Blocks `0 .. blocks` in tiles of at most `most`, as even as can be.
pub fn tiles(blocks: usize, most: usize) -> impl Iterator<Item = Range<usize>> + Clone {
    let count = blocks.div_ceil(most).max(1);
    (0..count).map(move |i| i * blocks / count..(i + 1) * blocks / count)
}

/// The tile of [`tiles`] that holds `block`.
pub fn tile_of(block: usize, blocks: usize, most: usize) -> Range<usize> {
    let count = blocks.div_ceil(most).max(1);
    // The last i whose tile begins at `block` or before it.
    let i = ((block + 1) * count - 1) / blocks;
    i * blocks / count..(i + 1) * blocks / count
}

/// Whether the weights lead from x to y, or from dy to dx.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Forward,
    Backward,
}

/// The weights of a convolution for the sums over `taps`.
pub struct Packing<'a> {
    pub d: &'a Conv2d,
    pub taps: &'a Taps,
    pub direction: Direction,
    /// Neighbouring channels: terms are ordered by blocks of so many, taps and channels of the block.
    pub unit: usize,
    /// Most blocks of outputs of a tile.
    pub most: usize,
}

impl Packing<'_> {
    /// Channels of a group that are summed over, and those that are summed to.
    fn channels(&self) -> [usize; 2] {
        match self.direction {
            Direction::Forward => [self.d.c_in_group(), self.d.c_out_group()],
            Direction::Backward => [self.d.c_out_group(), self.d.c_in_group()],
        }
    }

    /// Terms of a sum.
    fn terms(&self) -> usize {
        self.channels()[0] * self.taps.places.len()
    }

    /// Elements of the packed weights of a group.
    pub fn len(&self) -> usize {
        self.channels()[1].div_ceil(BLOCK) * self.terms() * BLOCK
    }

    /// packed `[groups, tiles, terms, blocks of the tile, BLOCK]`.
    pub fn pack(&self, w: &[f32], packed: &mut [f32]) {
        let blocks = self.channels()[1].div_ceil(BLOCK);
        let terms = self.terms();
        let lines: Vec<(usize, Range<usize>)> =
            (0..self.d.groups).flat_map(|g| tiles(blocks, self.most).map(move |tile| (g, tile))).collect();
        let mut rest = packed;
        let mut slices = Vec::with_capacity(lines.len());
        for (_, tile) in &lines {
            let (slice, tail) = rest.split_at_mut(tile.len() * terms * BLOCK);
            slices.push(slice);
            rest = tail;
        }
        slices.into_par_iter().zip(lines).for_each(|(packed, (group, tile))| {
            let line = tile.len() * BLOCK;
            packed.par_chunks_mut(BLOCK * line).enumerate().for_each(|(i, packed)| {
                for (t, line) in packed.chunks_exact_mut(line).enumerate() {
                    self.line(w, group, i * BLOCK + t, tile.start * BLOCK, line);
                }
            });
        });
    }

    /// The weights of one term for the outputs from `first` on.
    fn line(&self, w: &[f32], group: usize, term: usize, first: usize, line: &mut [f32]) {
        let [_, outputs] = self.channels();
        let taps = self.taps.places.len();
        let (channel, tap) =
            (term / (self.unit * taps) * self.unit + term % self.unit, term / self.unit % taps);
        let kernel = self.d.kernel[0] * self.d.kernel[1];
        let (c_in, c_out) = (self.d.c_in_group(), self.d.c_out_group());
        let (start, step) = match self.direction {
            Direction::Forward => ((group * c_out * c_in + channel) * kernel, c_in * kernel),
            Direction::Backward => ((group * c_out + channel) * c_in * kernel, kernel),
        };
        let count = (outputs - first).min(line.len());
        let source = w[start + first * step + self.taps.kernel[tap]..].iter().step_by(step);
        for (value, &w) in line[..count].iter_mut().zip(source) {
            *value = w;
        }
        line[count..].fill(0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_block_is_in_its_tile() {
        for blocks in 1..40 {
            for most in 1..5 {
                let mut next = 0;
                for tile in tiles(blocks, most) {
                    assert!(
                        tile.start == next && (1..=most).contains(&tile.len()),
                        "{blocks}, {most}: {tile:?}"
                    );
                    assert!(
                        tile.clone().all(|block| tile_of(block, blocks, most) == tile),
                        "{blocks}, {most}"
                    );
                    next = tile.end;
                }
                assert_eq!(next, blocks);
            }
        }
    }
}
