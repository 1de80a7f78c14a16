//! One epoch of a data set in batches, prepared ahead by threads.
//!
//! One thread prepares the batches in order, the rows of each on a pool that all loaders of a run share, and passes them on
//! through a queue of two. The first batch is ready as soon as all threads together can prepare it, a loader holds at most
//! three batches besides those of its user, and since every choice is a function of (seed, epoch, sample), the number of
//! threads does not change a bit.

use super::bad_files::{BadFiles, OnBadFile};
use super::batch::{Batch, InputTransform};
use super::dataset::Dataset;
use super::order::{Sampler, balanced_order, random_order};
use super::rows::RowFiller;
use crate::error::{Error, Result};
use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Capacity of the queue, in batches.
const READY: usize = 2;

/// Threads that prepare batches.
#[derive(Clone, Debug)]
pub struct Workers {
    count: usize,
    /// `None` if one thread is enough, or if the system grants no more.
    pool: Option<Arc<rayon::ThreadPool>>,
}

impl Workers {
    /// `count` threads; 0 prepares each batch on demand.
    pub fn new(count: usize) -> Workers {
        let name = |number| format!("loader-{number}");
        let pool = (count > 1)
            .then(|| rayon::ThreadPoolBuilder::new().num_threads(count).thread_name(name).build().ok())
            .flatten();
        Workers { count, pool: pool.map(Arc::new) }
    }
}

/// How one epoch is loaded.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LoaderOptions {
    /// Samples of a batch.
    pub batch: usize,
    pub workers: Workers,
    pub seed: u64,
    /// Number of the epoch, from 0, which order and augmentation depend on.
    pub epoch: u32,
    /// Random order, or the order of the data set.
    pub shuffle: bool,
    /// The samples of a random order.
    pub sampler: Sampler,
    /// Whether images are augmented.
    pub augment: bool,
    pub transform: InputTransform,
    /// How samples that cannot be read are treated.
    pub bad: Arc<BadFiles>,
}

impl LoaderOptions {
    /// Batches of `batch` rows of the first epoch, in the data set's order, without augmentation, each prepared when it is
    /// requested. Samples that cannot be read are left out.
    pub fn new(batch: usize, transform: InputTransform) -> LoaderOptions {
        LoaderOptions {
            batch,
            workers: Workers::new(0),
            seed: 0,
            epoch: 0,
            shuffle: false,
            sampler: Sampler::Shuffle,
            augment: false,
            transform,
            bad: BadFiles::new(OnBadFile::default()),
        }
    }

    setters! {
        with_batch(batch: usize);
        with_workers(workers: Workers);
        with_seed(seed: u64);
        with_epoch(epoch: u32);
        with_shuffle(shuffle: bool);
        with_sampler(sampler: Sampler);
        with_augment(augment: bool);
        with_transform(transform: InputTransform);
        with_bad(bad: Arc<BadFiles>);
    }
}

/// An iterator over the batches of one epoch. Dropping it stops its thread.
pub struct Loader {
    epoch: Option<Arc<Epoch>>,
    thread: Option<Thread>,
    /// A batch to reuse if there is no thread.
    spare: Option<Batch>,
    error: Option<Error>,
    next: usize,
    batches: usize,
    /// Real rows so far.
    rows: usize,
    waited: Duration,
}

impl Loader {
    /// Starts loading. An option that does not match the data set is the error of the first and only item.
    ///
    /// If no sample of the data set can be read, the last item is an error.
    pub fn new(dataset: Arc<Dataset>, options: LoaderOptions) -> Loader {
        Loader::starting_at(dataset, options, 0)
    }

    /// As [`Loader::new`], but skips the first `first` batches of the epoch without preparing them; the others are the same.
    pub fn starting_at(dataset: Arc<Dataset>, options: LoaderOptions, first: usize) -> Loader {
        let workers = options.workers.count;
        let (epoch, error) = match Epoch::new(dataset, options) {
            Ok(epoch) => (Some(Arc::new(epoch)), None),
            Err(error) => (None, Some(error)),
        };
        let batches = epoch.as_ref().map_or(0, |epoch| epoch.batches());
        // A system that grants no more threads still gets its batches, made on demand.
        let next = first.min(batches);
        let is_threaded = |_: &&Arc<Epoch>| workers > 0 && next < batches;
        let thread = epoch.as_ref().filter(is_threaded).and_then(|epoch| Thread::start(epoch, next));
        let waited = Duration::ZERO;
        // Whether the skipped batches have rows is unknown; they are assumed to.
        Loader { epoch, thread, spare: None, error, next, batches, rows: usize::from(next > 0), waited }
    }

    /// Number of batches in the epoch.
    pub fn batches(&self) -> usize {
        self.batches
    }

    /// Time that `next` has spent waiting for data so far.
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// Returns a batch, so that its memory is reused.
    pub fn recycle(&mut self, batch: Batch) {
        match &self.thread {
            None => self.spare = Some(batch),
            Some(Thread { spares: Some(spares), .. }) => {
                // A thread that has prepared its last batch needs no memory.
                let _ = spares.send(batch);
            }
            Some(_) => {}
        }
    }

