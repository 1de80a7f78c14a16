//! Translates the nodes of a graph to layers and collects the unsupported ones.

use super::super::operators::{LAYERS, Reader};
use super::super::schema::{AttributeType, NodeProto, TensorProto, data_type};
use super::attributes::{Attributes, short};
use super::constants::Handle;
use super::draft::{Call, GraphValue, NetworkDraft, list};
use super::{
    averages, channels, expressions, fold, layouts, linear, normalisation, padding, pixels, shape_tensor,
    shapes, vectors,
};
use crate::model::{LayerOp, layers};
use std::borrow::Cow;

/// Most operators and nodes that a message names; the rest are counted.
const NAMED: usize = 20;

/// The unsupported operators and nodes found so far.
#[derive(Default)]
struct Problems<'a> {
    /// Unknown operators, each with its first node and its number of nodes.
    operators: Vec<(&'a NodeProto, usize)>,
    /// Nodes of known operators that are not supported, with the reason.
    nodes: Vec<String>,
    /// Number of further nodes of either kind.
    more: usize,
    /// Number of nodes that were not checked because they depend on one of the others.
    unchecked: usize,
}

impl<'a> Problems<'a> {
    fn unknown(&mut self, node: &'a NodeProto) {
        let same = |first: &NodeProto| (&first.domain, &first.op_type) == (&node.domain, &node.op_type);
        match self.operators.iter().position(|(first, _)| same(first)) {
            Some(index) => self.operators[index].1 += 1,
            None if self.operators.len() < NAMED => self.operators.push((node, 1)),
            None => self.more += 1,
        }
    }

    fn wrong(&mut self, node: &NodeProto, what: &str) {
        if self.nodes.len() < NAMED {
            self.nodes.push(format!("{}: {what}", describe(node)));
        } else {
            self.more += 1;
        }
    }

    fn finish(self) -> Result<(), String> {
        let operators = self.operators.iter().map(|(first, count)| match count {
            1 => describe(first),
            _ => format!("{} ({count} nodes, the first is {})", operator(first), name(first)),
        });
        let operators: Vec<String> = operators.collect();
        let mut parts = match operators.as_slice() {
            [] => vec![],
            [one] => vec![format!("unknown operator {one}")],
            several => vec![format!("unknown operators {}", several.join(", "))],
        };
        parts.extend(match self.nodes.as_slice() {
            [] => None,
            [one] => Some(format!("not supported: {one}")),
            several => Some(format!("{} nodes are not supported: {}", several.len(), several.join("; "))),
        });
        if self.more > 0 {
            parts.push(format!("and {} more nodes", self.more));
        }
        if parts.is_empty() {
            return Ok(());
        }
        if self.unchecked > 0 {
            parts.push(format!("nodes that depend on these and were not checked: {}", self.unchecked));
        }
        Err(parts.join("; "))
    }
}

/// Translates all nodes. The error names every unknown operator and every unsupported node.
pub(super) fn translate<'a>(draft: &mut NetworkDraft<'a>) -> Result<(), String> {
    let mut problems = Problems::default();
    for node in draft.graph.nodes.iter().copied() {
        let call = Call { node, attributes: Attributes::new(node) };
        if !is_known(node) {
            problems.unknown(node);
            mark_unknown(draft, node);
            continue;
        }
        if node.input.iter().any(|name| matches!(draft.values.get(name.as_str()), Some(GraphValue::Unknown)))
        {
            // Whether this node is supported cannot be decided while its input is unknown.
            problems.unchecked += 1;
            mark_unknown(draft, node);
            continue;
        }
        if let Err(what) = translate_node(draft, &call).and_then(|()| call.attributes.finish()) {
            problems.wrong(node, &what);
            mark_unknown(draft, node);
        }
    }
    problems.finish()
}

/// Marks the outputs of `node` as unknown.
fn mark_unknown<'a>(draft: &mut NetworkDraft<'a>, node: &'a NodeProto) {
    for output in node.output.iter().filter(|output| !output.is_empty()) {
        draft.values.insert(output, GraphValue::Unknown);
    }
}

