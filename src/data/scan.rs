//! Every picture of a data set once: read by threads, handed over in order, in bounded memory.

use super::dataset::Dataset;
use super::statistics::Moments;
use crate::error::{Error, Result};
use rayon::prelude::*;
use xxhash_rust::xxh3::xxh3_64;

/// Bytes of pictures that are read while as many are handed over.
const BLOCK: usize = 8 << 20;

/// A picture that was read.
pub(super) struct Scanned<'a> {
    /// Its place in the data set.
    pub sample: usize,
    /// `[channels, height, width]`.
    pub pixels: &'a [u8],
    /// XXH3-64 of `pixels`.
    pub hash: u64,
    pub moments: &'a Moments,
}

/// Reads the pictures `samples` of `dataset` (bytes) and gives `each` one after the other, in that order, whatever the
/// number of threads: its own picture, or why it could not be read. An error of `each` ends the scan.
pub(super) fn scan(
    dataset: &Dataset,
    samples: &[u32],
    mut each: impl FnMut(Result<Scanned>) -> Result<()> + Send,
) -> Result<()> {
    let image_len = dataset.image_len().max(1);
    let count = (BLOCK / image_len).clamp(1, samples.len().max(1));
    let mut blocks = samples.chunks(count);
    let mut ready = Block { pixels: vec![0; count * image_len], rows: Vec::new() };
    let mut next = Block { pixels: vec![0; count * image_len], rows: Vec::new() };
    ready.fill(dataset, blocks.next().unwrap_or_default());
    while !ready.rows.is_empty() {
        let following = blocks.next().unwrap_or_default();
        let (_, handed) =
            rayon::join(|| next.fill(dataset, following), || ready.hand_over(&mut each, image_len));
        handed?;
        std::mem::swap(&mut ready, &mut next);
    }
    Ok(())
}

/// Some pictures in a row.
struct Block {
    pixels: Vec<u8>,
    rows: Vec<Row>,
}

struct Row {
    sample: u32,
    read: Result<(u64, Moments)>,
}

impl Block {
    fn fill(&mut self, dataset: &Dataset, samples: &[u32]) {
        let channels = dataset.shape[0];
        let pictures = self.pixels.par_chunks_mut(dataset.image_len().max(1));
        let read = |(picture, &sample): (&mut [u8], &u32)| Row {
            sample,
            read: dataset
                .read_pixels(sample as usize, picture)
                .map(|()| (xxh3_64(picture), Moments::of(picture, channels))),
        };
        pictures.zip(samples).map(read).collect_into_vec(&mut self.rows);
    }

    fn hand_over(
        &mut self,
        each: &mut impl FnMut(Result<Scanned>) -> Result<()>,
        image_len: usize,
    ) -> Result<()> {
        for (Row { sample, read }, pixels) in self.rows.drain(..).zip(self.pixels.chunks(image_len)) {
            let sample = sample as usize;
            match read {
                Ok((hash, moments)) => each(Ok(Scanned { sample, pixels, hash, moments: &moments }))?,
                Err(error) => each(Err(error))?,
            }
        }
        Ok(())
    }
}

/// Runs `work` with `workers` threads of its own; 0 takes those of the program.
pub(super) fn with_threads<T: Send>(workers: usize, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    if workers == 0 {
        return work();
    }
    rayon::ThreadPoolBuilder::new()
        .num_threads(workers)
        .build()
        .map_err(|error| Error::Memory(format!("workers: {workers} threads could not be started: {error}")))?
        .install(work)
}
