//! What a run trains and evaluates on, batch by batch, prepared before it is asked for: the first epoch while the device
//! is still being opened, every other one during the evaluation of the one before.

use super::batches::{Batches, Feed};
use super::options::Options;
use crate::data::{BadFiles, Batch, Splits};
use crate::error::{Error, Result};
use crate::model::{Model, Spec};

/// The batches of a run.
#[derive(Debug)]
pub struct Supply {
    data: Splits,
    feed: Feed,
    options: Options,
    epochs: usize,
    /// Batches of one update.
    accumulate: usize,
    batch: usize,
    /// An epoch that is being prepared, and its number.
    ahead: Option<(usize, Batches)>,
}

impl Supply {
    /// Starts to prepare the first epoch of a run; `model` was built from `spec`.
    pub fn start(spec: &Spec, model: &Model, data: &Splits, options: &Options) -> Result<Supply> {
        if data.train.is_empty() {
            return Err(Error::Usage(format!("data set {} has no samples to train on", data.train.name)));
        }
        let mut supply = Supply {
            data: data.clone(),
            feed: Feed::of(spec, model.batch, model.pixels.is_some(), options),
            options: options.clone(),
            epochs: spec.recipe.epochs,
            accumulate: spec.recipe.grad_accum_steps,
            batch: model.batch,
            ahead: None,
        };
        supply.prepare(0)?;
        Ok(supply)
    }

    /// Updates in an epoch; as many also if samples cannot be read.
    pub fn steps_per_epoch(&self) -> usize {
        self.data.train.len().div_ceil(self.batch).div_ceil(self.accumulate)
    }

    /// How samples become batches.
    pub(super) fn feed(&self) -> &Feed {
        &self.feed
    }

    /// The samples that could not be read.
    pub fn bad(&self) -> &BadFiles {
        self.feed.bad()
    }

    /// What the user should know before the first step.
    pub(super) fn warning(&self) -> Option<String> {
        let name = &self.data.train.name;
        (self.feed.ignores_augment() && self.options.augments())
            .then(|| format!("{name}: its images are no pixels, so of [augment] only flip is applied"))
    }

    /// Starts to prepare an epoch, if there is one of that number.
    pub(super) fn prepare(&mut self, epoch: usize) -> Result<()> {
        if epoch < self.epochs {
            self.ahead = Some((epoch, self.load(epoch)?));
        }
        Ok(())
    }

    /// The batches of training epoch `epoch`.
    pub(super) fn epoch(&mut self, epoch: usize) -> Result<Batches> {
        match self.ahead.take() {
            Some((number, batches)) if number == epoch => Ok(batches),
            _ => self.load(epoch),
        }
    }

    fn load(&self, epoch: usize) -> Result<Batches> {
        let (train, options) = (&self.data.train, &self.options);
        if options.overfit_batch {
            self.feed.repeat_first(train, self.steps_per_epoch() * self.accumulate)
        } else {
            self.feed.load(train, epoch, options.shuffles(), options.augments())
        }
    }

    /// The batches of the next update. All of an update are at hand before the first is computed: the mean is over its
    /// real rows, and how many those are is not known before every file has been opened.
    pub(super) fn group(&self, batches: &mut Batches) -> Result<Vec<Batch>> {
        let group: Vec<Batch> = batches.take(self.accumulate).collect::<Result<_>>()?;
        if group.is_empty() {
            return Err(Error::Internal("the loader ended before the epoch".into()));
        }
        Ok(group)
    }

    /// The samples to validate on; `None` if there are none.
    pub(super) fn validation(&self) -> Result<Option<Batches>> {
        if self.options.overfit_batch {
            return self.feed.repeat_first(&self.data.train, 1).map(Some);
        }
        if self.data.val.is_empty() {
            return Ok(None);
        }
        self.feed.in_order(&self.data.val).map(Some)
    }
}
