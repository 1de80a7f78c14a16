//! Why a loss is no number. By the time that it is known every weight is spoilt, so the epoch is repeated from the state
//! that it began with up to the step that failed, which is then computed once more, layer by layer.

use super::super::event::Event;
use super::super::probe::within;
use super::super::store::Weights;
use super::saving::outlives;
use super::{Task, Trainer};
use crate::data::{Batch, Images, Labels};
use crate::error::{Error, Result};
use crate::inference::{Entry, Windows, collect, hyper, restore, send, target};
use crate::model::{BuildOptions, Model};
use crate::ops::{Hyper, NonFinite};
use crate::program::{BufferId, Span};
use crate::tensor::Tensor;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What is repeated lasts no longer than this; a run that goes wrong mostly does so in its first steps.
const REPLAY: Duration = Duration::from_secs(60);
/// Bytes of host memory that a copy of weights and optimiser state may take.
const COPY: u64 = 2 << 30;
/// Bytes that the program of the failed step may take, where every value is kept.
const STEP: u64 = 1 << 30;

/// Where a loss that is no number comes from.
#[derive(Debug)]
pub(super) enum Cause {
    Unknown,
    /// A sample.
    Data(String),
    /// A layer.
    Network(String),
}

/// The state that an epoch, or what a checkpoint left of it, began with.
pub(super) struct Snapshot {
    taken: Instant,
    step: usize,
    draw: usize,
    values: Vec<(BufferId, Vec<f32>)>,
}

