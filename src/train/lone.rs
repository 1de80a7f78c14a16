//! Batches in which a batch norm has one value per channel. It then normalises that value by itself: its output is its bias, whatever it was given, and
//! no gradient passes. PyTorch refuses to compute it; loaders such as timm's leave the last, incomplete batch of an epoch out. Here it is computed, as the
//! number of updates in an epoch is part of every schedule and checkpoint, and the user is told.

use super::options::Options;
use crate::data::Splits;
use crate::model::Model;
use crate::ops::Op;
use crate::program::Span;

/// What to tell about such batches of training, if there are any.
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
        "{which}, so the batch norm {first}{others} has one value per channel there and gives its bias, whatever it reads (PyTorch refuses this); another batch size avoids it"
    ))
}
