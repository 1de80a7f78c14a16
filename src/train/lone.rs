//! Batches in which a batch norm has one value per channel. It normalises that value by itself: its output is its bias,
//! whatever its input, and no gradient passes. PyTorch rejects such batches; loaders such as timm's drop the last,
//! incomplete batch of an epoch. Here they are computed, because the number of updates in an epoch is part of every schedule
//! and checkpoint, and the user is warned.

use super::options::Options;
use crate::data::Splits;
use crate::model::Model;
use crate::ops::Op;
use crate::program::Span;

/// A warning about such batches in training, if there are any.
pub(super) fn lone_values(model: &Model, data: &Splits, options: &Options) -> Option<String> {
    let (batch, samples) = (model.batch, data.train.len());
    // Frozen batch norms use their running statistics and have no such step.
    let mut norms = model.program.steps(Span::Gradients).filter(|step| match &step.op {
        Op::BatchNorm2dStats(norm) => norm.inner == 1,
        _ => false,
    });
    let first = norms.next()?.label.clone();
    let others = match norms.count() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let which = if batch == 1 || (options.overfit_batch && samples == 1) {
        "every batch has 1 sample".to_string()
    } else if samples % batch == 1 && !options.overfit_batch {
        format!("the last batch of an epoch has 1 sample ({samples} samples in batches of {batch})")
    } else {
        return None;
    };
    Some(format!(
        "{which}, so the batch norm {first}{others} has one value per channel there and outputs its bias, whatever its input (PyTorch rejects this); another batch size avoids it"
    ))
}
