//! Prepares the batches of a run ahead of time: those of the first epoch while the device is being opened, those of every other
//! epoch during the evaluation of the epoch before.

use super::options::Options;
use super::state::State;
use crate::data::{BadFiles, Batch, Splits};
use crate::error::{Error, Result};
use crate::inference::{BatchSource, BatchStream};
use crate::model::{Model, Spec};

/// Prepares the batches of a run.
#[derive(Debug)]
pub struct Prefetcher {
    data: Splits,
    source: BatchSource,
    options: Options,
    epochs: usize,
    /// Batches of one update.
    accumulate: usize,
    batch: usize,
    /// Batches that are being prepared, with their epoch and the number of its updates that are already done.
    ahead: Option<([usize; 2], BatchStream)>,
}

impl Prefetcher {
    /// Starts to prepare the first epoch of a run; `model` was built from `spec`.
    pub fn start(spec: &Spec, model: &Model, data: &Splits, options: &Options) -> Result<Prefetcher> {
        Prefetcher::resume(spec, model, data, options, None)
    }

    /// As [`Prefetcher::start`], for a run that resumes from `state`.
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
        let is_drawn = options.trivial_augment || (spec.augment.trivial_augment && options.augment);
        if is_drawn && model.pixels.is_none() {
            return Err(Error::Usage(format!(
                "trivial-augment: expected 8-bit images of 1 or 3 channels, found others in data set {}",
                data.train.name
            )));
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

    /// Updates in an epoch, also if some samples cannot be read.
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

    /// A warning to report before the first step.
    pub(super) fn warning(&self) -> Option<String> {
        let name = &self.data.train.name;
        (self.source.ignores_augment() && self.options.augments()).then(|| {
            format!(
                "{name}: images are not 8-bit pixels; of [augment] only flip and random_erasing are applied"
            )
        })
    }

    /// Starts to prepare the batches after the first `done` updates of `epoch`, if the run has that epoch.
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

    /// The batches of the next update. All of them are read before the first is computed, because the mean is over their real
    /// rows, whose number is known only once every file has been opened.
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
