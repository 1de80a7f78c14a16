//! The update list: accumulation, clipping and loss scaling where asked for, then one update per parameter, and moving averages.

use super::build::Model;
use super::graph::Graph;
use super::recipe::Optimizer;
use super::spec::Spec;
use crate::error::{Error, Result};
use crate::ops::{Access, Ema, GradClip, GradNorm, GradUnscale, Op, OperandKind, Pointwise, Scaling, Update};
use crate::program::{BufferId, ProgramBuilder, Role, step};
use std::collections::HashSet;

/// Names of the buffers that an optimiser keeps per parameter.
pub(super) struct OptimizerState;

impl OptimizerState {
    pub const NAMES: [&'static str; 2] = ["momentum", "square"];
}

/// Emits `grad_accumulate` steps into the gradients, and the update list; `scaling` is there if the loss is scaled;
/// updates report non-finite values in `metrics`.
pub(super) fn emit(
    graph: &mut Graph<'_>,
    spec: &Spec,
    builder: &mut ProgramBuilder,
    scaling: Option<BufferId>,
    metrics: BufferId,
) -> Result<()> {
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
    if (options.clip || scaling.is_some()) && !trained.is_empty() {
        let count = trained.len();
        let norms = builder.buffer("norms", [count], Role::Output)?;
        for (index, (p, g)) in trained.iter().enumerate() {
            let op = Op::GradNorm(GradNorm { len: p.shape.len(), index, count });
            builder.update.push(step(op, &p.name, &[*g, norms]));
        }
        factor = Some(if let Some(scaling) = scaling {
            let id = builder.buffer("unscale_factor", [GradUnscale::FACTOR], Role::Output)?;
            let d = GradUnscale { count, clip: options.clip, interval: Scaling::INTERVAL };
            builder.update.push(step(Op::GradUnscale(d), "loss_scale", &[norms, hyper, scaling, id]));
            id
        } else {
            let id = builder.buffer("clip_factor", [1], Role::Output)?;
            builder.update.push(step(Op::GradClip(GradClip { count }), "clip", &[norms, hyper, id]));
            id
        });
    }
    let has_momentum = recipe.momentum > 0.0;
    for (number, (p, g)) in (1u32..).zip(trained) {
        let update = Update {
            len: p.shape.len(),
            lr_mult: p.lr_mult,
            decay_mult: p.decay_mult,
            momentum: has_momentum,
            nesterov: recipe.nesterov,
            clip: options.clip,
            scaled: scaling.is_some(),
            number,
            slots: Model::SLOTS,
        };
        let op = match recipe.optimizer {
            Optimizer::Sgd => Op::Sgd(update),
            Optimizer::Adam => Op::Adam(update),
            Optimizer::AdamW => Op::AdamW(update),
            Optimizer::RmsProp => Op::RmsProp(update),
        };
        // The optimiser's state follows the weight.
        let mut buffers = vec![g, hyper];
        buffers.extend(factor);
        buffers.push(p.buffer);
        for operand in op.operands().iter().skip(buffers.len()) {
            let kind = match operand.kind {
                OperandKind::Record => {
                    buffers.push(metrics);
                    continue;
                }
                OperandKind::Momentum => OptimizerState::NAMES[0],
                OperandKind::SecondMoment => OptimizerState::NAMES[1],
                kind => return Err(Error::Internal(format!("{}: no buffer for a {kind:?}", op.name()))),
            };
            let name = format!("{kind}.{}", p.name);
            buffers.push(builder.buffer(name, p.shape.clone(), Role::Optimizer)?);
        }
        builder.update.push(step(op, &p.name, &buffers));
    }
    match options.ema {
        Some(decay) => averages(graph, builder, decay, factor.filter(|_| scaling.is_some())),
        None => Ok(()),
    }
}

/// Emits the moving averages of everything that training changes: trained parameters, and running statistics that some step of
/// the gradients updates. What is frozen is its own average.
fn averages(
    graph: &mut Graph<'_>,
    builder: &mut ProgramBuilder,
    decay: f64,
    factor: Option<BufferId>,
) -> Result<()> {
    let mut changed: HashSet<BufferId> = HashSet::new();
    for step in builder.gradients.iter().chain(&builder.update) {
        let operands = step.op.operands().into_iter().zip(&step.buffers);
        changed.extend(operands.filter(|(o, _)| o.access == Access::Update).map(|(_, &id)| id));
    }
    for p in graph.parameters.iter_mut().chain(&mut graph.state).filter(|p| changed.contains(&p.buffer)) {
        let average = builder.buffer(format!("ema.{}", p.name), p.shape.clone(), Role::Average)?;
        let op = Op::Ema(Ema { len: p.shape.len(), decay, scaled: factor.is_some() });
        let mut buffers = vec![p.buffer];
        buffers.extend(factor);
        buffers.push(average);
        builder.update.push(step(op, &p.name, &buffers));
        p.average = Some(average);
    }
    Ok(())
}
