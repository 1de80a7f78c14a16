//! The order of the samples in an epoch.

use super::dataset::{Dataset, Images, Labels};
use crate::error::{Error, Result};
use crate::random::{Purpose, Stream, philox};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// The samples of an epoch in random order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Sampler {
    /// Every sample once.
    #[default]
    Shuffle,
    /// As many samples as there are, each drawn independently, with replacement: first a class, all being equally likely, then
    /// one of its samples. PyTorch's `WeightedRandomSampler` with the weight 1 / count of a sample's class draws from the same
    /// distribution.
    Balanced,
}

impl fmt::Display for Sampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Sampler::Shuffle => "shuffle",
            Sampler::Balanced => "balanced",
        })
    }
}

impl FromStr for Sampler {
    type Err = Error;

    fn from_str(text: &str) -> Result<Sampler> {
        match text {
            "shuffle" => Ok(Sampler::Shuffle),
            "balanced" => Ok(Sampler::Balanced),
            _ => Err(Error::Usage(format!("sampler: expected shuffle or balanced, found {text}"))),
        }
    }
}

/// The samples of an epoch under [`Sampler::Balanced`]: a function of seed, epoch and position, one Philox block for each
/// position. A class without samples is never drawn.
///
/// # Errors
/// [`Error::Usage`] if the labels are values.
pub(super) fn balanced_order(dataset: &Dataset, seed: u64, epoch: u32) -> Result<Vec<u32>> {
    let Labels::Classes(labels) = &dataset.labels else {
        let what = format!("sampler: {}: expected classes as labels, found values", dataset.name);
        return Err(Error::Usage(what));
    };
    let mut classes: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for (sample, &class) in (0..).zip(labels) {
        classes.entry(class).or_default().push(sample);
    }
    let classes: Vec<Vec<u32>> = classes.into_values().collect();
    let key = [seed as u32, (seed >> 32) as u32];
    // Of 64 random bits: no place is likelier than another by more than a share of 2^-32.
    let place = |high: u32, low: u32, places: usize| {
        let bits = u64::from(high) << 32 | u64::from(low);
        ((u128::from(bits) * places as u128) >> 64) as usize
    };
    Ok((0..labels.len() as u32)
        .map(|position| {
            let [a, b, c, d] = philox([position, 0, epoch, (Purpose::Sample as u32) << 24], key);
            let class = &classes[place(a, b, classes.len())];
            class[place(c, d, class.len())]
        })
        .collect())
}

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
