//! The update list: accumulation and clipping where asked for, then one update per parameter.

use super::graph::Graph;
use super::recipe::Optimizer;
use super::spec::Spec;
use crate::error::Result;
use crate::ops::{GradClip, GradNorm, Op, Pointwise, Update};
use crate::program::{ProgramBuilder, Role, step};

/// Names of the buffers that an optimiser keeps per parameter.
pub(super) struct OptimizerState;

impl OptimizerState {
    pub const NAMES: [&'static str; 2] = ["momentum", "square"];
}

/// Emits `grad_accumulate` steps into the gradients, and the update list.
pub(super) fn emit(graph: &mut Graph<'_>, spec: &Spec, builder: &mut ProgramBuilder) -> Result<()> {
    let options = graph.options;
    let recipe = &spec.recipe;
    let hyper = graph.hyper;
    if options.accumulate {
        for p in &mut graph.parameters {
            let Some(g) = p.gradient else { continue };
            let sum = builder.buffer(format!("sum.{}", p.name), p.shape.clone(), Role::Gradient)?;
            let op = Op::GradAccumulate(Pointwise { len: p.shape.len() });
            builder.gradients.push(step(op, &p.name, &[g, hyper, sum]));
            p.gradient = Some(sum);
        }
    }
    let trained: Vec<_> = graph.parameters.iter().filter_map(|p| p.gradient.map(|g| (p, g))).collect();
    let mut factor = None;
    if options.clip && !trained.is_empty() {
        let count = trained.len();
        let norms = builder.buffer("norms", [count], Role::Output)?;
        for (index, (p, g)) in trained.iter().enumerate() {
            let op = Op::GradNorm(GradNorm { len: p.shape.len(), index, count });
            builder.update.push(step(op, &p.name, &[*g, norms]));
        }
        let id = builder.buffer("clip_factor", [1], Role::Output)?;
        builder.update.push(step(Op::GradClip(GradClip { count }), "clip", &[norms, hyper, id]));
        factor = Some(id);
    }
    let has_momentum = recipe.momentum > 0.0;
    for (p, g) in trained {
        let update = Update {
            len: p.shape.len(),
            lr_mult: p.lr_mult,
            decay_mult: p.decay_mult,
            momentum: has_momentum,
            nesterov: recipe.nesterov,
            clip: factor.is_some(),
        };
        let op = match recipe.optimizer {
            Optimizer::Sgd => Op::Sgd(update),
            Optimizer::Adam => Op::Adam(update),
            Optimizer::AdamW => Op::AdamW(update),
            Optimizer::RmsProp => Op::RmsProp(update),
        };
        // The optimiser's state follows the weight; its names in the formulas are m, v.
        let mut buffers = vec![g, hyper];
        buffers.extend(factor);
        buffers.push(p.buffer);
        for operand in op.operands().iter().skip(buffers.len()) {
            let kind = match (recipe.optimizer, operand.name) {
                (Optimizer::Sgd, _) | (_, "m") => OptimizerState::NAMES[0],
                _ => OptimizerState::NAMES[1],
            };
            let name = format!("{kind}.{}", p.name);
            buffers.push(builder.buffer(name, p.shape.clone(), Role::Optimizer)?);
        }
        builder.update.push(step(op, &p.name, &buffers));
    }
    Ok(())
}
