//! The order of the samples in an epoch.

use super::dataset::{Dataset, Images};
use crate::random::{Purpose, Stream};
use std::collections::BTreeMap;

/// Blocks of a store that are shuffled together. Many, because neighbours often belong to one class: 256 blocks of 4 MiB fit
/// into the page cache, and a data set of up to 1 GiB is shuffled as a whole.
const WINDOW: usize = 256;

/// A random order of the samples of `dataset`. If images are best read in blocks, the blocks are shuffled, and then the images
/// of every `WINDOW` blocks.
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
