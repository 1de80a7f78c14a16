//! Where batches come from: a loader over a data set, or one batch over and over (`overfit_batch`).

use crate::data::{Batch, Dataset, Loader, LoaderOptions, Transform};
use crate::error::{Error, Result};
use std::sync::Arc;
use std::time::Duration;

/// How samples become batches, for training and evaluation alike.
#[derive(Clone, Debug)]
pub struct Feed {
    pub batch: usize,
    /// Loader threads.
    pub workers: usize,
    pub seed: u64,
    pub transform: Transform,
}

/// The batches of one epoch or evaluation.
pub(super) enum Batches {
    Loaded(Box<Loader>),
    /// The same batch, for `left` more times.
    Repeated {
        batch: Batch,
        left: usize,
    },
}

impl Feed {
    /// The samples of `dataset` in their own order, without augmentation.
    pub(super) fn in_order(&self, dataset: &Arc<Dataset>) -> Batches {
        self.load(dataset, 0, false, false)
    }

    /// The batches of training epoch `epoch`.
    pub(super) fn load(&self, dataset: &Arc<Dataset>, epoch: usize, shuffle: bool, augment: bool) -> Batches {
        let options = LoaderOptions {
            batch: self.batch,
            workers: self.workers,
            seed: self.seed,
            epoch: epoch as u32,
            shuffle,
            augment,
            transform: self.transform.clone(),
        };
        Batches::Loaded(Box::new(Loader::new(dataset.clone(), options)))
    }

    /// The first batch of `dataset`, as it is, `times` times.
    pub(super) fn repeat_first(&self, dataset: &Arc<Dataset>, times: usize) -> Result<Batches> {
        let batch = self.first(dataset)?;
        Ok(Batches::Repeated { batch, left: times })
    }

    /// The first batch of `dataset` in its own order, without augmentation.
    pub fn first(&self, dataset: &Arc<Dataset>) -> Result<Batch> {
        self.in_order(dataset)
            .next()
            .unwrap_or_else(|| Err(Error::Usage(format!("data set {} has no samples", dataset.name))))
    }
}

impl Batches {
    /// Time spent waiting for data so far.
    pub(super) fn waited(&self) -> Duration {
        match self {
            Batches::Loaded(loader) => loader.waited(),
            Batches::Repeated { .. } => Duration::ZERO,
        }
    }
}

impl Iterator for Batches {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Result<Batch>> {
        match self {
            Batches::Loaded(loader) => loader.next(),
            Batches::Repeated { left: 0, .. } => None,
            Batches::Repeated { batch, left } => {
                *left -= 1;
                Some(Ok(batch.clone()))
            }
        }
    }
}
