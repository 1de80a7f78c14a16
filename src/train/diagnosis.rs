//! Finds the cause of a non-finite loss. By the time it is known, all weights are damaged, so the epoch is repeated from the state that it
//! began with, up to the step that failed, which is then computed once more, layer by layer.

use super::dead_relu::within;
use super::mixing::Mixing;
use super::prefetcher::Prefetcher;
use super::task::{ExecutorFactory, TrainingTask};
use super::updater::{Updater, lasting};
use crate::data::{Batch, Dataset, Images, Labels};
use crate::error::Result;
use crate::inference::{Named, Windows, collect, hyper, restore, send, target};
use crate::model::{BuildOptions, Model};
use crate::ops::Hyper;
use crate::program::{BufferId, Span};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// An epoch is repeated only if this takes no longer; most runs that diverge do so in their first steps.
const MAX_REPLAY: Duration = Duration::from_secs(60);
/// Bytes of host memory that a copy of the weights and the optimiser's state may take.
const MAX_COPY: u64 = 2 << 30;
/// Bytes that the program of the failed step, in which every value is kept, may take.
const MAX_PROGRAM: u64 = 1 << 30;

/// What a non-finite loss was caused by.
#[derive(Debug)]
pub(super) enum Cause {
    Unknown,
    /// A sample.
    Data(String),
    /// A layer.
    Network(String),
}

/// The state that an epoch, or what a checkpoint left of it, began with.
struct Snapshot {
    taken: Instant,
    step: usize,
    micro_step: usize,
    values: Vec<(BufferId, Vec<f32>)>,
}

/// Finds the cause of a non-finite loss.
#[derive(Default)]
pub(super) struct Diagnosis<'a> {
    /// Makes the executor for the failed step; without it, only the data are examined.
    pub executors: Option<&'a ExecutorFactory<'a>>,
    snapshot: Option<Snapshot>,
}

