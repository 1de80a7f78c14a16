//! What a run trains and evaluates on, batch by batch, prepared before it is asked for: the first epoch while the device
//! is still being opened, every other one during the evaluation of the one before.

use super::options::Options;
use super::state::State;
use crate::data::{BadFiles, Batch, Splits};
use crate::error::{Error, Result};
use crate::inference::{BatchSource, BatchStream};
use crate::model::{Model, Spec};

/// The batches of a run.
#[derive(Debug)]
pub struct Prefetcher {
    data: Splits,
    source: BatchSource,
    options: Options,
    epochs: usize,
    /// Batches of one update.
    accumulate: usize,
    batch: usize,
    /// Batches that are being prepared, with their epoch and the number of updates that it is to go on after.
    ahead: Option<([usize; 2], BatchStream)>,
}

impl Prefetcher {
    /// Starts to prepare the first epoch of a run; `model` was built from `spec`.
    pub fn start(spec: &Spec, model: &Model, data: &Splits, options: &Options) -> Result<Prefetcher> {
        Prefetcher::resume(spec, model, data, options, None)
    }

    /// As [`Prefetcher::start`], for a run that is resumed at `state`.
    pub fn resume(
        spec: &Spec,
        model: &Model,
        data: &Splits,
        options: &Options,
        state: Option<&State>,
    ) -> Result<Prefetcher> {
        if data.train.is_empty() {
            return Err(Error::Usage(format!("data set {} has no samples to train on", data.train.name)));
        }
        let mut prefetcher = Prefetcher {
            data: data.clone(),
            source: BatchSource::of(spec, model.batch, model.pixels.is_some(), &options.batch_source()),
            options: options.clone(),
            epochs: spec.recipe.epochs,
            accumulate: spec.recipe.grad_accum_steps,
            batch: model.batch,
            ahead: None,
        };
        let [epoch, done] = state.map_or([0, 0], |state| state.place(prefetcher.steps_per_epoch()));
        prefetcher.prepare(epoch, done)?;
        Ok(prefetcher)
    }

    /// Updates in an epoch; as many also if samples cannot be read.
    pub fn steps_per_epoch(&self) -> usize {
        self.data.train.len().div_ceil(self.batch).div_ceil(self.accumulate)
    }

    /// How samples become batches.
    pub(super) fn source(&self) -> &BatchSource {
        &self.source
    }

    /// The samples that could not be read.
    pub fn bad(&self) -> &BadFiles {
        self.source.bad()
    }

    /// What the user should know before the first step.
    pub(super) fn warning(&self) -> Option<String> {
        let name = &self.data.train.name;
        (self.source.ignores_augment() && self.options.augments())
            .then(|| format!("{name}: its images are no pixels, so of [augment] only flip is applied"))
    }

    /// Starts to prepare what follows the first `done` updates of an epoch, if there is one of that number.
    pub(super) fn prepare(&mut self, epoch: usize, done: usize) -> Result<()> {
        if epoch < self.epochs {
            self.ahead = Some(([epoch, done], self.load(epoch, done)?));
        }
        Ok(())
    }

    /// The batches of training epoch `epoch` after its first `done` updates.
    pub(super) fn epoch(&mut self, epoch: usize, done: usize) -> Result<BatchStream> {
        match self.ahead.take() {
            Some((place, batches)) if place == [epoch, done] => Ok(batches),
            _ => self.load(epoch, done),
        }
    }

    fn load(&self, epoch: usize, done: usize) -> Result<BatchStream> {
        let (train, options) = (&self.data.train, &self.options);
        if options.overfit_batch {
            let left = self.steps_per_epoch().saturating_sub(done);
            self.source.repeat_first(train, left * self.accumulate)
        } else {
            self.source.load(train, [epoch, done * self.accumulate], options.shuffles(), options.augments())
        }
    }

    /// The batches of the next update. All of an update are at hand before the first is computed: the mean is over its
    /// real rows, and how many those are is not known before every file has been opened.
    pub(super) fn group(&self, batches: &mut BatchStream) -> Result<Vec<Batch>> {
        let group: Vec<Batch> = batches.take(self.accumulate).collect::<Result<_>>()?;
        if group.is_empty() {
            return Err(Error::Internal("the loader ended before the epoch".into()));
        }
        Ok(group)
    }

    /// The samples to validate on; `None` if there are none.
    pub(super) fn validation(&self) -> Result<Option<BatchStream>> {
        if self.options.overfit_batch {
            return self.source.repeat_first(&self.data.train, 1).map(Some);
        }
        if self.data.val.is_empty() {
            return Ok(None);
        }
        self.source.in_order(&self.data.val).map(Some)
    }
}