    fn take(&mut self, number: usize) -> Result<Batch> {
        match (&self.thread, &self.epoch) {
            (Some(thread), _) => {
                let batch = thread.batches.as_ref().and_then(|batches| batches.recv().ok());
                batch.unwrap_or_else(|| {
                    Err(Error::Internal(format!("the loader's thread stopped before batch {number}")))
                })
            }
            (None, Some(epoch)) => epoch.assemble(number, self.spare.take().unwrap_or_default()),
            (None, None) => Err(Error::Internal("a loader without an epoch".into())),
        }
    }
}

impl fmt::Debug for Loader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loader")
            .field("options", &self.epoch.as_ref().map(|epoch| &epoch.options))
            .field("batches", &self.batches)
            .field("next", &self.next)
            .field("waited", &self.waited)
            .finish_non_exhaustive()
    }
}

impl Iterator for Loader {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Result<Batch>> {
        if let Some(error) = self.error.take() {
            return Some(Err(error));
        }
        if self.next == self.batches {
            return None;
        }
        let start = Instant::now();
        let mut batch = self.take(self.next);
        self.waited += start.elapsed();
        self.next += 1;
        if let Ok(Batch { rows, .. }) = batch {
            self.rows += rows;
            if self.rows == 0 && self.next == self.batches {
                batch = self.epoch.as_ref().map_or(batch, |epoch| Err(epoch.nothing_read()));
            }
        }
        if batch.is_err() {
            self.next = self.batches;
        }
        Some(batch)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.batches - self.next + usize::from(self.error.is_some());
        (left.min(1), Some(left))
    }
}

/// The thread of a loader and the two ends that the consumer holds. Dropping them stops the thread, which is waited for.
struct Thread {
    batches: Option<Receiver<Result<Batch>>>,
    spares: Option<Sender<Batch>>,
    handle: Option<JoinHandle<()>>,
}

impl Thread {
    fn start(epoch: &Arc<Epoch>, first: usize) -> Option<Thread> {
        let (filled, batches) = sync_channel(READY);
        let (spares, empty) = channel();
        let epoch = Arc::clone(epoch);
        let work = move || work(&epoch, first, &filled, &empty);
        let thread = std::thread::Builder::new().name("loader".into()).spawn(work);
        Some(Thread { batches: Some(batches), spares: Some(spares), handle: Some(thread.ok()?) })
    }
}

fn work(epoch: &Epoch, first: usize, filled: &SyncSender<Result<Batch>>, empty: &Receiver<Batch>) {
    for number in first..epoch.batches() {
        let batch = epoch.assemble(number, empty.try_recv().unwrap_or_default());
        let failed = batch.is_err();
        // The receiver is gone if the loader was dropped.
        if filled.send(batch).is_err() || failed {
            return;
        }
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.batches = None;
        self.spares = None;
        if let Some(handle) = self.handle.take() {
            // A panic in the thread was already reported as an error by `next`.
            let _ = handle.join();
        }
    }
}

/// What the consumer and the thread share.
struct Epoch {
    rows: RowFiller,
    options: LoaderOptions,
    /// The samples in the order of this epoch.
    order: Vec<u32>,
    /// Whether a sample may be drawn several times. Its augmentation then depends on its position and not on its number, so
    /// that it is another one each time.
    repeats: bool,
}

impl Epoch {
    fn new(dataset: Arc<Dataset>, options: LoaderOptions) -> Result<Epoch> {
        if options.batch == 0 {
            return Err(Error::Usage("batch-size: expected at least 1, found 0".into()));
        }
        let order = match options.sampler {
            _ if !options.shuffle => (0..dataset.len() as u32).collect(),
            Sampler::Shuffle => random_order(&dataset, options.seed, options.epoch),
            Sampler::Balanced => balanced_order(&dataset, options.seed, options.epoch)?,
        };
        let repeats = options.shuffle && options.sampler == Sampler::Balanced;
        let rows = RowFiller::new(
            dataset,
            options.transform.clone(),
            (options.seed, options.epoch),
            options.augment,
            Arc::clone(&options.bad),
        )?;
        Ok(Epoch { rows, options, order, repeats })
    }

    fn batches(&self) -> usize {
        self.order.len().div_ceil(self.options.batch)
    }

    /// Batch `number`, in the memory of `batch`.
    fn assemble(&self, number: usize, mut batch: Batch) -> Result<Batch> {
        let size = self.options.batch;
        let first = number * size;
        let samples = &self.order[first..self.order.len().min(first + size)];
        let draws = self.repeats.then_some(first as u32);
        self.rows.fill(samples, draws, size, self.options.workers.pool.as_deref(), &mut batch)?;
        Ok(batch)
    }

    fn nothing_read(&self) -> Error {
        self.options.bad.nothing_read(&self.rows.dataset)
    }
}
