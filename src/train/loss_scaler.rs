//! Loss scaling on the host. The device finds gradients that are not finite and skips that update; a non-finite loss is then
//! no failure of the run. The host reads the scale only when such a loss arrives, and between epochs.

use crate::error::Result;
use crate::inference::Arrived;
use crate::model::Model;
use crate::ops::Scaling;
use crate::program::Executor;

/// Below this scale, gradients would be smaller than without scaling: if some are still not finite, the scale is not the
/// reason (DeepSpeed's `min_loss_scale`).
const MIN_SCALE: f32 = 1.0;

/// Decides whether non-finite losses are the business of loss scaling. Counts since an epoch, or what a checkpoint left of
/// it, began.
#[derive(Debug, Default)]
pub(super) struct LossScaler {
    /// Updates that the run had skipped before.
    skipped_before: f32,
    /// Updates with a non-finite loss, and the last of them.
    lost: usize,
    last: Option<usize>,
}

/// The state of the loss scale after everything that has been run, which it waits for; `None` without loss scaling.
fn scaling(model: &Model, executor: &mut dyn Executor) -> Result<Option<Scaling>> {
    let Some(buffer) = model.loss_scale else { return Ok(None) };
    Ok(Some(Scaling::from_words(&executor.read(buffer)?)))
}

impl LossScaler {
    /// Starts to count.
    pub fn begin(&mut self, model: &Model, executor: &mut dyn Executor) -> Result<()> {
        let skipped_before = scaling(model, executor)?.map_or(0.0, |state| state.skipped);
        *self = LossScaler { skipped_before, ..LossScaler::default() };
        Ok(())
    }

    /// Removes the records without a finite loss from `arrived` if all of them belong to updates that were skipped;
    /// otherwise says why the run has diverged.
    pub fn filter(
        &mut self,
        model: &Model,
        executor: &mut dyn Executor,
        arrived: &mut Arrived,
    ) -> Result<std::result::Result<(), String>> {
        let lost = arrived.records.iter().find(|(_, record)| !record.is_finite());
        let Some(why) = lost.map(|(_, record)| format!("the loss is {}", record.loss())) else {
            return Ok(Ok(()));
        };
        let Some(state) = scaling(model, executor)? else { return Ok(Err(why)) };
        for (entry, _) in arrived.records.iter().filter(|(_, record)| !record.is_finite()) {
            // The batches of one update follow each other.
            if self.last.replace(entry.step) != Some(entry.step) {
                self.lost += 1;
            }
        }
        if state.scale < MIN_SCALE {
            return Ok(Err(format!("{why} although the loss scale has fallen to {}", state.scale)));
        }
        // More lost losses than skipped updates: the network has learnt from one of them. (The device may be some steps
        // ahead and have skipped more; then the next such loss shows it.)
        if self.lost as f32 > state.skipped - self.skipped_before {
            return Ok(Err(why));
        }
        arrived.records.retain(|(_, record)| record.is_finite());
        Ok(Ok(()))
    }

    /// After a whole epoch of `steps_per_epoch` updates: a warning about skipped updates if the scale has changed in the
    /// epoch; otherwise an error that says why no scale helps. It depends only on the state of the device, so that a
    /// resumed run reports the same.
    pub fn end(
        &self,
        model: &Model,
        executor: &mut dyn Executor,
        steps_per_epoch: usize,
    ) -> Result<std::result::Result<Option<String>, String>> {
        let Some(state) = scaling(model, executor)? else { return Ok(Ok(None)) };
        if state.scale < MIN_SCALE {
            let why =
                format!("gradients are not finite although the loss scale has fallen to {}", state.scale);
            return Ok(Err(why));
        }
        let has_changed = state.skipped > 0.0 && state.streak < steps_per_epoch as f32;
        Ok(Ok(has_changed.then(|| {
            format!(
                "{} updates of the run were skipped so far because gradients were not finite; the loss scale is now {}",
                state.skipped, state.scale
            )
        })))
    }
}
