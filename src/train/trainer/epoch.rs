//! The training part of an epoch: batches in, updates out, and what they report.

use super::super::diagnosis::{Cause, Diagnosis};
use super::super::event::Event;
use super::super::progress::Progress;
use super::super::store::Weights;
use super::super::updater::Updater;
use super::super::vanishing::shrinking;
use super::{Trainer, TrainingTask};
use crate::error::{Error, Result};
use crate::inference::{Arrived, Entry, Windows, collect};
use crate::model::Model;
use crate::ops::NonFinite;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

impl Trainer<'_> {
    /// The training part of an epoch, or what is left of it after `progress`. A run that is stopped within an epoch leaves
    /// the progress unchanged, so that it reports nothing that an uninterrupted run would not have reported there.
    pub(super) fn train_epoch(&mut self, epoch: usize, mut progress: Progress) -> Result<Progress> {
        self.diagnosis.remember(&mut self.updater)?;
        self.loss_scaler.begin(self.updater.task.model, self.updater.executor)?;
        let began = Instant::now();
        let before = (progress.seconds, progress.data_wait);
        let end = (epoch + 1) * self.steps_per_epoch();
        let mut batches = self.prefetcher.epoch(epoch, self.updater.step - epoch * self.steps_per_epoch())?;
        let mut windows = Windows::new(self.task().model.metrics, Model::SLOTS);
        while self.updater.step < end && !self.reached_limit() {
            let arrived = self.updater.update(&self.prefetcher, &mut batches, &mut windows)?;
            self.report_bad()?;
            for arrived in arrived {
                self.take_in(epoch, arrived, &mut progress)?;
            }
            self.updater.step += 1;
            self.diagnosis.forget();
            // The end of an epoch and of a run have their own checkpoints.
            let continues = self.updater.step < end && !self.stopped() && !self.reached_limit();
            let every = self.task().options.checkpoint_every;
            if continues && self.saver.is_due(self.updater.step, every) {
                self.flush(epoch, &mut windows, batches.waited(), &mut progress)?;
                progress.seconds = before.0 + began.elapsed().as_secs_f64();
                progress.data_wait = before.1 + batches.waited().as_secs_f64();
                self.save(epoch, &progress)?;
            }
            if self.stopped() {
                break;
            }
        }
        let waited = batches.waited();
        progress.data_wait = before.1 + waited.as_secs_f64();
        // The loader continues with the next epoch while the device finishes this one and validates.
        drop(batches);
        if self.updater.step == end {
            if !self.stopped() && !self.reached_limit() {
                self.prefetcher.prepare(epoch + 1, 0)?;
            }
            while let Some(arrived) = windows.drain(self.updater.executor, waited)? {
                self.take_in(epoch, arrived, &mut progress)?;
            }
        } else {
            self.flush(epoch, &mut windows, waited, &mut progress)?;
        }
        progress.seconds = before.0 + began.elapsed().as_secs_f64();
        if self.stopped() {
            return Ok(progress);
        }
        if self.updater.step < end {
            // A later run with a higher limit resumes here, as if there had been no limit.
            self.save(epoch, &progress)?;
        } else {
            let (model, steps) = (self.updater.task.model, self.steps_per_epoch());
            match self.loss_scaler.end(model, self.updater.executor, steps)? {
                Ok(warning) => warning.into_iter().try_for_each(|text| self.report(Event::Warning(text)))?,
                Err(why) => {
                    let step = self.updater.step.saturating_sub(1);
                    return Err(self.lost(epoch, step, progress.lr(), &why));
                }
            }
        }
        if let Some(step) = progress.report(epoch) {
            self.report(Event::Step(step))?;
        }
        Ok(progress)
    }

    /// Waits for everything that has been computed so far.
    fn flush(
        &mut self,
        epoch: usize,
        windows: &mut Windows,
        waited: Duration,
        progress: &mut Progress,
    ) -> Result<()> {
        while let Some(arrived) = windows.flush(self.updater.executor, waited)? {
            self.take_in(epoch, arrived, progress)?;
        }
        Ok(())
    }

    /// Reports samples that could not be read: the first ones by name, and at the end of an epoch the number of others.
    pub(super) fn report_bad(&mut self) -> Result<()> {
        for line in self.prefetcher.bad().news() {
            self.report(Event::Warning(line))?;
        }
        Ok(())
    }

    /// Adds records that have arrived, and reports at the end of every `log_every` updates.
    fn take_in(&mut self, epoch: usize, mut arrived: Arrived, progress: &mut Progress) -> Result<()> {
        let lost = arrived.records.iter().find(|(_, record)| !record.is_finite()).map(|&(entry, _)| entry);
        // A non-finite value found before the loss is its cause. An update that fails in the same step is not.
        let is_first = |entry: &Entry, found: &NonFinite| {
            lost.is_none_or(|lost| entry.step < lost.step || (entry.step == lost.step && found.before))
        };
        if let Some((entry, found)) = arrived.found.iter().find(|(entry, found)| is_first(entry, found)) {
            return Err(self.damaged(epoch, *entry, *found));
        }
        if let Some(entry) = lost {
            let (model, executor) = (self.updater.task.model, &mut *self.updater.executor);
            if let Err(why) = self.loss_scaler.filter(model, executor, &mut arrived)? {
                return Err(self.lost(epoch, entry.step, entry.lr, &why));
            }
        }
        if let Some(message) = self.divergence.observe(&arrived.records) {
            let why = self.why_nothing_is_learnt()?;
            self.report(Event::Warning(format!("{message}; {why}")))?;
        }
        let last = arrived.records.last();
        self.position.arrived = last.map_or(self.position.arrived, |(entry, _)| entry.step + 1);
        match progress.add(epoch, &arrived) {
            Some(step) => self.report(Event::Step(step)),
            None => Ok(()),
        }
    }

    /// What is measured of a network that learns nothing, and what to try.
    fn why_nothing_is_learnt(&mut self) -> Result<String> {
        const ELSE: &str = "try another learning rate, or weights that start larger (init \"kaiming\")";
        let Some(executors) = self.diagnosis.executors else { return Ok(ELSE.into()) };
        let Updater { task, executor, .. } = &mut self.updater;
        let tensors = collect(task.model, *executor)?;
        match shrinking(task.spec, task.data, self.prefetcher.source(), &tensors, executors) {
            Err(Error::Memory(_)) => Ok(ELSE.into()),
            found => Ok(found?.unwrap_or_else(|| ELSE.into())),
        }
    }

    /// An error for a non-finite weight or optimiser state that the update of a step has found.
    fn damaged(&mut self, epoch: usize, entry: Entry, found: NonFinite) -> Error {
        let parameter = self.task().model.trained(found.number);
        let name = parameter.map_or_else(|| format!("parameter {}", found.number), |p| p.name.clone());
        let what = match (found.weight, found.state) {
            (true, false) => format!("{name} holds"),
            (false, _) => format!("the optimiser's state of {name} holds"),
            (true, true) => format!("{name} and its optimiser's state hold"),
        };
        let when = if found.before { "already before the update" } else { "after the update" };
        let why = format!("{what} non-finite values {when}");
        self.diverged(epoch, entry.step + 1, entry.lr, &why, &Cause::Unknown)
    }

    /// An error for what was found in `epoch` (from 0) at `step` of the run (from 1), with its cause and what is kept.
    pub(super) fn diverged(&self, epoch: usize, step: usize, lr: f32, why: &str, cause: &Cause) -> Error {
        let kept = match self.saver.weights_path(Weights::Last) {
            Some(path) if epoch > 0 => format!("; {} holds the epoch before", path.display()),
            _ => String::new(),
        };
        let advice = "; try a lower learning rate (lr) or gradient clipping (clip-grad-norm)";
        let (cause, advice) = match cause {
            Cause::Unknown => (String::new(), advice),
            Cause::Network(text) => (format!(": {text}"), advice),
            Cause::Data(text) => (format!(": {text}"), ""),
        };
        Error::Diverged(format!(
            "training diverged: {why} in epoch {} of {}, step {step} of the run, at lr {lr}{cause}{advice}{kept}",
            epoch + 1,
            self.task().spec.recipe.epochs
        ))
    }

    /// An error for a non-finite loss of update `step` (from 0 over the run) that says what happened, why, and what is kept.
    fn lost(&mut self, epoch: usize, step: usize, lr: f32, why: &str) -> Error {
        // What has happened is reported even if its cause cannot be found.
        let cause = self.cause(epoch, step).unwrap_or(Cause::Unknown);
        self.diverged(epoch, step + 1, lr, why, &cause)
    }

    /// Why the loss of update `step` (from 0 over the run) is not finite. The run cannot continue after this.
    fn cause(&mut self, epoch: usize, step: usize) -> Result<Cause> {
        let place = [epoch, step - epoch * self.steps_per_epoch()];
        let TrainingTask { model, data, .. } = self.updater.task;
        if let Some(cause) = Diagnosis::bad_data(model, &data.train, &mut self.prefetcher, place)? {
            return Ok(cause);
        }
        if self.diagnosis.can_replay() {
            let what = format!("repeating the epoch up to step {} to find the cause", step + 1);
            self.report(Event::Warning(format!("the loss is not finite; {what}")))?;
        }
        let stop = self.stop;
        let stopped = || stop.load(Ordering::Relaxed);
        self.diagnosis.cause(&mut self.updater, &mut self.prefetcher, place, &stopped)
    }
}
