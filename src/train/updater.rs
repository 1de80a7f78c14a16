//! Updates: batches in, new weights out. The updater holds the executor and counts what it has computed.

use super::mixing::Mixing;
use super::prefetcher::Prefetcher;
use super::schedule::LearningRate;
use super::task::TrainingTask;
use crate::data::Batch;
use crate::error::Result;
use crate::inference::{Arrived, BatchStream, Entry, Named, Windows, hyper, send};
use crate::model::Model;
use crate::ops::Hyper;
use crate::program::{BufferId, Executor, Role, Span};
use crate::tensor::Tensor;

/// Computes the updates of a run.
pub(super) struct Updater<'a> {
    pub task: TrainingTask<'a>,
    pub executor: &'a mut dyn Executor,
    pub schedule: Box<dyn LearningRate + 'a>,
    /// Updates so far.
    pub step: usize,
    /// Gradient computations so far, several for each update if gradients are accumulated.
    pub micro_step: usize,
}

impl Updater<'_> {
    /// Computes one update from the next batches, and returns the records that have arrived meanwhile. Samples that cannot
    /// be read do not count in the mean; if no sample can be read, only the number of the step changes, which the schedule
    /// depends on.
    pub fn update(
        &mut self,
        prefetcher: &Prefetcher,
        batches: &mut BatchStream,
        windows: &mut Windows,
    ) -> Result<Vec<Arrived>> {
        let (model, options) = (self.task.model, self.task.options);
        let recipe = &self.task.spec.recipe;
        let lr = self.schedule.lr(self.step);
        let (members, empty): (Vec<Batch>, Vec<Batch>) =
            prefetcher.group(batches)?.into_iter().partition(|batch| batch.rows > 0);
        empty.into_iter().for_each(|batch| batches.recycle(batch));
        let rows: usize = members.iter().map(|batch| batch.rows).sum();
        // The mean is over all accumulated batches, so that they are one large batch, whatever the weights of its rows.
        let weight: f64 = members.iter().map(|batch| model.loss_weight(&batch.labels, batch.rows)).sum();
        let common =
            Hyper { loss_scale: (1.0 / weight) as f32, ..hyper(recipe, options.seed, self.step, lr) };
        let mixing = Mixing::new(options, self.task.spec.input);
        let last = members.len().saturating_sub(1);
        let mut arrived = Vec::new();
        for (member, batch) in members.into_iter().enumerate() {
            let slot = self.micro_step % Model::SLOTS;
            let hyper = Hyper {
                rows: batch.rows as u32,
                slot: slot as u32,
                accumulate: u32::from(member > 0),
                draw: self.micro_step as u32,
                ..common
            };
            let hyper = mixing.map_or(hyper, |mixing| mixing.draw(self.micro_step).put(hyper));
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
            self.micro_step += 1;
            let close = member == last && (self.step + 1).is_multiple_of(options.log_every.max(1));
            let entry = Entry { step: self.step, slot, lr, mean: rows as f64 / weight };
            arrived.extend(windows.push(self.executor, entry, close, batches.waited())?);
        }
        Ok(arrived)
    }

    /// Every tensor that outlives a step, by the name of its buffer.
    pub fn lasting_tensors(&mut self) -> Result<Named> {
        let mut tensors = Named::new();
        for (id, name) in lasting(self.task.model) {
            let shape = self.task.model.program.buffer(id).shape.clone();
            tensors.push((name, Tensor::new(shape, self.executor.read(id)?)?));
        }
        Ok(tensors)
    }
}

/// The buffers of `model` whose content later steps depend on, with their names.
pub(super) fn lasting(model: &Model) -> impl Iterator<Item = (BufferId, String)> {
    let is_lasting = |role| matches!(role, Role::Parameter | Role::State | Role::Optimizer | Role::Average);
    let buffers = model.program.buffers().iter().enumerate();
    buffers
        .filter(move |(_, buffer)| is_lasting(buffer.role))
        .map(|(number, buffer)| (BufferId(number as u32), buffer.name.clone()))
}
