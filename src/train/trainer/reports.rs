//! What a run reports at its start and end, and the way of every report: to the logs and to the observer.

use super::super::event::{Done, Ending, Event, Start, ValPart};
use super::super::store::Weights;
use super::{Task, Trainer};
use crate::data::Division;
use crate::error::Result;
use crate::inference::guess;

impl Trainer<'_> {
    /// What the run is validated on.
    pub(super) fn val_part(&self) -> ValPart {
        let Task { data, options, .. } = &self.task;
        let division = data.origin.as_ref().map(|origin| &origin.provenance.division);
        match division {
            _ if options.overfit_batch || data.validates_on_training() => ValPart::Train,
            None | Some(Division::Validation | Division::All) => ValPart::Validation,
            Some(division) => ValPart::HeldOut(division.clone()),
        }
    }

    pub(super) fn start(&self) -> Start {
        let Task { spec, model, data, device, .. } = &self.task;
        Start {
            model: spec.name.clone(),
            device: device.clone(),
            data: data.train.name.clone(),
            parameters: model.parameter_count(),
            memory_bytes: model.program.plan().bytes(),
            epochs: spec.recipe.epochs,
            steps_per_epoch: self.steps_per_epoch,
            train_samples: data.train.len(),
            val_samples: data.val.len(),
            val_part: self.val_part(),
            folder: self.store.as_ref().map(|f| f.path().display().to_string()),
        }
    }

    pub(super) fn done(&self, ending: Ending) -> Done {
        let which = if self.judge.has_best() { Weights::Best } else { Weights::Last };
        Done {
            ending,
            steps: self.step,
            best_acc1: self.judge.best_acc1(),
            acc1_guess: guess(&self.task.data.val),
            val_part: self.val_part(),
            seconds: self.earlier + self.started.elapsed().as_secs_f64(),
            weights: self.store.as_ref().map(|f| f.weights_path(which).display().to_string()),
        }
    }

    pub(super) fn report(&mut self, event: Event) -> Result<()> {
        if let Some(store) = &mut self.store {
            let recorded = store.record(&event);
            let was_silent = std::mem::replace(&mut self.is_silent, recorded.is_err());
            // The line waits for the next one; a checkpoint is not written without it, so this cannot go on for ever.
            if let (Err(error), false) = (recorded, was_silent) {
                let text = format!("{error}: not written yet; the run goes on and tries again");
                self.observer.event(&Event::Warning(text))?;
            }
        }
        self.observer.event(&event)
    }
}