impl Trainer<'_> {
    /// Copies the state that the coming epoch begins with, if there is a use for it.
    pub(super) fn remember(&mut self) -> Result<()> {
        self.snapshot = None;
        if self.workbench.is_none() {
            return Ok(());
        }
        let buffers = self.task.model.program.buffers().iter().enumerate();
        let kept: Vec<_> = buffers.filter(|(_, buffer)| outlives(buffer.role)).collect();
        if kept.iter().map(|(_, buffer)| buffer.shape.bytes()).sum::<u64>() > COPY {
            return Ok(());
        }
        let ids = kept.into_iter().map(|(number, _)| BufferId(number as u32));
        let values = ids.map(|id| Ok((id, self.executor.read(id)?))).collect::<Result<_>>()?;
        self.snapshot = Some(Snapshot { taken: Instant::now(), step: self.step, draw: self.draw, values });
        Ok(())
    }

    /// Lets the copy go once it would take too long to repeat what has been done since.
    pub(super) fn forget(&mut self) {
        if self.snapshot.as_ref().is_some_and(|snapshot| snapshot.taken.elapsed() > REPLAY) {
            self.snapshot = None;
        }
    }

    /// Why the loss of update `step` (from 0 over the run), in `epoch`, is no number. The run cannot go on after this.
    fn cause(&mut self, epoch: usize, step: usize) -> Result<Cause> {
        let index = step - epoch * self.steps_per_epoch;
        let train = &self.task.data.train;
        // Others hold bytes and class numbers, or would have to be read from their files once more.
        if matches!(
            (&train.images, &train.labels),
            (Images::F32(_) | Images::Levels(_), _) | (Images::U8(_), Labels::Values { .. })
        ) {
            let mut batches = self.supply.epoch(epoch, index)?;
            let group = self.supply.group(&mut batches)?;
            if let Some(text) = group.iter().find_map(|batch| self.bad_sample(batch)) {
                return Ok(Cause::Data(text));
            }
        }
        let Some(snapshot) = self.snapshot.take() else {
            let tensors = collect(self.task.model, self.executor)?;
            return Ok(
                spoilt(&tensors).map_or(Cause::Unknown, |text| Cause::Network(format!("by now {text}")))
            );
        };
        let text =
            format!("the loss is no number; repeating the epoch up to step {} to find out why", step + 1);
        self.report(Event::Warning(text))?;
        (self.step, self.draw) = (snapshot.step, snapshot.draw);
        for (buffer, values) in snapshot.values {
            self.executor.write(buffer, &values)?;
        }
        // A run that goes on from a checkpoint may have begun within the epoch.
        let first = self.step - epoch * self.steps_per_epoch;
        let mut batches = self.supply.epoch(epoch, first)?;
        let mut windows = Windows::new(self.task.model.metrics, Model::SLOTS);
        let began = Instant::now();
        for _ in first..index {
            self.update(&mut batches, &mut windows)?;
            self.step += 1;
            if self.stopped() || began.elapsed() > 2 * REPLAY {
                return Ok(Cause::Unknown);
            }
        }
        let group = self.supply.group(&mut batches)?;
        self.layer(&group)
    }

    /// The first value of a batch that is no number, with its sample.
    fn bad_sample(&self, batch: &Batch) -> Option<String> {
        let name = &self.task.data.train.name;
        for (what, values) in [("image", batch.input.values()), ("label", &batch.labels)] {
            if let Some(at) = values.iter().position(|value| !value.is_finite()) {
                let row = at / (values.len() / self.task.model.batch).max(1);
                let (sample, value) = (batch.samples.get(row)?, values[at]);
                return Some(format!("the {what} of training sample {sample} of {name} holds {value}"));
            }
        }
        None
    }

    /// The first layer whose output, for `group` and the weights that the executor holds, is no number.
    fn layer(&mut self, group: &[Batch]) -> Result<Cause> {
        let Task { spec, model: trained, data, options, .. } = &self.task;
        let tensors = collect(trained, self.executor)?;
        if let Some(text) = spoilt(&tensors) {
            return Ok(Cause::Network(format!("after the step before {text}")));
        }
        let Some(workbench) = self.workbench else { return Ok(Cause::Unknown) };
        let pixels = trained.pixels.map(|_| data.train.shape);
        let target = target(&data.train, spec.recipe.loss)?;
        let build = BuildOptions { keep: true, fuse: false, pixels, ..options.build_options(spec, target) };
        let model = within(spec, build, STEP)?;
        let mut executor = workbench(Arc::clone(&model.program))?;
        restore(&model, executor.as_mut(), &tensors)?;
        for (member, batch) in group.iter().filter(|batch| batch.rows > 0).enumerate() {
            let common = hyper(&spec.recipe, options.seed, self.step, 0.0);
            for from in (0..batch.rows).step_by(model.batch) {
                let part = batch.slice(trained.batch, from..from + model.batch);
                let draw = (self.draw + member) as u32;
                send(&model, executor.as_mut(), &part, &Hyper { rows: part.rows as u32, draw, ..common })?;
                executor.run(Span::Gradients)?;
                for layer in &model.layers {
                    let Some(buffer) = layer.buffer else { continue };
                    let len = layer.output.len() / model.batch * part.rows;
                    if let Some(y) = executor.read(buffer)?.iter().take(len).find(|y| !y.is_finite()) {
                        let text = format!("layer {} is the first whose output holds {y}", layer.name);
                        return Ok(Cause::Network(text));
                    }
                }
            }
        }
        Ok(Cause::Unknown)
    }

    /// An error for what the update of a step has found.
    pub(super) fn spoilt(&mut self, epoch: usize, entry: Entry, found: NonFinite) -> Error {
        let parameter = self.task.model.trained(found.number);
        let name = parameter.map_or_else(|| format!("parameter {}", found.number), |p| p.name.clone());
        let what = match (found.weight, found.state) {
            (true, false) => format!("{name} holds"),
            (false, _) => format!("the optimiser's state of {name} holds"),
            (true, true) => format!("{name} and its optimiser's state hold"),
        };
        let when = if found.before { "already before the update" } else { "after the update" };
        let why = format!("{what} values that are no numbers {when}");
        self.diverged(epoch, entry.step + 1, entry.lr, &why, &Cause::Unknown)
    }

    /// What was found in `epoch` (from 0) at `step` of the run (from 1), with its cause and what is kept.
    pub(super) fn diverged(&self, epoch: usize, step: usize, lr: f32, why: &str, cause: &Cause) -> Error {
        let kept = match &self.store {
            Some(store) if epoch > 0 => {
                format!("; {} holds the epoch before", store.weights_path(Weights::Last).display())
            }
            _ => String::new(),
        };
        let advice = "; try a lower --lr or --clip-grad-norm";
        let (cause, advice) = match cause {
            Cause::Unknown => (String::new(), advice),
            Cause::Network(text) => (format!(": {text}"), advice),
            Cause::Data(text) => (format!(": {text}"), ""),
        };
        Error::Verification(format!(
            "training diverged: {why} in epoch {} of {}, step {step} of the run, at lr {lr}{cause}{advice}{kept}",
            epoch + 1,
            self.task.spec.recipe.epochs
        ))
    }

    /// An error that tells what happened, why and what remains.
    pub(super) fn lost(&mut self, epoch: usize, step: usize, lr: f32, why: &str) -> Error {
        // What has happened has to be said even if its cause cannot be found.
        let cause = self.cause(epoch, step).unwrap_or(Cause::Unknown);
        self.diverged(epoch, step + 1, lr, why, &cause)
    }
}

/// Which tensors hold values that are no numbers; `None` if there is none. Of several the last one is named: that is
/// where gradients come from.
fn spoilt(tensors: &[(String, Tensor)]) -> Option<String> {
    let is_bad = |(_, tensor): &&(String, Tensor)| !tensor.data().iter().all(|value| value.is_finite());
    let bad: Vec<_> = tensors.iter().filter(is_bad).collect();
    let (last, _) = bad.last()?;
    Some(match bad.len() {
        1 => format!("{last} holds values that are no numbers"),
        n if n == tensors.len() => "all weights hold values that are no numbers".into(),
        n => format!(
            "{n} of {} tensors hold values that are no numbers, {last} the last of them",
            tensors.len()
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spoilt_weights_are_counted_and_the_last_is_named() {
        let tensor = |name: &str, value: f32| (name.to_string(), Tensor::new([2], vec![1.0, value]).unwrap());
        let said = |values: [f32; 3]| {
            spoilt(&[tensor("a", values[0]), tensor("b", values[1]), tensor("c", values[2])])
        };
        assert_eq!(said([0.0; 3]), None);
        assert!(said([0.0, f32::INFINITY, 0.0]).unwrap().starts_with("b holds"));
        assert!(said([f32::NAN, f32::NAN, 0.0]).unwrap().contains("2 of 3 tensors"));
        assert!(said([f32::NAN; 3]).unwrap().starts_with("all weights"));
    }
}