/// The operator, with its domain unless it is the standard one.
fn operator(node: &NodeProto) -> String {
    let domain = if is_standard(node) { String::new() } else { format!("{}.", short(&node.domain)) };
    format!("{domain}{}", short(&node.op_type))
}

/// The name of a node, or of its first output if it has none.
fn name(node: &NodeProto) -> String {
    let name = if node.name.is_empty() { node.output.first().map_or("", String::as_str) } else { &node.name };
    format!("\"{}\"", short(name))
}

fn describe(node: &NodeProto) -> String {
    format!("{} (node {})", operator(node), name(node))
}

fn is_standard(node: &NodeProto) -> bool {
    node.domain.is_empty() || node.domain == "ai.onnx"
}

/// Operators on constants, pixels and shape tensors, or parts of multi-node patterns. Operators that become a layer by
/// themselves are in [`LAYERS`].
const PARTS: [&str; 23] = [
    "Add",
    "Cast",
    "CastLike",
    "Constant",
    "ConstantOfShape",
    "Div",
    "Equal",
    "Expand",
    "Gather",
    "Identity",
    "If",
    "MatMul",
    "Mul",
    "Pad",
    "Pow",
    "ReduceMean",
    "Reshape",
    "Shape",
    "Squeeze",
    "Sub",
    "Sum",
    "Transpose",
    "Unsqueeze",
];

/// Finds the function that translates an operator to a layer.
fn layer(node: &NodeProto) -> Option<Reader> {
    LAYERS.iter().find(|(name, _)| *name == node.op_type).map(|(_, read)| *read)
}

fn is_known(node: &NodeProto) -> bool {
    let op = node.op_type.as_str();
    is_standard(node) && (PARTS.contains(&op) || expressions::is_known(op) || layer(node).is_some())
}

/// Translates a node of a branch. The error names the node.
pub(super) fn translate_branch_node<'a>(
    draft: &mut NetworkDraft<'a>,
    node: &'a NodeProto,
) -> Result<(), String> {
    let call = Call { node, attributes: Attributes::new(node) };
    if !is_known(node) {
        return Err(format!("unknown operator {}", describe(node)));
    }
    let result = translate_node(draft, &call).and_then(|()| call.attributes.finish());
    result.map_err(|what| format!("{}: {what}", describe(node)))
}

