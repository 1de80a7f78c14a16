//! Measures the gradients of a network that learns nothing: where those of the first layers are far smaller than those of the
//! last, they vanish on the way. A few images run through a small program beside the training program.

use super::dead_relu::within;
use super::task::ExecutorFactory;
use crate::data::Splits;
use crate::error::Result;
use crate::inference::{BatchSource, hyper, restore, send, target};
use crate::model::{BuildOptions, Model, Parameter, Spec};
use crate::ops::Hyper;
use crate::program::Span;
use crate::tensor::Tensor;
use std::sync::Arc;

/// Images that are examined.
const IMAGES: usize = 32;
/// Bytes that the program may take.
const MEMORY: u64 = 512 << 20;
/// The norm of the gradient of a weight, relative to that of the last weight, below which it has vanished. In a network that
/// learns the norms of all weights are within two powers of ten (He et al. 2015, section 2.2, derive an initialisation from
/// keeping them equal).
const VANISHED: f64 = 1e-2;

/// Where gradients vanish in `spec` with the weights `tensors`: `gradients shrink from 0.54 (out) to 2.0e-5 (h1)` and what to
/// do about it; `None` if they do not.
pub(super) fn shrinking(
    spec: &Spec,
    data: &Splits,
    source: &BatchSource,
    tensors: &[(String, Tensor)],
    executors: &ExecutorFactory<'_>,
) -> Result<Option<String>> {
    let images = Arc::new(data.train.spread(IMAGES));
    let build = BuildOptions {
        pixels: source.takes_pixels().then_some(data.train.shape),
        dropout: false,
        fuse: false,
        keep: true,
        target: target(&data.train, spec.recipe.loss)?,
        ..BuildOptions::new(images.len())
    };
    let model = within(spec, build, MEMORY)?;
    let mut executor = executors(Arc::clone(&model.program))?;
    restore(&model, executor.as_mut(), tensors)?;
    let Some(batch) = source.of_size(model.batch).in_order(&images)?.next() else { return Ok(None) };
    let batch = batch?;
    let common = hyper(&spec.recipe, 0, 0, 0.0);
    send(&model, executor.as_mut(), &batch, &Hyper { rows: batch.rows as u32, ..common })?;
    executor.run(Span::Gradients)?;
    let mut norms = Vec::new();
    for (parameter, gradient) in model.parameters.iter().filter_map(weight) {
        let values = executor.read(gradient)?;
        let norm = values.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt();
        norms.push((parameter.name.trim_end_matches(".weight"), norm));
    }
    Ok(advice(&norms, &model))
}

/// The gradient of a weight of a convolution or a linear layer that is trained.
fn weight(parameter: &Parameter) -> Option<(&Parameter, crate::program::BufferId)> {
    let is_weight = parameter.name.ends_with(".weight") && parameter.shape.dims().len() > 1;
    parameter.gradient.filter(|_| is_weight).map(|gradient| (parameter, gradient))
}

/// What the `norms` of the gradients of the weights say, first layer first.
fn advice(norms: &[(&str, f64)], model: &Model) -> Option<String> {
    let (&(last, most), rest) = norms.split_last()?;
    let &(first, least) = rest.iter().min_by(|a, b| a.1.total_cmp(&b.1))?;
    if !most.is_finite() || least >= VANISHED * most {
        return None;
    }
    let count = |op: &str| model.layers.iter().filter(|layer| layer.op == op).count();
    let what = match (count("sigmoid"), count("tanh")) {
        (2.., _) => ": sigmoids one after the other; try relu",
        (_, 2..) => ": tanh layers one after the other; try relu",
        _ => "; try weights that start larger (init \"kaiming\"), or batch_norm2d",
    };
    let number = |value: f64| if value < 1e-2 { format!("{value:.1e}") } else { format!("{value:.2}") };
    Some(format!("gradients shrink from {} ({last}) to {} ({first}){what}", number(most), number(least)))
}
