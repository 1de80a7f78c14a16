//! Loss scaling, as the host sees it. The device finds gradients that are not finite and leaves that update out; a loss
//! that is no number is then no failure of the run. The host looks at the scale only where such a loss arrives, and
//! between epochs.

use super::super::event::Event;
use super::Trainer;
use crate::error::Result;
use crate::inference::Arrived;
use crate::ops::Scaling;

/// Below this a smaller scale makes gradients smaller than they are without one: what is not finite then is not so
/// because of the scale (DeepSpeed's `min_loss_scale`).
const LEAST: f32 = 1.0;

/// What is counted since an epoch, or what a checkpoint left of it, began.
#[derive(Debug, Default)]
pub(super) struct Losses {
    /// Updates that the run had left out before.
    before: f32,
    /// Updates with a loss that is no number, and the last of them.
    lost: usize,
    last: Option<usize>,
}

impl Trainer<'_> {
    /// The state of the loss scale after everything run so far, for which it waits; `None` without one.
    fn scaling(&mut self) -> Result<Option<Scaling>> {
        let Some(buffer) = self.task.model.loss_scale else { return Ok(None) };
        Ok(Some(Scaling::from_words(&self.executor.read(buffer)?)))
    }

    /// Counts from here.
    pub(super) fn begin_losses(&mut self) -> Result<()> {
        let before = self.scaling()?.map_or(0.0, |state| state.skipped);
        self.losses = Losses { before, ..Losses::default() };
        Ok(())
    }

    /// Takes the records without a finite loss out of `arrived`, if every one is of an update that was left out; else
    /// says what is wrong.
    pub(super) fn pass_over(&mut self, arrived: &mut Arrived) -> Result<std::result::Result<(), String>> {
        let lost = arrived.records.iter().find(|(_, record)| !record.is_finite());
        let Some(why) = lost.map(|(_, record)| format!("the loss is {}", record.loss())) else {
            return Ok(Ok(()));
        };
        let Some(state) = self.scaling()? else { return Ok(Err(why)) };
        for (entry, _) in arrived.records.iter().filter(|(_, record)| !record.is_finite()) {
            // The batches of one update come one after another.
            if self.losses.last.replace(entry.step) != Some(entry.step) {
                self.losses.lost += 1;
            }
        }
        if state.scale < LEAST {
            return Ok(Err(format!("{why} although the loss scale has fallen to {}", state.scale)));
        }
        // A loss without a gradient that is not finite was learnt from. (The device may be some steps ahead and have left out
        // more; then the next such loss tells.)
        if self.losses.lost as f32 > state.skipped - self.losses.before {
            return Ok(Err(why));
        }
        arrived.records.retain(|(_, record)| record.is_finite());
        Ok(Ok(()))
    }

    /// After a whole epoch: reports updates that were left out, if the scale has changed in it; says what is wrong if no
    /// scale helps. All by what the device knows, so that a run that goes on says the same.
    pub(super) fn end_losses(&mut self) -> Result<std::result::Result<(), String>> {
        let Some(state) = self.scaling()? else { return Ok(Ok(())) };
        if state.scale < LEAST {
            let why =
                format!("gradients are not finite although the loss scale has fallen to {}", state.scale);
            return Ok(Err(why));
        }
        if state.skipped > 0.0 && state.streak < self.steps_per_epoch as f32 {
            let text = format!(
                "{} updates of the run were left out so far, since gradients were not finite; the loss scale is {} now",
                state.skipped, state.scale
            );
            self.report(Event::Warning(text))?;
        }
        Ok(Ok(()))
    }
}
