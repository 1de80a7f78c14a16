//! What a run saves so that it can be resumed, and the way back from it.

use super::super::diagnosis::Cause;
use super::super::event::Event;
use super::super::progress::Progress;
use super::super::state::{Saved, State};
use super::super::updater::lasting;
use super::{Trainer, TrainingTask};
use crate::error::{Error, Result};
use crate::inference::{self, Named, Totals, collect_averaged};
use crate::program::Role;
use std::collections::BTreeMap;

impl Trainer<'_> {
    /// Continues from `saved` as if the run had never stopped: weights, the optimiser's state, and everything that the run
    /// has counted.
    ///
    /// The executor must hold initial values. With `force`, what matches is taken, and the rest starts again.
    pub fn resume(mut self, saved: Saved, force: bool) -> Result<Self> {
        let TrainingTask { model, device, .. } = self.task().clone();
        let Saved { path, mut tensors, state, is_other_optimizer } = saved;
        let bad = |what: String| Error::data(&path, what);
        let mut anew = Vec::new();
        for (id, name) in lasting(model) {
            let buffer = model.program.buffer(id);
            // The state of one optimiser means nothing to another.
            if is_other_optimizer && buffer.role == Role::Optimizer {
                continue;
            }
            match tensors.remove(&name) {
                Some(tensor) if *tensor.shape() == buffer.shape => {
                    self.updater.executor.write(id, tensor.data())?;
                }
                // Without momentum there was none.
                _ if force && buffer.role == Role::Optimizer => {}
                // It begins with the weights, which come before it.
                _ if force && buffer.role == Role::Average => anew.push(id),
                found => {
                    let found = found.map_or("none".to_string(), |tensor| tensor.shape().to_string());
                    return Err(bad(format!("tensor {name}: expected {}, found {found}", buffer.shape)));
                }
            }
        }
        for (parameter, average) in model.averages().filter(|(_, average)| anew.contains(average)) {
            let values = self.updater.executor.read(parameter.buffer)?;
            self.updater.executor.write(average, &values)?;
        }
        if !state.is_on(&device) {
            self.reporter.notices.push(format!(
                "{}: resuming on {} a run that started on {}: results will not be bit-identical",
                path.display(),
                device.name,
                state.device
            ));
        }
        let steps_per_epoch = self.steps_per_epoch();
        let [epoch, position] = state.place(steps_per_epoch);
        self.position.epoch = epoch;
        self.updater.micro_step = state.micro_step;
        // If the epoch has as many updates as it had, this is the step that the checkpoint names.
        self.updater.step = epoch * steps_per_epoch + position;
        if state.steps_per_epoch == steps_per_epoch {
            self.position.progress = state.progress;
        }
        self.best.restore(state.best);
        self.divergence.restore(state.divergence);
        self.dead_relus = state.dead_relus;
        if let Err(what) = self.updater.schedule.restore(&state.schedule)
            && !force
        {
            return Err(bad(format!("schedule: {what}")));
        }
        self.prefetcher.bad().restore(state.bad);
        self.clock.earlier = state.seconds;
        self.reporter.is_resumed = true;
        Ok(self)
    }

    /// Writes a checkpoint from which `epoch` can be resumed, of which `progress` has arrived.
    pub(super) fn save(&mut self, epoch: usize, progress: &Progress) -> Result<()> {
        let saved = self.checkpoint(epoch, progress);
        self.count_saved(saved)
    }

    /// Counts how saving went, and reports a failure that does not end the run.
    pub(super) fn count_saved(&mut self, saved: Result<()>) -> Result<()> {
        match self.saver.count(saved)? {
            Some(warning) => self.report(Event::Warning(warning)),
            None => Ok(()),
        }
    }

    /// All weights as they are now, averaged where a moving average is kept; an error if one is not finite, so that no such
    /// weight is ever saved.
    pub(super) fn weights(&mut self, epoch: usize, lr: f32) -> Result<Named> {
        let tensors = collect_averaged(self.updater.task.model, self.updater.executor)?;
        self.check_finite(&tensors, epoch, lr)?;
        Ok(tensors)
    }

    fn check_finite(&self, tensors: &Named, epoch: usize, lr: f32) -> Result<()> {
        match tensors.iter().find(|(_, tensor)| !tensor.data().iter().all(|value| value.is_finite())) {
            None => Ok(()),
            Some((name, _)) => {
                let why = format!("{name} has non-finite values");
                Err(self.diverged(epoch, self.updater.step, lr, &why, &Cause::Unknown))
            }
        }
    }

    /// Writes the weights of an epoch that was interrupted.
    pub(super) fn save_interrupted(&mut self, epoch: usize, lr: f32) -> Result<()> {
        let tensors = self.weights(epoch, lr)?;
        let metadata = self.metadata(epoch, None);
        self.saver.save_interrupted(&tensors, &metadata)
    }

    /// Saves once more if the last attempt has failed, since there is no later occasion.
    pub(super) fn expect_saved(&mut self, epoch: usize, progress: &Progress) -> Result<()> {
        if !self.saver.has_failed() {
            return Ok(());
        }
        let is_between = self.updater.step == epoch * self.steps_per_epoch();
        let trained = if is_between { epoch.saturating_sub(1) } else { epoch };
        let tensors = self.weights(trained, progress.lr())?;
        let metadata = self.metadata(trained, None);
        self.saver.save_weights(&tensors, metadata, false)?;
        // Within an epoch it was written before the evaluation, which a resumed run repeats.
        if is_between { self.checkpoint(epoch, progress) } else { Ok(()) }
    }

    pub(super) fn checkpoint(&mut self, epoch: usize, progress: &Progress) -> Result<()> {
        if self.saver.store.is_none() {
            return Ok(());
        }
        let tensors = self.updater.lasting_tensors()?;
        self.check_finite(&tensors, epoch, progress.lr())?;
        let mut metadata = self.metadata(epoch, None);
        let position = self.updater.step - epoch * self.steps_per_epoch();
        let state = State {
            epoch,
            position,
            step: self.updater.step,
            micro_step: self.updater.micro_step,
            steps_per_epoch: self.steps_per_epoch(),
            progress: progress.clone(),
            best: self.best.state().clone(),
            divergence: self.divergence.state().clone(),
            dead_relus: self.dead_relus.clone(),
            schedule: self.updater.schedule.state(),
            bad: self.prefetcher.bad().reported(),
            seconds: self.clock.seconds(),
            device: self.task().device.name.clone(),
            device_key: Some(self.task().device.key.clone()),
        };
        metadata.insert("position".into(), position.to_string());
        metadata.insert("draw".into(), self.updater.micro_step.to_string());
        let store = self.saver.store.as_mut();
        store.map_or(Ok(()), |store| store.save_checkpoint(&tensors, metadata, &state))
    }

    /// The metadata of a file that is saved in `epoch`, with the result of the validation if `totals` has one.
    pub(super) fn metadata(&self, epoch: usize, totals: Option<&Totals>) -> BTreeMap<String, String> {
        let TrainingTask { spec, model, data, options, .. } = self.task();
        let mut map = inference::metadata(spec, model.classes, &data.train.class_names);
        map.insert("data".into(), data.train.name.clone());
        map.insert("epoch".into(), epoch.to_string());
        map.insert("step".into(), self.updater.step.to_string());
        map.insert("seed".into(), options.seed.to_string());
        map.insert("val_part".into(), self.val_part().name().into());
        if let Some(origin) = &data.origin {
            inference::write_origin(origin, &mut map);
        }
        if let Some(decay) = options.ema {
            map.insert(inference::EMA_DECAY.into(), decay.to_string());
        }
        if let Some(totals) = totals.filter(|totals| totals.rows() > 0) {
            map.insert("val_acc1".into(), totals.acc1().to_string());
            map.insert("val_acc5".into(), totals.acc5().to_string());
            map.insert("val_loss".into(), totals.loss().to_string());
        }
        map
    }
}
