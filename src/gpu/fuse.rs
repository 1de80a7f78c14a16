//! Which steps of a program run together: a peephole optimisation over its lists. Two or three steps become one kernel
//! where `kernels::fused` has one and no other step reads the tensor between them.

use super::kernels::{Kernels, Limits, fused, kernels};
use crate::error::{Error, Result};
use crate::ops::{Access, Op, Operand};
use crate::program::{BufferId, Program, Span, Step, Workload};
use std::collections::HashMap;

/// The most steps that one kernel computes.
const MOST: usize = 3;

/// One step of a program, or several that run in one dispatch.
pub(super) struct FusedStep<'a> {
    pub steps: &'a [Step],
    /// The buffers of all steps in order; [`super::kernels::Source::Operand`] numbers them.
    pub buffers: Vec<BufferId>,
    pub kernels: Kernels,
}

impl<'a> FusedStep<'a> {
    fn new(steps: &'a [Step], kernels: Kernels) -> Self {
        let buffers = steps.iter().flat_map(|step| step.buffers.clone()).collect();
        FusedStep { steps, buffers, kernels }
    }

    /// What it computes, and the least work that this takes.
    pub fn workload(&self, program: &Program) -> Workload {
        let operators: Vec<&str> = self.steps.iter().map(|step| step.op.name()).collect();
        let label = self.steps.last().map_or(String::new(), |step| step.label.clone());
        Workload { kind: operators.join("+"), label, flops: self.flops(), bytes: self.bytes(program) }
    }

    /// Floating-point operations.
    pub fn flops(&self) -> u64 {
        self.steps.iter().map(|step| step.op.flops()).sum()
    }

    /// All operands with their buffers, in order.
    pub fn operands(&self) -> Vec<(Operand, BufferId)> {
        let operands = self.steps.iter().flat_map(|step| step.op.operands());
        operands.zip(self.buffers.iter().copied()).collect()
    }

    /// The buffers that the kernels touch: without those that only lie between the steps.
    pub fn touched(&self) -> Vec<BufferId> {
        let sources = self.kernels.dispatches.iter().flat_map(|d| &d.bindings).map(|b| b.source);
        let bound: Vec<BufferId> = sources
            .filter_map(|source| match source {
                super::kernels::Source::Operand(i) => self.buffers.get(i).copied(),
                super::kernels::Source::Scratch(_) => None,
            })
            .collect();
        self.buffers.iter().copied().filter(|id| bound.contains(id)).collect()
    }

    /// Bytes that have to cross the memory bus at least: every buffer that is touched once, updated ones twice.
    pub fn bytes(&self, program: &Program) -> u64 {
        let mut times: HashMap<BufferId, u64> = HashMap::new();
        let touched = self.touched();
        for (operand, id) in self.operands() {
            if touched.contains(&id) {
                let most = times.entry(id).or_default();
                *most = (*most).max(if operand.access == Access::Update { 2 } else { 1 });
            }
        }
        times.iter().map(|(&id, times)| times * program.buffer(id).shape.bytes()).sum()
    }
}

/// The fused steps of one list of `program` (not of `Span::Train`, which is two), in order.
///
/// # Errors
/// As `kernels`, with operator and layer in front.
pub(super) fn fused_steps<'a>(
    program: &'a Program,
    span: Span,
    limits: &Limits,
    limits_of: &dyn Fn(&Op) -> Limits,
) -> Result<Vec<FusedStep<'a>>> {
    let steps = program.list(span);
    let uses = uses(program);
    let mut fused_steps = Vec::new();
    let mut at_step = 0;
    while let Some(step) = steps.get(at_step) {
        let step = match together(program, &steps[at_step..], &uses, limits) {
            Some(fused) => fused,
            None => {
                let kernels = kernels(&step.op, &limits_of(&step.op)).map_err(|e| at(step, e))?;
                FusedStep::new(&steps[at_step..=at_step], kernels)
            }
        };
        at_step += step.steps.len();
        fused_steps.push(step);
    }
    Ok(fused_steps)
}

/// How often the steps of all lists touch each buffer.
fn uses(program: &Program) -> Vec<usize> {
    let mut uses = vec![0; program.buffers().len()];
    for span in [Span::Forward, Span::Gradients, Span::Update] {
        program.steps(span).flat_map(|step| &step.buffers).for_each(|id| uses[id.index()] += 1);
    }
    uses
}

/// The longest beginning of `steps` that runs as one; `None` if only the first step by itself does.
fn together<'a>(
    program: &Program,
    steps: &'a [Step],
    uses: &[usize],
    limits: &Limits,
) -> Option<FusedStep<'a>> {
    if !limits.fuse {
        return None;
    }
    (2..=MOST.min(steps.len())).rev().find_map(|count| {
        let steps = &steps[..count];
        if !steps.windows(2).all(|pair| follows(program, &pair[0], &pair[1], uses)) {
            return None;
        }
        let ops: Vec<&Op> = steps.iter().map(|step| &step.op).collect();
        // Tensors that cannot be bound together may still be bound one by one.
        let kernels = fused(&ops, limits).ok().flatten()?;
        Some(FusedStep::new(steps, kernels))
    })
}

/// Whether `second` reads the output of `first`, and no other step does if that output is not stored.
fn follows(program: &Program, first: &Step, second: &Step, uses: &[usize]) -> bool {
    let Some(&between) = first.buffers.last() else { return false };
    match (&first.op, &second.op) {
        // Operands index, dy, dx and y, dy, dx.
        (Op::MaxPool2dBackward(_), Op::ReluBackward(_)) => {
            let unread = uses[between.index()] == 2 && !program.plan().is_kept(between);
            second.buffers.get(1) == Some(&between) && unread
        }
        (Op::ReluBackward(_), Op::BiasGrad(_)) => second.buffers.first() == Some(&between),
        _ => false,
    }
}

/// Prefixes a message with the step.
pub(super) fn at(step: &Step, error: Error) -> Error {
    let name = step.op.name();
    let placed = |text: String| {
        let text = text.strip_prefix(name).map_or(text.as_str(), |rest| rest.trim_start_matches(": "));
        format!("{name} of {}: {text}", step.label)
    };
    match error {
        Error::Memory(text) => Error::Memory(placed(text)),
        Error::Device(text) => Error::Device(placed(text)),
        Error::Internal(text) => Error::Internal(placed(text)),
        other => other,
    }
}
