//! What a run leaves on the disk so that it can go on: weights after every epoch, checkpoints after every epoch and
//! between; and the way back. A file that cannot be written is tried again at the next occasion; the third failure in a row
//! ends the run.

use super::super::event::Event;
use super::super::progress::Progress;
use super::super::state::{Saved, State};
use super::super::store::Weights;
use super::Trainer;
use super::diagnosis::Cause;
use crate::error::{Error, Result};
use crate::inference::{self, Named, Totals, collect};
use crate::program::{BufferId, Role};
use crate::tensor::Tensor;
use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::Ordering;

/// Occasions in a row at which saving may fail before the run ends.
const ATTEMPTS: usize = 3;

/// Weights of the best epoch that could not be saved yet, with their notes.
pub(super) type Unsaved = Option<(Named, BTreeMap<String, String>)>;

impl Trainer<'_> {
    /// Continues from `saved` as if the run had never stopped: weights, the optimiser's state, and everything that the run
    /// has counted.
    ///
    /// The executor must hold initial values. With `force` what fits is taken, and the rest starts again.
    pub fn resume(mut self, saved: Saved, force: bool) -> Result<Self> {
        let super::Task { model, device, .. } = &self.task;
        let Saved { path, mut tensors, state, is_other_optimizer } = saved;
        let bad = |what: String| Error::data(&path, what);
        for (number, buffer) in model.program.buffers().iter().enumerate().filter(|(_, b)| outlives(b.role)) {
            // What one optimiser has gathered means nothing to another.
            if is_other_optimizer && buffer.role == Role::Optimizer {
                continue;
            }
            match tensors.remove(&buffer.name) {
                Some(tensor) if *tensor.shape() == buffer.shape => {
                    self.executor.write(BufferId(number as u32), tensor.data())?;
                }
                // Without momentum there was none.
                _ if force && buffer.role == Role::Optimizer => {}
                found => {
                    let found = found.map_or("none".to_string(), |tensor| tensor.shape().to_string());
                    return Err(bad(format!(
                        "tensor {}: expected {}, found {found}",
                        buffer.name, buffer.shape
                    )));
                }
            }
        }
        if kind(&state.device) != kind(device) {
            self.notices.push(format!(
                "{}: the run was on {}, and goes on on {device}: the same bits are not to be expected",
                path.display(),
                state.device
            ));
        }
        let [epoch, position] = state.place(self.steps_per_epoch);
        self.epoch = epoch;
        self.draw = state.draw;
        // Where an epoch has as many updates as it had, this is the step that the checkpoint names.
        self.step = epoch * self.steps_per_epoch + position;
        if state.steps_per_epoch == self.steps_per_epoch {
            self.progress = state.progress;
        }
        self.judge.restore(state.verdicts);
        self.watch.restore(state.seen);
        self.probe = state.probe;
        if let Err(what) = self.schedule.restore(&state.schedule)
            && !force
        {
            return Err(bad(format!("schedule: {what}")));
        }
        self.supply.bad().restore(state.bad);
        self.earlier = state.seconds;
        self.is_resumed = true;
        Ok(self)
    }

    /// Whether a checkpoint is due after the update that has just been made.
    pub(super) fn is_due(&self) -> bool {
        let asked = self.save.is_some_and(|save| save.swap(false, Ordering::Relaxed));
        asked
            || self.task.options.checkpoint_every.is_some_and(|every| self.step.is_multiple_of(every.max(1)))
    }

    /// Writes a checkpoint from which `epoch` goes on, of which `progress` has arrived.
    pub(super) fn save(&mut self, epoch: usize, progress: &Progress) -> Result<()> {
        let saved = self.checkpoint(epoch, progress);
        self.attempt(saved)
    }

    /// All weights as they are now; an error if one is not a number, so that none is ever saved.
    pub(super) fn weights(&mut self, epoch: usize, lr: f32) -> Result<Named> {
        let tensors = collect(self.task.model, self.executor)?;
        match tensors.iter().find(|(_, tensor)| !tensor.data().iter().all(|w| w.is_finite())) {
            None => Ok(tensors),
            Some((name, _)) => {
                let why = format!("{name} has values that are no numbers");
                Err(self.diverged(epoch, self.step, lr, &why, &Cause::Unknown))
            }
        }
    }

    /// Writes the weights of an epoch that was cut short.
    pub(super) fn save_interrupted(&mut self, epoch: usize, lr: f32) -> Result<()> {
        let tensors = self.weights(epoch, lr)?;
        let metadata = self.metadata(epoch, None);
        if let Some(store) = &mut self.store {
            store.save_weights(Weights::Last, &tensors, &metadata)?;
        }
        Ok(())
    }

    /// Writes the weights that an epoch ended with, and what could not be written before.
    pub(super) fn save_weights(
        &mut self,
        tensors: &Named,
        notes: BTreeMap<String, String>,
        is_best: bool,
    ) -> Result<()> {
        let Some(store) = &mut self.store else { return Ok(()) };
        store
            .save_weights(Weights::Last, tensors, &notes)
            .and_then(|()| match (is_best, &self.unsaved) {
                (true, _) => store.save_weights(Weights::Best, tensors, &notes),
                (false, Some((tensors, notes))) => store.save_weights(Weights::Best, tensors, notes),
                (false, None) => Ok(()),
            })
            .inspect(|()| self.unsaved = None)
            .inspect_err(|_| {
                if is_best {
                    self.unsaved = Some((tensors.clone(), notes.clone()));
                }
            })
    }

    /// Takes in how saving went: a failure is a warning at first, and an error once it is the third in a row.
    pub(super) fn attempt(&mut self, saved: Result<()>) -> Result<()> {
        match saved {
            Ok(()) => {
                self.failures = 0;
                Ok(())
            }
            Err(Error::Io { path, source }) => {
                self.failures += 1;
                if self.failures >= ATTEMPTS {
                    let what = format!(
                        "{source}: the run ends, as nothing could be saved {ATTEMPTS} times in a row"
                    );
                    // The exit code is that of a full disk or of a run that failed, not of a path that was named wrong.
                    let kind = match source.kind() {
                        full @ (io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => full,
                        _ => io::ErrorKind::Other,
                    };
                    return Err(Error::io(path, io::Error::new(kind, what)));
                }
                let error = Error::Io { path, source };
                self.report(Event::Warning(format!("{error}: not saved; the run goes on and tries again")))
            }
            Err(error) => Err(error),
        }
    }

    /// An error if the last attempt to save has failed: nothing comes after it.
    pub(super) fn expect_saved(&mut self, epoch: usize, progress: &Progress) -> Result<()> {
        match self.failures {
            0 => Ok(()),
            _ => {
                let is_between = self.step == epoch * self.steps_per_epoch;
                let trained = if is_between { epoch.saturating_sub(1) } else { epoch };
                let tensors = self.weights(trained, progress.lr())?;
                let notes = self.metadata(trained, None);
                self.save_weights(&tensors, notes, false)?;
                // Within an epoch it was written before the evaluation, which a run that goes on does itself.
                if is_between { self.checkpoint(epoch, progress) } else { Ok(()) }
            }
        }
    }

    pub(super) fn checkpoint(&mut self, epoch: usize, progress: &Progress) -> Result<()> {
        if self.store.is_none() {
            return Ok(());
        }
        let tensors = self.everything(epoch, progress.lr())?;
        let mut notes = self.metadata(epoch, None);
        let position = self.step - epoch * self.steps_per_epoch;
        let state = State {
            epoch,
            position,
            step: self.step,
            draw: self.draw,
            steps_per_epoch: self.steps_per_epoch,
            progress: progress.clone(),
            verdicts: self.judge.verdicts().clone(),
            seen: self.watch.seen().clone(),
            probe: self.probe.clone(),
            schedule: self.schedule.state(),
            bad: self.supply.bad().told(),
            seconds: self.earlier + self.started.elapsed().as_secs_f64(),
            device: self.task.device.clone(),
        };
        notes.insert("position".into(), position.to_string());
        notes.insert("draw".into(), self.draw.to_string());
        self.store.as_mut().map_or(Ok(()), |store| store.save_checkpoint(&tensors, notes, &state))
    }

    /// The notes of a file that is saved in `epoch`; with `totals`, what the validation said.
    pub(super) fn metadata(&self, epoch: usize, totals: Option<&Totals>) -> BTreeMap<String, String> {
        let data = &self.task.data.train;
        let mut map = inference::metadata(self.task.spec, self.task.model.classes, &data.class_names);
        map.insert("data".into(), data.name.clone());
        map.insert("epoch".into(), epoch.to_string());
        map.insert("step".into(), self.step.to_string());
        map.insert("seed".into(), self.task.options.seed.to_string());
        map.insert("val_part".into(), self.val_part().name().into());
        if let Some(origin) = &self.task.data.origin {
            inference::note(origin, &mut map);
        }
        if let Some(totals) = totals.filter(|t| t.rows() > 0) {
            map.insert("val_acc1".into(), totals.acc1().to_string());
            map.insert("val_acc5".into(), totals.acc5().to_string());
            map.insert("val_loss".into(), totals.loss().to_string());
        }
        map
    }

    /// Every tensor that outlives a step, by the name of its buffer; an error if a value is no number.
    fn everything(&mut self, epoch: usize, lr: f32) -> Result<Named> {
        let program = &self.task.model.program;
        let mut tensors = Named::new();
        for (number, buffer) in program.buffers().iter().enumerate().filter(|(_, b)| outlives(b.role)) {
            let values = self.executor.read(BufferId(number as u32))?;
            if !values.iter().all(|value| value.is_finite()) {
                let why = format!("{} has values that are no numbers", buffer.name);
                return Err(self.diverged(epoch, self.step, lr, &why, &Cause::Unknown));
            }
            tensors.push((buffer.name.clone(), Tensor::new(buffer.shape.clone(), values)?));
        }
        Ok(tensors)
    }
}

/// A device without the number of its threads, which changes no bit.
fn kind(device: &str) -> Vec<&str> {
    device.split(", ").filter(|part| !part.ends_with(" threads")).collect()
}

/// Whether what a buffer of this role holds matters to later steps.
pub(super) fn outlives(role: Role) -> bool {
    matches!(role, Role::Parameter | Role::State | Role::Optimizer)
}
