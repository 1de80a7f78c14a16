//! One pass over a data set without training: loss, top-1, top-5 and, optionally, the confusion matrix.

use super::batches::{BatchSource, BatchStream};
use super::classes::check_labels;
use super::metrics::{Answer, Confusion, Totals};
use super::window::{Entry, Windows};
use crate::data::{Batch, BatchInput, Dataset};
use crate::error::{Error, Result};
use crate::model::Model;
use crate::ops::{Hyper, Target};
use crate::program::{Executor, Pending, Span, write_words};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Loss and accuracies over all of `dataset`.
///
/// Stops early with a partial result once `stop` is set.
pub fn evaluate(
    model: &Model,
    executor: &mut dyn Executor,
    dataset: &Arc<Dataset>,
    source: &BatchSource,
    stop: &AtomicBool,
) -> Result<Totals> {
    pass(model, executor, source.in_order(dataset)?, stop, &mut |_, _| Ok(()))
}

/// As [`evaluate`], and counts the answer to every sample. The data set must have classes, not values.
///
/// # Errors
/// [`Error::Usage`] for a label that is no output of `model`.
pub fn evaluate_classes(
    model: &Model,
    executor: &mut dyn Executor,
    dataset: &Arc<Dataset>,
    source: &BatchSource,
    stop: &AtomicBool,
) -> Result<(Totals, Confusion)> {
    check_labels(dataset, model.classes, "outputs")?;
    let mut confusion = Confusion::new(model.classes);
    let mut count = |answer: &Answer<'_>| {
        confusion.count(answer);
        Ok(())
    };
    let totals = evaluate_each(model, executor, dataset, source, stop, &mut count)?;
    Ok((totals, confusion))
}

/// As [`evaluate`], and calls `each` with the answer to every sample, in order; its scores are the network's outputs.
/// The data set must have classes, not values.
pub fn evaluate_each(
    model: &Model,
    executor: &mut dyn Executor,
    dataset: &Arc<Dataset>,
    source: &BatchSource,
    stop: &AtomicBool,
    each: &mut EachAnswer<'_>,
) -> Result<Totals> {
    pass_each(model, executor, source.in_order(dataset)?, stop, each)
}

/// As [`pass`], and calls `each` with the answer to every sample of `batches`, which have classes as labels.
pub(crate) fn pass_each(
    model: &Model,
    executor: &mut dyn Executor,
    batches: BatchStream,
    stop: &AtomicBool,
    each: &mut EachAnswer<'_>,
) -> Result<Totals> {
    let mut asked: VecDeque<(Pending, Vec<u32>, Vec<f32>)> = VecDeque::new();
    let mut deliver = |executor: &mut dyn Executor,
                       (pending, samples, labels): (Pending, Vec<u32>, Vec<f32>)| {
        let outputs: Vec<f64> = executor.finish_read(pending)?.into_iter().map(f64::from).collect();
        let rows = outputs.chunks_exact(model.classes).zip(&labels).zip(&samples);
        for ((scores, &label), &sample) in rows {
            each(&Answer { sample: sample as usize, truth: label as usize, scores })?;
        }
        Ok::<(), Error>(())
    };
    let mut ask = |executor: &mut dyn Executor, batch: Option<&Batch>| -> Result<()> {
        if let Some(batch) = batch {
            let labels = batch.labels[..batch.rows].to_vec();
            asked.push_back((executor.start_read(model.logits)?, batch.samples.clone(), labels));
        }
        while asked.len() > usize::from(batch.is_some()) {
            if let Some(next) = asked.pop_front() {
                deliver(executor, next)?;
            }
        }
        Ok(())
    };
    pass(model, executor, batches, stop, &mut ask)
}

/// Called with the answer to every sample; an error ends the evaluation.
pub type EachAnswer<'a> = dyn FnMut(&Answer<'_>) -> Result<()> + 'a;

/// Called with every batch that has rows after it has been sent, and once more, without one, at the end.
type Each<'a> = dyn FnMut(&mut dyn Executor, Option<&Batch>) -> Result<()> + 'a;

pub(crate) fn pass(
    model: &Model,
    executor: &mut dyn Executor,
    mut batches: BatchStream,
    stop: &AtomicBool,
    each: &mut Each<'_>,
) -> Result<Totals> {
    let mut totals = Totals::default();
    let mut windows = Windows::new(model.metrics, Model::SLOTS);
    let mut number = 0;
    while let Some(batch) = batches.next() {
        let batch = batch?;
        if batch.rows == 0 {
            batches.recycle(batch);
            continue;
        }
        let slot = number % Model::SLOTS;
        let hyper = Hyper { rows: batch.rows as u32, slot: slot as u32, ..Hyper::default() };
        send(model, executor, &batch, &hyper)?;
        executor.run(Span::Forward)?;
        each(executor, Some(&batch))?;
        batches.recycle(batch);
        let entry = Entry { step: number, slot, lr: 0.0, mean: 1.0 };
        number += 1;
        if let Some(arrived) = windows.push(executor, entry, false, Duration::ZERO)? {
            arrived.records.iter().for_each(|(_, record)| totals.add(record));
        }
        if stop.load(Ordering::Relaxed) {
            break;
        }
    }
    each(executor, None)?;
    while let Some(arrived) = windows.drain(executor, Duration::ZERO)? {
        arrived.records.iter().for_each(|(_, record)| totals.add(record));
    }
    Ok(totals)
}

/// Writes a batch and its hyper words.
pub(crate) fn send(model: &Model, executor: &mut dyn Executor, batch: &Batch, hyper: &Hyper) -> Result<()> {
    match (&batch.input, model.pixels, model.views) {
        (BatchInput::Images { bytes, views: table }, Some(pixels), Some(views)) => {
            write_words(executor, pixels, bytes)?;
            write_words(executor, views, table)?;
        }
        _ => executor.write(model.input, batch.input.values())?,
    }
    executor.write(model.labels, &batch.labels)?;
    executor.write(model.hyper, hyper.as_words())
}

/// What the labels of `dataset` are to a program; an error unless they fit `spec`'s loss.
pub fn target(dataset: &Dataset, loss: crate::model::LossKind) -> Result<Target> {
    match (&dataset.labels, loss) {
        (crate::data::Labels::Classes(_), _) => Ok(Target::Class),
        (crate::data::Labels::Values { .. }, crate::model::LossKind::Mse) => Ok(Target::Values),
        (crate::data::Labels::Values { .. }, crate::model::LossKind::CrossEntropy) => {
            Err(Error::Usage(format!(
                "data set {} has values as labels, the loss cross-entropy needs class numbers; use loss = \"mse\"",
                dataset.name
            )))
        }
    }
}
