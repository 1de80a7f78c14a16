//! The backward list: the forward records of training walked in reverse. A value that several layers read gets a
//! gradient from each; they are added in the order of the walk.

use super::graph::{Graph, Record};
use crate::error::Result;
use crate::ops::{BiasGrad, Op, Pointwise};
use crate::program::{BufferId, ProgramBuilder, Role, step};

/// Emits the gradients of everything trainable, given that of the last layer. Returns that of the input if asked for.
pub(super) fn backward(
    graph: &mut Graph<'_>,
    builder: &mut ProgramBuilder,
    gradient: BufferId,
) -> Result<Option<BufferId>> {
    if let Some(value) = graph.records.last().map(|r| r.output) {
        graph.values[value].contributions.push(gradient);
    }
    for record in graph.records.clone().iter().rev() {
        if let Some(dy) = total(graph, builder, record.output)? {
            differentiate(graph, builder, record, dy)?;
        }
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

/// A new buffer for the gradient that `record` contributes to its input number `i`; `None` if nobody needs it.
fn contribution(
    graph: &mut Graph<'_>,
    builder: &mut ProgramBuilder,
    record: &Record,
    i: usize,
) -> Result<Option<BufferId>> {
    let value = &mut graph.values[record.inputs[i]];
    if !value.needs_gradient {
        return Ok(None);
    }
    // The reader's name is part of it, since a value may have several readers.
    let name = match record.op {
        Op::ConcatForward(slice) => format!("grad.{}.x{}", record.label, slice.offset),
        _ => format!("grad.{}.x", record.label),
    };
    let id = builder.buffer(name, builder.shape(value.buffer).clone(), Role::Transient)?;
    value.contributions.push(id);
    Ok(Some(id))
}

/// The gradient buffer of a parameter of `record`; `None` if it is frozen or not there.
fn parameter(
    graph: &mut Graph<'_>,
    builder: &mut ProgramBuilder,
    record: &Record,
    i: usize,
) -> Result<Option<BufferId>> {
    let Some(&position) = record.parameters.get(i) else { return Ok(None) };
    let p = &graph.parameters[position];
    if graph.options.is_frozen(&p.name) {
        return Ok(None);
    }
    let id = builder.buffer(format!("grad.{}", p.name), p.shape.clone(), Role::Gradient)?;
    graph.parameters[position].gradient = Some(id);
    Ok(Some(id))
}

fn differentiate(
    graph: &mut Graph<'_>,
    builder: &mut ProgramBuilder,
    record: &Record,
    mut dy: BufferId,
) -> Result<()> {
    let label = record.label.as_str();
    let (x, y) = (record.buffers[0], graph.values[record.output].buffer);
    let len = builder.shape(y).len();
    let fused_relu = match &record.op {
        Op::Conv2dForward(c) => c.relu,
        Op::LinearForward(l) => l.relu,
        Op::BatchNorm2dForward(b) => b.relu,
        _ => false,
    };
    if fused_relu {
        let shape = builder.shape(y).clone();
        let dx = builder.buffer(format!("grad.{label}.y"), shape, Role::Transient)?;
        builder.gradients.push(step(Op::ReluBackward(Pointwise { len }), label, &[y, dy, dx]));
        dy = dx;
    }
    // The steps of an operator with one input and no parameters: (op, operands before dx).
    let simple: Option<(Op, Vec<BufferId>)> = match &record.op {
        Op::Conv2dForward(c) => {
            let (c, w) = (*c, record.buffers[1]);
            if let Some(db) = parameter(graph, builder, record, 1)? {
                let d = BiasGrad { batch: c.batch, channels: c.c_out, inner: c.h_out() * c.w_out() };
                builder.gradients.push(step(Op::BiasGrad(d), label, &[dy, db]));
            }
            if let Some(dw) = parameter(graph, builder, record, 0)? {
                builder.gradients.push(step(Op::Conv2dGradWeight(c), label, &[x, dy, dw]));
            }
            Some((Op::Conv2dGradInput(c), vec![dy, w]))
        }
        Op::LinearForward(l) => {
            let (l, w) = (*l, record.buffers[1]);
            if let Some(db) = parameter(graph, builder, record, 1)? {
                let d = BiasGrad { batch: l.batch, channels: l.outputs, inner: 1 };
                builder.gradients.push(step(Op::BiasGrad(d), label, &[dy, db]));
            }
            if let Some(dw) = parameter(graph, builder, record, 0)? {
                builder.gradients.push(step(Op::LinearGradWeight(l), label, &[x, dy, dw]));
            }
            Some((Op::LinearGradInput(l), vec![dy, w]))
        }
        Op::BatchNorm2dForward(b) => {
            let b = *b;
            // Both are computed together, and the gradient of the input needs them, frozen or not.
            let mut side = |i: usize, kind: &str| match parameter(graph, builder, record, i)? {
                Some(id) => Ok(id),
                None => builder.buffer(format!("grad.{label}.frozen_{kind}"), [b.channels], Role::Transient),
            };
            let (dw, db) = (side(0, "weight")?, side(1, "bias")?);
            let coefficients =
                builder.buffer(format!("grad.{label}.coefficients"), [4, b.channels], Role::Transient)?;
            let (w, mean, var) = (record.buffers[1], record.buffers[3], record.buffers[4]);
            let buffers = [x, w, mean, var, dy, graph.hyper, dw, db, coefficients];
            builder.gradients.push(step(Op::BatchNorm2dGradParameters(b), label, &buffers));
            Some((Op::BatchNorm2dGradInput(b), vec![x, coefficients, dy, graph.hyper]))
        }
        Op::ReluForward(d) => Some((Op::ReluBackward(*d), vec![y, dy])),
        Op::SigmoidForward(d) => Some((Op::SigmoidBackward(*d), vec![y, dy])),
        Op::TanhForward(d) => Some((Op::TanhBackward(*d), vec![y, dy])),
        Op::SoftmaxForward(d) => Some((Op::SoftmaxBackward(*d), vec![y, dy])),
        Op::MaxPool2dForward(d) => Some((Op::MaxPool2dBackward(*d), vec![record.buffers[2], dy])),
        Op::AvgPool2dForward(d) => Some((Op::AvgPool2dBackward(*d), vec![dy])),
        Op::AdaptiveAvgPool2dForward(d) => Some((Op::AdaptiveAvgPool2dBackward(*d), vec![dy])),
        Op::LocalResponseNormForward(d) => {
            Some((Op::LocalResponseNormBackward(*d), vec![x, record.buffers[2], dy]))
        }
        Op::LocalResponseNormWithinForward(d) => {
            Some((Op::LocalResponseNormWithinBackward(*d), vec![x, record.buffers[2], dy]))
        }
        Op::Dropout(d) => Some((Op::Dropout(*d), vec![dy, graph.hyper])),
        Op::ConcatForward(d) => Some((Op::ConcatBackward(*d), vec![dy])),
        Op::Add(_) => {
            // The gradient of a sum is the sum's gradient: no step, both inputs share the buffer.
            for &input in &record.inputs {
                if graph.values[input].needs_gradient {
                    graph.values[input].contributions.push(dy);
                }
            }
            None
        }
        // Nothing else is ever a forward record.
        _ => None,
    };
    if let Some((op, mut buffers)) = simple
        && let Some(dx) = contribution(graph, builder, record, 0)?
    {
        buffers.push(dx);
        builder.gradients.push(step(op, label, &buffers));
    }
    Ok(())
}
