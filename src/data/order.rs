//! In which order an epoch shows its samples.

use super::dataset::{Dataset, Images};
use crate::random::{Purpose, Stream};
use std::collections::BTreeMap;

/// Blocks of a store that are mixed with each other. Many, because neighbours often are of one class: with 256
/// blocks of 4 MiB the pictures under way fit into the page cache, and a set of up to 1 GiB is mixed as a whole.
const WINDOW: usize = 256;

/// A random order of the samples of `dataset`. A store whose pictures are best read in blocks gets them nearly so:
/// blocks in random order, and the pictures of every `WINDOW` blocks in random order.
pub(super) fn random_order(dataset: &Dataset, seed: u64, epoch: u32) -> Vec<u32> {
    let mut stream = Stream::new(seed, Purpose::Shuffle, epoch);
    let (indices, block) = match &dataset.images {
        Images::Stored(stored) if stored.store.block() > 1 => (&stored.indices, stored.store.block()),
        _ => return stream.permutation(dataset.len()),
    };
    let mut blocks: BTreeMap<usize, Vec<u32>> = BTreeMap::new();
    for (sample, &index) in indices.iter().enumerate() {
        blocks.entry(index as usize / block).or_default().push(sample as u32);
    }
    let blocks: Vec<Vec<u32>> = blocks.into_values().collect();
    let mut order = Vec::with_capacity(indices.len());
    for window in stream.permutation(blocks.len()).chunks(WINDOW) {
        let samples: Vec<u32> =
            window.iter().flat_map(|&number| blocks[number as usize].iter().copied()).collect();
        order.extend(stream.permutation(samples.len()).iter().map(|&place| samples[place as usize]));
    }
    order
}
