//! One epoch of a data set in batches, prepared by threads.
//!
//! Thread t of n makes the batches t, t + n, t + 2n, ... and hands them over through a queue of its own that holds
//! one; the consumer takes from the queues in turn. So batches come in order, memory is bounded by two batches per
//! thread, and, as every choice is a function of (seed, epoch, sample), any number of threads gives the same bits.

use super::dataset::{Dataset, Images, Labels};
use super::transform::{Transform, flips};
use crate::error::{Error, Result};
use crate::random::{Purpose, Stream};
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How one epoch is loaded.
#[derive(Clone, Debug)]
pub struct LoaderOptions {
    /// Rows of a batch.
    pub batch: usize,
    /// Threads; 0 prepares each batch when it is asked for.
    pub workers: usize,
    pub seed: u64,
    /// Number of the epoch, from 0; decides order and augmentation.
    pub epoch: u32,
    /// Random order, else the order of the data set.
    pub shuffle: bool,
    /// Whether the random parts of `transform` are on.
    pub augment: bool,
    pub transform: Transform,
}

/// Network input for one step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// `[batch, channels, height, width]`; rows past `rows` are 0.
    pub images: Vec<f32>,
    /// `[batch]` class numbers, or `[batch, width]` values; rows past `rows` are 0.
    pub labels: Vec<f32>,
    /// How many rows are real: fewer than `batch` only in the last one.
    pub rows: usize,
}

/// The batches of one epoch, in order. Dropping it early stops its threads.
pub struct Loader {
    epoch: Arc<Epoch>,
    workers: Vec<Worker>,
    /// A batch to be used again, where there are no threads.
    spare: Option<Batch>,
    error: Option<Error>,
    next: usize,
    batches: usize,
    waited: Duration,
}

impl Loader {
    /// Starts loading. An option that does not fit the data set is the first (and only) item's error.
    pub fn new(dataset: Arc<Dataset>, options: LoaderOptions) -> Loader {
        let channels = dataset.shape[0];
        let error = match options.transform.check(channels) {
            Err(error) => Some(error),
            Ok(()) if options.batch == 0 => {
                Some(Error::Usage("batch-size: expected at least 1, found 0".into()))
            }
            Ok(()) => None,
        };
        let batches = if error.is_some() { 0 } else { dataset.len().div_ceil(options.batch) };
        let tables = if error.is_some() { Vec::new() } else { options.transform.tables(channels) };
        let order = options
            .shuffle
            .then(|| Stream::new(options.seed, Purpose::Shuffle, options.epoch).permutation(dataset.len()));
        let workers = options.workers.min(batches);
        let epoch = Arc::new(Epoch { dataset, options, order, tables });
        let workers: io::Result<Vec<_>> =
            (0..workers).map(|first| Worker::start(&epoch, first, workers, batches)).collect();
        // A system that grants no more threads still gets its batches, made when they are asked for.
        let workers = workers.unwrap_or_default();
        Loader { epoch, workers, spare: None, error, next: 0, batches, waited: Duration::ZERO }
    }

    /// Number of batches in the epoch.
    pub fn batches(&self) -> usize {
        self.batches
    }

    /// Time that `next` has spent waiting for data so far.
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// Hands a batch back, so that its memory is used for a coming one.
    pub fn recycle(&mut self, batch: Batch) {
        if self.workers.is_empty() {
            self.spare = Some(batch);
        } else {
            let worker = self.next % self.workers.len();
            if let Some(spares) = &self.workers[worker].spares {
                // A thread that has made its last batch needs none.
                let _ = spares.send(batch);
            }
        }
    }
}

impl fmt::Debug for Loader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loader")
            .field("options", &self.epoch.options)
            .field("batches", &self.batches)
            .field("next", &self.next)
            .field("waited", &self.waited)
            .finish_non_exhaustive()
    }
}