pub(super) fn translate_node<'a>(draft: &mut NetworkDraft<'a>, call: &Call<'a>) -> Result<(), String> {
    let node = call.node;
    let further = node.output.iter().skip(1).filter(|_| node.op_type != "Split");
    if let Some(further) = further.into_iter().find(|output| draft.graph.readers(output) > 0) {
        return Err(format!("its further output {} is read", short(further)));
    }
    if layouts::reads_view(draft, call) {
        return layouts::translate(draft, call);
    }
    if expressions::is_step(draft, call)? {
        if pixels::is_arithmetic(draft, call) {
            return pixels::arithmetic(draft, call);
        }
        return expressions::step(draft, call);
    }
    if node.op_type != "Shape" {
        expressions::settle(draft, &node.input)?;
    }
    let first = draft.value(node, 0)?.cloned();
    if normalisation::is_lrn_step(draft, call) {
        return normalisation::step(draft, call);
    }
    if node.op_type == "ConstantOfShape" && fold::fills_with_floats(draft, call)? {
        return fold::constant_of_shape(draft, call);
    }
    if shape_tensor::is_shape_arithmetic(draft, call) {
        return shape_tensor::compute(draft, call);
    }
    if fold::is_constant(draft, call) {
        return fold::compute(draft, call);
    }
    match (node.op_type.as_str(), first) {
        ("Cast" | "Transpose" | "Mul", Some(GraphValue::Pixels(pixels))) => pixels::step(draft, call, pixels),
        ("Add" | "Sub" | "Mul" | "Div", _) if pixels::is_arithmetic(draft, call) => {
            pixels::arithmetic(draft, call)
        }
        ("If", _) => shape_tensor::branch(draft, call),
        ("Cast" | "CastLike", Some(GraphValue::Constant(handle))) => cast(draft, call, handle),
        ("Expand", Some(GraphValue::Constant(handle))) => fold::expand(draft, call, handle),
        ("Transpose", Some(GraphValue::Constant(handle))) => fold::transpose(draft, call, handle),
        ("Reshape" | "Squeeze" | "Unsqueeze" | "Flatten", Some(GraphValue::Constant(handle))) => {
            shapes::reshape_constant(draft, call, handle)
        }
        ("Identity", Some(GraphValue::Constant(mut handle))) => {
            // Exporters store equal tensors once and give the copies names with Identity.
            handle.name = node.output.first().map_or(handle.name, String::as_str);
            draft.alias(node, GraphValue::Constant(handle));
            Ok(())
        }
        ("Identity", Some(value)) => {
            draft.alias(node, value);
            Ok(())
        }
        ("Constant", _) => constant(draft, call),
        ("MatMul", Some(GraphValue::Constant(rows))) => averages::average_rows(draft, call, rows),
        ("MatMul", Some(GraphValue::AveragedRows { from, dims, rows })) => {
            averages::average_columns(draft, call, from, dims, rows)
        }
        ("MatMul", _) => linear::mat_mul(draft, call),
        ("Add" | "Sum" | "Sub" | "Mul" | "Div", _) if linear::is_per_channel(draft, call) => {
            linear::per_channel(draft, call)
        }
        ("Add" | "Sum", _) => linear::add(draft, call),
        ("Cast", Some(value @ GraphValue::Layer { .. })) if is_float_cast(call)? => {
            draft.alias(node, value);
            Ok(())
        }
        ("Unsqueeze", Some(GraphValue::Layer { from, dims })) => vectors::unsqueeze(draft, call, from, &dims),
        ("ReduceMean", _) => averages::reduce_mean(draft, call),
        ("Pad", _) => padding::pad(draft, call),
        ("Mul", _) if averages::applies_scales(draft, call) => averages::scale(draft, call),
        ("Reshape", Some(GraphValue::GroupedChannels(grouped))) => channels::ungroup(draft, call, &grouped),
        ("Transpose", Some(GraphValue::GroupedChannels(grouped))) => {
            channels::transpose(draft, call, grouped)
        }
        ("Reshape", _) => shapes::reshape(draft, call),
        ("Squeeze", _) => shapes::squeeze(draft, call),
        ("Shape", _) => shape_tensor::shape(draft, call),
        ("Transpose", _) => layouts::transpose(draft, call),
        (name, _) => match layer(node) {
            Some(read) => read(draft, call),
            None => Err(format!("{name} of computed values is not supported")),
        },
    }
}

/// True if a Cast is to a floating-point type; everything is computed in f32 here.
fn is_float_cast(call: &Call<'_>) -> Result<bool, String> {
    let floats = [data_type::FLOAT, data_type::FLOAT16, data_type::BFLOAT16, data_type::DOUBLE];
    call.attributes.int("saturate", 1)?;
    let to = call.attributes.int("to", 0)?;
    Ok(floats.iter().any(|&kind| i64::from(kind) == to))
}

