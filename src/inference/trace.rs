//! One training step with everything it computes, by name: the tool for comparing with another framework.

use super::evaluate::send;
use super::hyper::hyper;
use super::weights::{Named, collect};
use crate::data::Batch;
use crate::error::{Error, Result};
use crate::model::{Model, Spec};
use crate::ops::Hyper;
use crate::program::{BufferId, Executor, Span};
use crate::tensor::{Shape, Tensor};

/// Trains one step on `batch` and returns, in this order: `input`, `labels`, every parameter and running statistic as
/// it was (`parameter.<name>`), `<layer>.y`, `logits`, `losses`, `loss` (their mean; with class weights their sum by that of the weights), `grad.<parameter>`, `grad.input` if the model has it,
/// and `updated.<name>` for parameters and running statistics as they are after the step.
///
/// A model built without `training` is evaluated instead, as its running statistics have it: no gradients, no step.
///
/// The model must have been built with `keep`. Rows that only pad the batch are left out. With fused operators a
/// layer whose output never exists by itself has no `<layer>.y`.
pub fn trace(
    spec: &Spec,
    model: &Model,
    executor: &mut dyn Executor,
    batch: &Batch,
    seed: u64,
) -> Result<Named> {
    let rows = batch.rows;
    let is_training = model.program.steps(Span::Gradients).next().is_some();
    let weight = if is_training { model.loss_weight(&batch.labels, rows) } else { rows as f64 };
    let hyper = Hyper {
        rows: rows as u32,
        loss_scale: (1.0 / weight) as f32,
        ..hyper(&spec.recipe, seed, 0, spec.recipe.lr)
    };
    let before = collect(model, executor)?;
    send(model, executor, batch, &hyper)?;
    executor.run(if is_training { Span::Gradients } else { Span::Forward })?;

    let mut tensors = Named::new();
    let labels = model.program.buffer(model.labels).shape.clone();
    let input = model.program.buffer(model.input).shape.clone();
    tensors.push(("input".into(), first_rows(executor, model.input, &input, rows)?));
    tensors.push(("labels".into(), first_rows(executor, model.labels, &labels, rows)?));
    tensors.extend(before.into_iter().map(|(name, tensor)| (format!("parameter.{name}"), tensor)));
    for layer in &model.layers {
        if let Some(buffer) = layer.buffer {
            let y = first_rows(executor, buffer, &layer.output, rows)?;
            tensors.push((format!("{}.y", layer.name), y));
        }
    }
    let logits = Shape::from([model.batch, model.classes]);
    tensors.push(("logits".into(), first_rows(executor, model.logits, &logits, rows)?));
    let losses = first_rows(executor, model.losses, &Shape::from([model.batch]), rows)?;
    let sum: f64 = losses.data().iter().map(|&loss| f64::from(loss)).sum();
    tensors.push(("losses".into(), losses));
    tensors.push(("loss".into(), Tensor::new([], vec![(sum / weight) as f32])?));
    if !is_training {
        return Ok(tensors);
    }
    for parameter in &model.parameters {
        if let Some(gradient) = parameter.gradient {
            let values = Tensor::new(parameter.shape.clone(), executor.read(gradient)?)?;
            tensors.push((format!("grad.{}", parameter.name), values));
        }
    }
    if let Some(gradient) = model.input_gradient {
        tensors.push(("grad.input".into(), first_rows(executor, gradient, &input, rows)?));
    }
    executor.run(Span::Update)?;
    let after = collect(model, executor)?;
    tensors.extend(after.into_iter().map(|(name, tensor)| (format!("updated.{name}"), tensor)));
    Ok(tensors)
}

/// What layer number `layer` of `model` answers to `batch`, `[rows, ...]`.
///
/// The model must have been built with `keep`, and without fused operators, so that every layer has its own output.
pub fn activations(
    model: &Model,
    executor: &mut dyn Executor,
    batch: &Batch,
    layer: usize,
) -> Result<Tensor> {
    let missing = || Error::Internal(format!("layer {layer} has no separate output"));
    let info = model.layers.get(layer).ok_or_else(missing)?;
    let buffer = info.buffer.ok_or_else(missing)?;
    send(model, executor, batch, &Hyper { rows: batch.rows as u32, ..Hyper::default() })?;
    executor.run(Span::Forward)?;
    first_rows(executor, buffer, &info.output, batch.rows)
}

/// The first `rows` rows of a buffer whose elements are those of `shape`.
fn first_rows(executor: &mut dyn Executor, buffer: BufferId, shape: &Shape, rows: usize) -> Result<Tensor> {
    let mut values = executor.read(buffer)?;
    let mut dims = shape.dims().to_vec();
    let row = shape.len() / dims[0].max(1);
    values.truncate(rows * row);
    dims[0] = rows;
    Tensor::new(dims, values)
}
