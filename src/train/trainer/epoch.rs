//! The training part of an epoch: batches in, updates out, and what they report.

use super::super::event::Event;
use super::super::progress::Progress;
use super::Trainer;
use crate::data::Batch;
use crate::error::Result;
use crate::inference::{Arrived, Batches, Entry, Windows, hyper, send};
use crate::model::Model;
use crate::ops::{Hyper, NonFinite};
use crate::program::Span;
use std::time::{Duration, Instant};

impl Trainer<'_> {
    /// The training part of an epoch, or what is left of it after `progress`. A run that is stopped on the way leaves it
    /// as it is: no line says what an uninterrupted run would not have said there.
    pub(super) fn train_epoch(&mut self, epoch: usize, mut progress: Progress) -> Result<Progress> {
        self.remember()?;
        self.begin_losses()?;
        let began = Instant::now();
        let before = (progress.seconds, progress.data_wait);
        let end = (epoch + 1) * self.steps_per_epoch;
        let mut batches = self.supply.epoch(epoch, self.step - epoch * self.steps_per_epoch)?;
        let mut windows = Windows::new(self.task.model.metrics, Model::SLOTS);
        while self.step < end && !self.reached_limit() {
            let arrived = self.update(&mut batches, &mut windows)?;
            self.tell_bad()?;
            for arrived in arrived {
                self.take_in(epoch, arrived, &mut progress)?;
            }
            self.step += 1;
            self.forget();
            // The end of an epoch and of a run have checkpoints of their own.
            let goes_on = self.step < end && !self.stopped() && !self.reached_limit();
            if goes_on && self.is_due() {
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
        // The loader goes on with the next epoch while the device finishes this one and validates.
        drop(batches);
        if self.step == end {
            if !self.stopped() && !self.reached_limit() {
                self.supply.prepare(epoch + 1, 0)?;
            }
            while let Some(arrived) = windows.drain(self.executor, waited)? {
                self.take_in(epoch, arrived, &mut progress)?;
            }
        } else {
            self.flush(epoch, &mut windows, waited, &mut progress)?;
        }
        progress.seconds = before.0 + began.elapsed().as_secs_f64();
        if self.stopped() {
            return Ok(progress);
        }
        if self.step < end {
            // A later run with a higher limit goes on from here, as if there had been no end.
            self.save(epoch, &progress)?;
        } else if let Err(why) = self.end_losses()? {
            return Err(self.lost(epoch, self.step.saturating_sub(1), progress.lr(), &why));
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
        while let Some(arrived) = windows.flush(self.executor, waited)? {
            self.take_in(epoch, arrived, progress)?;
        }
        Ok(())
    }

    /// One update from the next batches, and the records that have arrived meanwhile. Samples that cannot be read are
    /// no part of the mean; without a single one that can, nothing changes but the number of the step, which places it
    /// in the schedule.
    pub(super) fn update(&mut self, batches: &mut Batches, windows: &mut Windows) -> Result<Vec<Arrived>> {
        let (model, options) = (self.task.model, self.task.options);
        let recipe = &self.task.spec.recipe;
        let lr = self.schedule.lr(self.step);
        let (members, empty): (Vec<Batch>, Vec<Batch>) =
            self.supply.group(batches)?.into_iter().partition(|batch| batch.rows > 0);
        empty.into_iter().for_each(|batch| batches.recycle(batch));
        let rows: usize = members.iter().map(|batch| batch.rows).sum();
        let common =
            Hyper { loss_scale: (1.0 / rows as f64) as f32, ..hyper(recipe, options.seed, self.step, lr) };
        let last = members.len().saturating_sub(1);
        let mut arrived = Vec::new();
        for (member, batch) in members.into_iter().enumerate() {
            let slot = self.draw % Model::SLOTS;
            let hyper = Hyper {
                rows: batch.rows as u32,
                slot: slot as u32,
                accumulate: u32::from(member > 0),
                draw: self.draw as u32,
                ..common
            };
            send(model, self.executor, &batch, &hyper)?;
            batches.recycle(batch);
            if recipe.grad_accum_steps == 1 {
                self.executor.run(Span::Train)?;
            } else {
                self.executor.run(Span::Gradients)?;
                if member == last {
                    self.executor.run(Span::Update)?;
                }
            }
            self.draw += 1;
            let close = member == last && (self.step + 1).is_multiple_of(options.log_every.max(1));
            let entry = Entry { step: self.step, slot, lr };
            arrived.extend(windows.push(self.executor, entry, close, batches.waited())?);
        }
        Ok(arrived)
    }

    /// Reports samples that could not be read: the first ones by name, and at the end of an epoch the number of others.
    pub(super) fn tell_bad(&mut self) -> Result<()> {
        for line in self.supply.bad().news() {
            self.report(Event::Warning(line))?;
        }
        Ok(())
    }

    /// Adds records that have arrived, and reports at the end of every `log_every` updates.
    fn take_in(&mut self, epoch: usize, mut arrived: Arrived, progress: &mut Progress) -> Result<()> {
        let lost = arrived.records.iter().find(|(_, record)| !record.is_finite()).map(|&(entry, _)| entry);
        // Whatever was found before a loss is the reason for it. An update that comes out wrong in the same step is not.
        let is_first = |entry: &Entry, found: &NonFinite| {
            lost.is_none_or(|lost| entry.step < lost.step || (entry.step == lost.step && found.before))
        };
        if let Some((entry, found)) = arrived.found.iter().find(|(entry, found)| is_first(entry, found)) {
            return Err(self.spoilt(epoch, *entry, *found));
        }
        if let (Some(entry), Err(why)) = (lost, self.pass_over(&mut arrived)?) {
            return Err(self.lost(epoch, entry.step, entry.lr, &why));
        }
        if let Some(message) = self.watch.observe(&arrived.records) {
            self.report(Event::Warning(message))?;
        }
        self.arrived = arrived.records.last().map_or(self.arrived, |(entry, _)| entry.step + 1);
        match progress.add(epoch, &arrived) {
            Some(step) => self.report(Event::Step(step)),
            None => Ok(()),
        }
    }
}
