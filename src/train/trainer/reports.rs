//! What a run reports at its start and at its end.

use super::super::event::{Done, Ending, Event, Start, ValPart};
use super::super::store::Weights;
use super::{Trainer, TrainingTask};
use crate::data::Division;
use crate::error::Result;
use crate::inference::{Assessment, Totals, guess, has_hits, rmse};

impl Trainer<'_> {
    /// What the run is validated on.
    pub(super) fn val_part(&self) -> ValPart {
        let TrainingTask { data, options, .. } = self.task();
        let division = data.origin.as_ref().map(|origin| &origin.provenance.division);
        match division {
            _ if options.overfit_batch || data.validates_on_training() => ValPart::Train,
            None | Some(Division::Validation | Division::All) => ValPart::Validation,
            Some(division) => ValPart::HeldOut(division.clone()),
        }
    }

    pub(super) fn start(&self) -> Start {
        let TrainingTask { spec, model, data, device, .. } = self.task();
        Start {
            model: spec.name.clone(),
            device: device.name.clone(),
            data: data.train.name.clone(),
            parameters: model.parameter_count(),
            classes: has_hits(&data.train).then_some(model.classes),
            memory_bytes: model.program.plan().bytes(),
            epochs: spec.recipe.epochs,
            steps_per_epoch: self.steps_per_epoch(),
            train_samples: data.train.len(),
            val_samples: data.val.len(),
            val_part: self.val_part(),
            folder: self.saver.store.as_ref().map(|store| store.path().display().to_string()),
        }
    }

    pub(super) fn done(&self, ending: Ending) -> Done {
        let which = if self.best.has_best() { Weights::Best } else { Weights::Last };
        Done {
            ending,
            steps: self.updater.step,
            best_acc1: self.best.best_acc1(),
            best_rmse: match (&self.task().data.val, self.best.best_loss()) {
                (val, loss) if !val.is_empty() => rmse(val, &Totals::of_loss(loss)),
                _ => f64::NAN,
            },
            acc1_guess: guess(&self.task().data.val),
            val_part: self.val_part(),
            seconds: self.clock.seconds(),
            weights: self.saver.weights_path(which).map(|path| path.display().to_string()),
        }
    }

    /// The answers of the best epoch to the validation samples, if that epoch was trained here and not before a resume, and if
    /// the samples have classes.
    pub(crate) fn take_assessment(&mut self) -> Option<Assessment> {
        self.assessment.take()
    }

    pub(super) fn report(&mut self, event: Event) -> Result<()> {
        self.reporter.report(self.saver.store.as_deref_mut(), event)
    }
}