impl Iterator for Loader {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(error) = self.error.take() {
            return Some(Err(error));
        }
        if self.next == self.batches {
            return None;
        }
        let start = Instant::now();
        let number = self.next;
        self.next += 1;
        let batch = if self.workers.is_empty() {
            Some(self.epoch.assemble(number, self.spare.take().unwrap_or_default()))
        } else {
            let worker = number % self.workers.len();
            self.workers[worker].batches.as_ref().and_then(|batches| batches.recv().ok())
        };
        self.waited += start.elapsed();
        match batch {
            Some(batch) => Some(Ok(batch)),
            None => {
                self.next = self.batches;
                Some(Err(Error::Internal(format!("a loader thread stopped before batch {number}"))))
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.batches - self.next + usize::from(self.error.is_some());
        (left, Some(left))
    }
}

/// A thread and the two ends that the consumer holds. Dropping them stops the thread, which is waited for.
struct Worker {
    batches: Option<Receiver<Batch>>,
    spares: Option<Sender<Batch>>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    fn start(epoch: &Arc<Epoch>, first: usize, stride: usize, batches: usize) -> io::Result<Worker> {
        let (filled, receiver) = sync_channel(1);
        let (spares, empty) = channel();
        let epoch = Arc::clone(epoch);
        let thread = std::thread::Builder::new()
            .name(format!("loader-{first}"))
            .spawn(move || work(&epoch, (first..batches).step_by(stride), &filled, &empty))?;
        Ok(Worker { batches: Some(receiver), spares: Some(spares), thread: Some(thread) })
    }
}

fn work(
    epoch: &Epoch,
    numbers: impl Iterator<Item = usize>,
    filled: &SyncSender<Batch>,
    empty: &Receiver<Batch>,
) {
    for number in numbers {
        let batch = epoch.assemble(number, empty.try_recv().unwrap_or_default());
        if filled.send(batch).is_err() {
            // The loader was dropped.
            return;
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.batches = None;
        self.spares = None;
        if let Some(thread) = self.thread.take() {
            // A panic in the thread was already reported as an error by `next`.
            let _ = thread.join();
        }
    }
}

/// What the threads share.
struct Epoch {
    dataset: Arc<Dataset>,
    options: LoaderOptions,
    /// The samples in random order; none is the order of the data set.
    order: Option<Vec<u32>>,
    /// What each byte becomes, per channel.
    tables: Vec<[f32; 256]>,
}

impl Epoch {
    /// Batch `number`, in the memory of `batch`.
    fn assemble(&self, number: usize, mut batch: Batch) -> Batch {
        let size = self.options.batch;
        let (image_len, label_len) = (self.dataset.image_len(), self.dataset.label_len());
        let first = number * size;
        batch.rows = size.min(self.dataset.len() - first);
        batch.images.resize(size * image_len, 0.0);
        batch.labels.resize(size * label_len, 0.0);
        batch.images[batch.rows * image_len..].fill(0.0);
        batch.labels[batch.rows * label_len..].fill(0.0);
        let rows = batch.images.chunks_mut(image_len).zip(batch.labels.chunks_mut(label_len));
        for (row, (image, label)) in rows.take(batch.rows).enumerate() {
            let sample = self.order.as_ref().map_or(first + row, |order| order[first + row] as usize);
            self.image(sample, image);
            match &self.dataset.labels {
                Labels::Classes(classes) => label[0] = classes[sample] as f32,
                Labels::Values { width, values } => {
                    label.copy_from_slice(&values[sample * width..(sample + 1) * width]);
                }
            }
        }
        batch
    }

    fn image(&self, sample: usize, into: &mut [f32]) {
        let [_, height, width] = self.dataset.shape;
        let from = sample * into.len()..(sample + 1) * into.len();
        match &self.dataset.images {
            Images::U8(pixels) => {
                let planes = into.chunks_mut(height * width).zip(pixels[from].chunks(height * width));
                for ((plane, pixels), table) in planes.zip(&self.tables) {
                    for (value, &pixel) in plane.iter_mut().zip(pixels) {
                        *value = table[usize::from(pixel)];
                    }
                }
            }
            Images::F32(values) => into.copy_from_slice(&values[from]),
            // Not read before there is a store; the operator `augment` takes them.
            Images::Stored(_) => into.fill(0.0),
        }
        let LoaderOptions { seed, epoch, augment, ref transform, .. } = self.options;
        if augment && transform.flip && flips(seed, epoch, sample as u32) {
            into.chunks_mut(width).for_each(<[f32]>::reverse);
        }
    }
}
