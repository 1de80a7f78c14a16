//! Reads every image of a data set once, by several threads, in order and in bounded memory.

use super::dataset::Dataset;
use super::framing::Framing;
use super::statistics::Moments;
use crate::error::{Error, Result};
use rayon::prelude::*;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use xxhash_rust::xxh3::xxh3_64;

/// Bytes of images that are read while as many are handed over.
const BLOCK: usize = 8 << 20;

/// Memory of an image is kept if it is at most this many times that of a square image.
const KEPT: usize = 4;

/// An image that was read.
pub(super) struct ScannedImage<'a> {
    /// Its place in the data set.
    pub sample: usize,
    /// Width and height.
    pub size: [usize; 2],
    /// `[channels, height, width]`; of a data set of whole images `[height, width, channels]`.
    pub pixels: &'a [u8],
    /// XXH3-64 of `pixels`.
    pub hash: u64,
    pub moments: &'a Moments,
}

/// Observes a pass over all images of a data set.
pub trait ScanObserver: Send {
    /// An image cannot be read: why, in a line that names its file. An error ends the pass; else the image is left
    /// out.
    fn bad(&mut self, error: Error) -> Result<()>;

    /// `count` of `all` images are done. An error ends the pass.
    fn done(&mut self, count: usize, all: usize) -> Result<()>;
}

/// A pass over the images of one or more data sets.
pub(super) struct Scan<'a> {
    watch: &'a mut dyn ScanObserver,
    done: usize,
    all: usize,
    /// Images that could not be read.
    pub skipped: usize,
}

impl Scan<'_> {
    /// A pass over `all` images.
    pub fn new(watch: &mut dyn ScanObserver, all: usize) -> Scan<'_> {
        Scan { watch, done: 0, all, skipped: 0 }
    }

    /// Reads the images `samples` of `dataset` (bytes) and gives them to `each` one after the other, in that order,
    /// for any number of threads. An error of `each` ends the pass.
    pub fn scan(
        &mut self,
        dataset: &Dataset,
        samples: &[u32],
        mut each: impl FnMut(ScannedImage) -> Result<()> + Send,
    ) -> Result<()> {
        let nominal = dataset.image_len().max(1);
        let count = (BLOCK / nominal).clamp(1, samples.len().max(1));
        let [mut ready, mut next] = [(); 2].map(|()| ScanBlock::new(count, nominal));
        let mut left = samples;
        ready.fill(dataset, &mut left);
        while !ready.rows.is_empty() {
            let (_, handed) =
                rayon::join(|| next.fill(dataset, &mut left), || self.hand_over(&mut ready, &mut each));
            handed?;
            std::mem::swap(&mut ready, &mut next);
        }
        Ok(())
    }

    fn hand_over(
        &mut self,
        block: &mut ScanBlock,
        each: &mut impl FnMut(ScannedImage) -> Result<()>,
    ) -> Result<()> {
        for (number, sample) in block.rows.drain(..).enumerate() {
            let slot = block.slots[number].get_mut().unwrap_or_else(PoisonError::into_inner);
            match std::mem::replace(&mut slot.read, Ok(ReadImage::default())) {
                Ok(ReadImage { size, hash, moments }) => {
                    let pixels = &slot.pixels;
                    each(ScannedImage { sample: sample as usize, size, pixels, hash, moments: &moments })?;
                }
                Err(error) => {
                    self.skipped += 1;
                    self.watch.bad(error)?;
                }
            }
            // What a few long images took is not kept.
            if slot.pixels.capacity() > KEPT * block.nominal {
                slot.pixels = Vec::new();
            }
            self.done += 1;
        }
        self.watch.done(self.done, self.all)
    }
}

/// Some images in a row.
struct ScanBlock {
    slots: Vec<Mutex<ScanSlot>>,
    /// The samples in the first slots.
    rows: Vec<u32>,
    /// Bytes of an image, or of a square one where they have sizes of their own.
    nominal: usize,
}

/// Memory for an image.
struct ScanSlot {
    pixels: Vec<u8>,
    read: Result<ReadImage>,
}

/// What is known of an image that was read.
#[derive(Default)]
struct ReadImage {
    size: [usize; 2],
    hash: u64,
    moments: Moments,
}

impl ScanBlock {
    fn new(count: usize, nominal: usize) -> ScanBlock {
        let slot = || Mutex::new(ScanSlot { pixels: Vec::new(), read: Ok(ReadImage::default()) });
        ScanBlock { slots: std::iter::repeat_with(slot).take(count).collect(), rows: Vec::new(), nominal }
    }

    /// Reads the first samples of `left`, as many as there are slots for or as fit into [`BLOCK`] bytes and one more for each
    /// thread, and takes them away.
    fn fill(&mut self, dataset: &Dataset, left: &mut &[u32]) {
        let most = left.len().min(self.slots.len());
        let (next, bytes) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let work = |_| {
            while bytes.load(Ordering::Relaxed) < BLOCK {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(&sample) = left[..most].get(at) else { break };
                let mut slot = self.slots[at].lock().unwrap_or_else(PoisonError::into_inner);
                slot.read = read(dataset, sample as usize, &mut slot.pixels);
                bytes.fetch_add(slot.pixels.len(), Ordering::Relaxed);
            }
        };
        (0..rayon::current_num_threads()).into_par_iter().for_each(work);
        let (taken, rest) = left.split_at(next.into_inner().min(most));
        self.rows.clear();
        self.rows.extend_from_slice(taken);
        *left = rest;
    }
}

/// Reads one image.
fn read(dataset: &Dataset, sample: usize, pixels: &mut Vec<u8>) -> Result<ReadImage> {
    let [channels, height, width] = dataset.shape;
    if !matches!(dataset.framing(), Some(Framing::Whole { .. })) {
        pixels.resize(dataset.image_len(), 0);
        dataset.read_pixels(sample, pixels)?;
        let moments = Moments::of(pixels, channels);
        return Ok(ReadImage { size: [width, height], hash: xxh3_64(pixels), moments });
    }
    let size = dataset.read_whole(sample, pixels)?;
    let planes: Vec<u8> =
        (0..channels).flat_map(|c| pixels.iter().skip(c).step_by(channels)).copied().collect();
    Ok(ReadImage { size, hash: xxh3_64(pixels), moments: Moments::of(&planes, channels) })
}

/// Runs `work` with its own `workers` threads; 0 takes those of the program.
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
