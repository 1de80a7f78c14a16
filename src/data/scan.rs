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

/// Follows a pass over all pictures of a data set.
pub trait Watch: Send {
    /// A picture cannot be read: why, in a line that names its file. An error ends the pass; else the picture is left
    /// out.
    fn bad(&mut self, error: Error) -> Result<()>;

    /// So many of `all` pictures are done. An error ends the pass.
    fn done(&mut self, count: usize, all: usize) -> Result<()>;
}

/// A pass over the pictures of one or more data sets.
pub(super) struct Pass<'a> {
    watch: &'a mut dyn Watch,
    done: usize,
    all: usize,
    /// Pictures that could not be read.
    pub skipped: usize,
}

impl Pass<'_> {
    /// A pass over `all` pictures.
    pub fn new(watch: &mut dyn Watch, all: usize) -> Pass<'_> {
        Pass { watch, done: 0, all, skipped: 0 }
    }

    /// Reads the pictures `samples` of `dataset` (bytes) and gives them to `each` one after the other, in that order,
    /// whatever the number of threads. An error of `each` ends the pass.
    pub fn scan(
        &mut self,
        dataset: &Dataset,
        samples: &[u32],
        mut each: impl FnMut(Scanned) -> Result<()> + Send,
    ) -> Result<()> {
        let image_len = dataset.image_len().max(1);
        let count = (BLOCK / image_len).clamp(1, samples.len().max(1));
        let mut blocks = samples.chunks(count);
        let mut ready = Block { pixels: vec![0; count * image_len], rows: Vec::new() };
        let mut next = Block { pixels: vec![0; count * image_len], rows: Vec::new() };
        ready.fill(dataset, blocks.next().unwrap_or_default());
        while !ready.rows.is_empty() {
            let following = blocks.next().unwrap_or_default();
            let (_, handed) = rayon::join(
                || next.fill(dataset, following),
                || self.hand_over(&mut ready, image_len, &mut each),
            );
            handed?;
            std::mem::swap(&mut ready, &mut next);
        }
        Ok(())
    }

    fn hand_over(
        &mut self,
        block: &mut Block,
        image_len: usize,
        each: &mut impl FnMut(Scanned) -> Result<()>,
    ) -> Result<()> {
        for (Row { sample, read }, pixels) in block.rows.drain(..).zip(block.pixels.chunks(image_len)) {
            let sample = sample as usize;
            match read {
                Ok((hash, moments)) => each(Scanned { sample, pixels, hash, moments: &moments })?,
                Err(error) => {
                    self.skipped += 1;
                    self.watch.bad(error)?;
                }
            }
            self.done += 1;
        }
        self.watch.done(self.done, self.all)
    }
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
