//! The backward steps: the forward records of training in reverse. A value with several readers gets a gradient from
//! each; they are added in the order of this pass.

use super::graph::{Graph, Record};
use crate::error::{Error, Result};
use crate::ops::{Op, Pointwise};
use crate::program::{BufferId, ProgramBuilder, Role, step};
use crate::tensor::Shape;

/// Emits the gradients of everything trainable, given that of the last layer. Returns that of the input if asked for.
///
/// # Errors
/// `Error::Internal` if a gradient gets lost on its way: a layer that forgets to differentiate would otherwise go
/// untrained without notice.
pub(super) fn backward(
    graph: &mut Graph<'_>,
    builder: &mut ProgramBuilder,
    gradient: BufferId,
) -> Result<Option<BufferId>> {
    if let Some(value) = graph.records.last().map(|r| r.output) {
        graph.values[value].contributions.push(gradient);
    }
    for record in graph.records.clone().into_iter().rev() {
        let output = record.output;
        match total(graph, builder, output)? {
            Some(dy) => {
                let info = &mut graph.infos[record.layer];
                // A layer may make values on the way to its output.
                if info.buffer == Some(graph.values[output].buffer) {
                    info.gradient = Some(dy);
                }
                differentiate(graph, builder, record, dy)?;
            }
            None if graph.values[output].needs_gradient => {
                let name = &graph.values[output].name;
                return Err(Error::Internal(format!("layer {name}: no gradient reaches its output")));
            }
            None => {}
        }
    }
    let forgotten = |p: &&super::Parameter| p.gradient.is_none() && !graph.options.is_frozen(&p.name);
    if let Some(parameter) = graph.parameters.iter().find(forgotten) {
        return Err(Error::Internal(format!("{}: no layer computes its gradient", parameter.name)));
    }
    if graph.options.input_gradient { total(graph, builder, 0) } else { Ok(None) }
}

/// The sum of a value's contributions, if it has any; computed once.
fn total(graph: &mut Graph<'_>, builder: &mut ProgramBuilder, value: usize) -> Result<Option<BufferId>> {
    let contributions = std::mem::take(&mut graph.values[value].contributions);
    let Some((&first, rest)) = contributions.split_first() else { return Ok(None) };
    let mut sum = first;
    for (i, &next) in rest.iter().enumerate() {
        let name = &graph.values[value].name;
        let shape = builder.shape(graph.values[value].buffer).clone();
        let len = shape.len();
        let label = name.clone();
        let y = builder.buffer(format!("grad.{name}.sum{i}"), shape, Role::Transient)?;
        builder.gradients.push(step(Op::Add(Pointwise { len }), &label, &[sum, next, y]));
        sum = y;
    }
    graph.values[value].contributions.push(sum);
    Ok(Some(sum))
}

/// Emits the backward steps of `record`; `dy` is the gradient of its output.
fn differentiate(
    graph: &mut Graph<'_>,
    builder: &mut ProgramBuilder,
    record: Record,
    dy: BufferId,
) -> Result<()> {
    let layer = &graph.spec.layers[record.layer];
    let mut walk = Walk { graph, builder, record, dy };
    if walk.record.relu {
        let y = walk.y();
        let shape = walk.builder.shape(y).clone();
        let op = Op::ReluBackward(Pointwise { len: shape.len() });
        let dx = walk.own_buffer("y", shape)?;
        walk.step(op, &[y, dy, dx]);
        walk.dy = dx;
    }
    layer.op.kind().differentiate(&mut walk)
}

/// What a layer emits the backward steps of one record with.
pub(super) struct Walk<'g, 's> {
    graph: &'g mut Graph<'s>,
    builder: &'g mut ProgramBuilder,
    record: Record,
    /// The gradient of the output, before a fused ReLU.
    pub dy: BufferId,
}

impl Walk<'_, '_> {
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Extents of the layer's first input and of its output.
    pub fn extents(&self) -> &super::graph::Extents {
        &self.record.extents
    }

    /// Whether a ReLU is part of the layer's operator.
    pub fn relu(&self) -> bool {
        self.record.relu
    }

    /// The operator that made the output.
    pub fn op(&self) -> &Op {
        &self.last().op
    }

    /// Operand number `i` of the operator that made the output.
    pub fn operand(&self, i: usize) -> BufferId {
        self.last().buffers[i]
    }

    fn last(&self) -> &crate::program::Step {
        &self.record.steps[self.record.steps.len() - 1]
    }

    /// The buffer of the only input.
    pub fn x(&self) -> BufferId {
        self.operand(0)
    }

    /// The buffer of the output.
    pub fn y(&self) -> BufferId {
        self.graph.values[self.record.output].buffer
    }

    /// The buffer of the `Hyper` words.
    pub fn hyper(&self) -> BufferId {
        self.graph.hyper
    }

    fn label(&self) -> &str {
        &self.graph.spec.layers[self.record.layer].name
    }

    /// Emits a step.
    pub fn step(&mut self, op: Op, buffers: &[BufferId]) {
        let step = step(op, self.label(), buffers);
        self.builder.gradients.push(step);
    }

    /// The new buffer `grad.<layer>.<kind>`.
    pub fn own_buffer(&mut self, kind: &str, shape: impl Into<Shape>) -> Result<BufferId> {
        self.builder.buffer(format!("grad.{}.{kind}", self.label()), shape, Role::Transient)
    }

    /// The gradient buffer of the layer's parameter number `i`; `None` if it is frozen or does not exist.
    pub fn parameter(&mut self, i: usize) -> Result<Option<BufferId>> {
        let Some(&position) = self.graph.owned[self.record.layer].parameters.get(i) else { return Ok(None) };
        let p = &mut self.graph.parameters[position];
        if self.graph.options.is_frozen(&p.name) {
            return Ok(None);
        }
        let id = self.builder.buffer(format!("grad.{}", p.name), p.shape.clone(), Role::Gradient)?;
        p.gradient = Some(id);
        Ok(Some(id))
    }

    /// The same, or the buffer `grad.<layer>.<kind>` of `len` elements if there is none.
    pub fn parameter_or_buffer(&mut self, i: usize, kind: &str, len: usize) -> Result<BufferId> {
        match self.parameter(i)? {
            Some(id) => Ok(id),
            None => self.own_buffer(kind, [len]),
        }
    }

    /// Emits `op`, whose operands are `operands` and the gradient of the only input, if that is needed.
    pub fn input_gradient(&mut self, op: Op, operands: &[BufferId]) -> Result<()> {
        self.gradient_of(0, "x", op, operands)
    }

    /// Emits `op`, whose operands are `operands` and the gradient of input number `input`, if that is needed. The
    /// gradient is called `grad.<layer>.<kind>`: after the reader, since a value may have several.
    pub fn gradient_of(&mut self, input: usize, kind: &str, op: Op, operands: &[BufferId]) -> Result<()> {
        let value = self.record.inputs[input];
        if !self.graph.values[value].needs_gradient {
            return Ok(());
        }
        let shape = self.builder.shape(self.graph.values[value].buffer).clone();
        let dx = self.own_buffer(kind, shape)?;
        self.graph.values[value].contributions.push(dx);
        self.step(op, &[operands, &[dx]].concat());
        Ok(())
    }

    /// Makes the gradient of the output that of every input too.
    pub fn pass_to_inputs(&mut self) {
        for &input in &self.record.inputs {
            let value = &mut self.graph.values[input];
            if value.needs_gradient {
                value.contributions.push(self.dy);
            }
        }
    }
}