impl Diagnosis<'_> {
    /// Copies the state that the coming epoch begins with, if it can be used.
    pub fn remember(&mut self, updater: &mut Updater<'_>) -> Result<()> {
        self.snapshot = None;
        let program = &updater.task.model.program;
        let bytes = lasting(updater.task.model).map(|(id, _)| program.buffer(id).shape.bytes()).sum::<u64>();
        if self.executors.is_none() || bytes > MAX_COPY {
            return Ok(());
        }
        let ids = lasting(updater.task.model).map(|(id, _)| id);
        let values = ids.map(|id| Ok((id, updater.executor.read(id)?))).collect::<Result<_>>()?;
        let (step, micro_step) = (updater.step, updater.micro_step);
        self.snapshot = Some(Snapshot { taken: Instant::now(), step, micro_step, values });
        Ok(())
    }

    /// Drops the copy once repeating everything since would take too long.
    pub fn forget(&mut self) {
        if self.snapshot.as_ref().is_some_and(|snapshot| snapshot.taken.elapsed() > MAX_REPLAY) {
            self.snapshot = None;
        }
    }

    /// Whether [`Diagnosis::cause`] would repeat an epoch.
    pub fn can_replay(&self) -> bool {
        self.snapshot.is_some()
    }

    /// A sample of update `index` of `epoch` with a non-finite value. Only data sets that can hold one are examined.
    pub fn bad_data(
        model: &Model,
        train: &Dataset,
        prefetcher: &mut Prefetcher,
        [epoch, index]: [usize; 2],
    ) -> Result<Option<Cause>> {
        // Others hold bytes and class numbers, or would have to be read from their files once more.
        if !matches!(
            (&train.images, &train.labels),
            (Images::F32(_) | Images::Levels(_), _) | (Images::U8(_), Labels::Values { .. })
        ) {
            return Ok(None);
        }
        let mut batches = prefetcher.epoch(epoch, index)?;
        let group = prefetcher.group(&mut batches)?;
        Ok(group.iter().find_map(|batch| bad_sample(model, train, batch)).map(Cause::Data))
    }

    /// Why the loss of update `index` of `epoch` is not finite, its data being finite. The run cannot continue after this.
    pub fn cause(
        &mut self,
        updater: &mut Updater<'_>,
        prefetcher: &mut Prefetcher,
        [epoch, index]: [usize; 2],
        stopped: &dyn Fn() -> bool,
    ) -> Result<Cause> {
        let model = updater.task.model;
        let Some(snapshot) = self.snapshot.take() else {
            let tensors = collect(model, updater.executor)?;
            return Ok(
                damaged(&tensors).map_or(Cause::Unknown, |text| Cause::Network(format!("by now {text}")))
            );
        };
        (updater.step, updater.micro_step) = (snapshot.step, snapshot.micro_step);
        for (buffer, values) in snapshot.values {
            updater.executor.write(buffer, &values)?;
        }
        // A resumed run may have begun within the epoch.
        let first = updater.step - epoch * prefetcher.steps_per_epoch();
        let mut batches = prefetcher.epoch(epoch, first)?;
        let mut windows = Windows::new(model.metrics, Model::SLOTS);
        let began = Instant::now();
        for _ in first..index {
            updater.update(prefetcher, &mut batches, &mut windows)?;
            updater.step += 1;
            if stopped() || began.elapsed() > 2 * MAX_REPLAY {
                return Ok(Cause::Unknown);
            }
        }
        let group = prefetcher.group(&mut batches)?;
        self.layer(updater, &group)
    }

    /// The first layer whose output is not finite, for `group` and the weights that the executor holds.
    fn layer(&self, updater: &mut Updater<'_>, group: &[Batch]) -> Result<Cause> {
        let TrainingTask { spec, model: trained, data, options, .. } = &updater.task;
        let tensors = collect(trained, updater.executor)?;
        if let Some(text) = damaged(&tensors) {
            return Ok(Cause::Network(format!("after the step before {text}")));
        }
        let Some(executors) = self.executors else { return Ok(Cause::Unknown) };
        let pixels = trained.pixels.map(|_| data.train.shape);
        let target = target(&data.train, spec.recipe.loss)?;
        let build = BuildOptions {
            keep: true,
            fuse: false,
            pixels,
            ema: None,
            ..options.build_options(spec, target)
        };
        let model = within(spec, build, MAX_PROGRAM)?;
        let mut executor = executors(Arc::clone(&model.program))?;
        restore(&model, executor.as_mut(), &tensors)?;
        for (member, batch) in group.iter().filter(|batch| batch.rows > 0).enumerate() {
            let common = hyper(&spec.recipe, options.seed, updater.step, 0.0);
            let mixing = Mixing::new(options, spec.input);
            let number = updater.micro_step + member;
            let common = mixing.map_or(common, |mixing| mixing.draw(number).put(common));
            for from in (0..batch.rows).step_by(model.batch) {
                let part = batch.slice(trained.batch, from..from + model.batch);
                let draw = number as u32;
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
}

/// The first non-finite value of a batch, with its sample.
fn bad_sample(model: &Model, train: &Dataset, batch: &Batch) -> Option<String> {
    let name = &train.name;
    for (what, values) in [("image", batch.input.values()), ("label", &batch.labels)] {
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            let row = at / (values.len() / model.batch).max(1);
            let (sample, value) = (batch.samples.get(row)?, values[at]);
            return Some(format!("the {what} of training sample {sample} of {name} holds {value}"));
        }
    }
    None
}

/// Which tensors hold non-finite values; `None` if none does. Of several, the last is named: that is where gradients come
/// from.
fn damaged(tensors: &Named) -> Option<String> {
    let bad: Vec<_> =
        tensors.iter().filter(|(_, tensor)| !tensor.data().iter().all(|value| value.is_finite())).collect();
    let (last, _) = bad.last()?;
    Some(match bad.len() {
        1 => format!("{last} holds non-finite values"),
        n if n == tensors.len() => "all weights hold non-finite values".into(),
        n => format!("{n} of {} tensors hold non-finite values, {last} the last of them", tensors.len()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Tensor;

    #[test]
    fn damaged_weights_are_counted_and_the_last_is_named() {
        let tensor = |name: &str, value: f32| (name.to_string(), Tensor::new([2], vec![1.0, value]).unwrap());
        let described = |values: [f32; 3]| {
            damaged(&vec![tensor("a", values[0]), tensor("b", values[1]), tensor("c", values[2])])
        };
        assert_eq!(described([0.0; 3]), None);
        assert!(described([0.0, f32::INFINITY, 0.0]).unwrap().starts_with("b holds"));
        assert!(described([f32::NAN, f32::NAN, 0.0]).unwrap().contains("2 of 3 tensors"));
        assert!(described([f32::NAN; 3]).unwrap().starts_with("all weights"));
    }
}