fn constant<'a>(draft: &mut NetworkDraft<'a>, call: &Call<'a>) -> Result<(), String> {
    let a = &call.attributes;
    let proto = match a.tensor("value") {
        Ok(Some(tensor)) => Cow::Borrowed(tensor),
        _ => {
            let only = a.only()?;
            let numbers = match (only.name.as_str(), AttributeType::try_from(only.r#type)) {
                ("value_int", _) => {
                    TensorProto { int64_data: vec![a.int("value_int", 0)?], ..TensorProto::default() }
                }
                ("value_float", _) => {
                    TensorProto { float_data: vec![a.float("value_float", 0.0)?], ..TensorProto::default() }
                }
                ("value_ints", _) => TensorProto {
                    int64_data: a.ints("value_ints")?.unwrap_or_default().to_vec(),
                    dims: vec![only.ints.len() as i64],
                    ..TensorProto::default()
                },
                ("value_floats", Ok(AttributeType::Floats)) => {
                    a.mark_read("value_floats");
                    TensorProto {
                        float_data: only.floats.clone(),
                        dims: vec![only.floats.len() as i64],
                        ..TensorProto::default()
                    }
                }
                _ => return Err("expected a tensor or numbers".into()),
            };
            let whole = only.name.starts_with("value_int");
            Cow::Owned(TensorProto {
                data_type: if whole { data_type::INT64 } else { data_type::FLOAT },
                ..numbers
            })
        }
    };
    let Some(output) = call.node.output.first() else { return Ok(()) };
    let handle = draft.constants.add(output, proto);
    draft.alias(call.node, GraphValue::Constant(handle));
    Ok(())
}

/// True if the input at `position` is a layer's output or a floating-point constant.
fn is_float<'a>(draft: &NetworkDraft<'a>, call: &Call<'a>, position: usize) -> Result<bool, String> {
    Ok(match draft.value(call.node, position)? {
        Some(GraphValue::Constant(handle)) => !draft.constants.is_integer(*handle),
        _ => draft.layer(call.node, position).is_ok(),
    })
}

/// Translates the cast of a constant to f32; constants of every floating-point type are already read as f32.
fn cast<'a>(draft: &mut NetworkDraft<'a>, call: &Call<'a>, mut handle: Handle<'a>) -> Result<(), String> {
    let a = &call.attributes;
    let to = a.int("to", i64::from(data_type::FLOAT))?;
    a.int("saturate", 1)?;
    if to != i64::from(data_type::FLOAT) || (call.node.op_type == "CastLike" && !is_float(draft, call, 1)?) {
        return Err("expected a cast to f32".into());
    }
    handle.name = call.node.output.first().map_or(handle.name, String::as_str);
    draft.alias(call.node, GraphValue::Constant(handle));
    Ok(())
}

pub fn dropout<'a>(draft: &mut NetworkDraft<'a>, call: &Call<'a>) -> Result<(), String> {
    let (node, a) = (call.node, &call.attributes);
    let (from, dims) = draft.layer(node, 0)?;
    a.int("seed", 0)?;
    let mut p = a.float("ratio", 0.5)?;
    if draft.opset >= 12
        && let Some(handle) = draft.constant(node, 1)?
    {
        p = draft.constants.scalar(handle)?;
    }
    if p == 0.0 {
        draft.alias(node, GraphValue::Layer { from, dims });
        return Ok(());
    }
    draft.push(node, LayerOp::Dropout(layers::Dropout { p }), vec![from], &[&dims]).map(|_| ())
}

pub fn softmax<'a>(draft: &mut NetworkDraft<'a>, call: &Call<'a>) -> Result<(), String> {
    let node = call.node;
    let (from, dims) = draft.layer(node, 0)?;
    let rank = dims.len() as i64 + 1;
    let axis = call.attributes.int("axis", if draft.opset < 13 { 1 } else { -1 })?;
    if axis != 1 && axis != 1 - rank {
        return Err(format!("expected axis 1 (classes) of [N, {}], found {axis}", list(&dims)));
    }
    // Before operator set 13 softmax runs over this axis and all later ones together.
    if draft.opset < 13 && dims[1..].iter().any(|&d| d != 1) {
        return Err(format!("over [{}] together: expected classes alone", list(&dims)));
    }
    if node.op_type == "Softmax" {
        return draft.push_unary(node, LayerOp::Softmax(layers::Softmax));
    }
    if node.output.first().map(String::as_str) != Some(draft.graph.output) {
        return Err("is supported only as the last node".into());
    }
    if dims[1..].iter().any(|&d| d != 1) {
        return Err(format!("over each position of [{}]: expected classes alone", list(&dims)));
    }
    draft.note("the final LogSoftmax is dropped: the cross-entropy loss includes it");
    draft.alias(node, GraphValue::Layer { from, dims });
    Ok(())
}
