//! The nodes and initializers that each layer becomes.

use super::graph::{GraphBuilder, NodeBuilder};
use super::{normalisation, pooling};
use crate::error::{Error, Result};
use crate::model::{Layer, LayerOp, Spec};
use crate::tensor::Tensor;
use std::collections::HashMap;

/// The tensors of every layer, in the order in which its ONNX node reads them.
pub(super) struct LayerTensors<'a>(Vec<Vec<(String, &'a Tensor)>>);

impl<'a> LayerTensors<'a> {
    /// Selects from `tensors` those that the layers of `spec` need; `shapes` are the layers' output shapes. A missing tensor
    /// or one of another shape is an error.
    pub fn new(spec: &Spec, tensors: &'a [(String, Tensor)], shapes: &[Vec<usize>]) -> Result<Self> {
        let by_name: HashMap<&str, &Tensor> = tensors.iter().map(|(name, t)| (name.as_str(), t)).collect();
        let inputs = InputShapes::new(spec, shapes);
        let mut found = Vec::with_capacity(spec.layers.len());
        for layer in &spec.layers {
            let mut own = Vec::new();
            for (kind, shape) in expected(&layer.op, inputs.of(layer)) {
                let name = format!("{}.{kind}", layer.name);
                let fault = |found: &str| {
                    Error::Model(format!("{}: tensor {name}: expected {shape:?}, found {found}", spec.name))
                };
                let tensor = *by_name.get(name.as_str()).ok_or_else(|| fault("none"))?;
                if tensor.shape().dims() != shape {
                    return Err(fault(&tensor.shape().to_string()));
                }
                own.push((name, tensor));
            }
            found.push(own);
        }
        Ok(LayerTensors(found))
    }

    /// Total size in bytes.
    pub fn bytes(&self) -> usize {
        self.0.iter().flatten().map(|(_, tensor)| size_of_val(tensor.data())).sum()
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flatten().map(|(name, _)| name.as_str())
    }
}

/// Shapes of values by name, to look up the shape of a layer's first input.
struct InputShapes<'a>(HashMap<&'a str, &'a [usize]>);

impl<'a> InputShapes<'a> {
    fn new(spec: &'a Spec, shapes: &'a [Vec<usize>]) -> Self {
        let names = spec.layers.iter().map(|layer| layer.name.as_str());
        let mut all: HashMap<&str, &[usize]> = names.zip(shapes.iter().map(Vec::as_slice)).collect();
        all.insert("input", &spec.input);
        InputShapes(all)
    }

    fn of(&self, layer: &Layer) -> &'a [usize] {
        let first = layer.inputs.first().map(String::as_str);
        first.and_then(|name| self.0.get(name)).copied().unwrap_or_default()
    }
}

/// Kinds and shapes of the tensors of an operator with the input shape `x` (without the batch).
fn expected(op: &LayerOp, x: &[usize]) -> Vec<(&'static str, Vec<usize>)> {
    let with_bias = |weight: Vec<usize>, bias: bool| {
        let out = weight[0];
        let mut tensors = vec![("weight", weight)];
        tensors.extend(bias.then(|| ("bias", vec![out])));
        tensors
    };
    match *op {
        LayerOp::Conv2d { out_channels, kernel: [h, w], groups, bias, .. } => {
            with_bias(vec![out_channels, x[0] / groups, h, w], bias)
        }
        LayerOp::Linear { out_features, bias } => with_bias(vec![out_features, x[0]], bias),
        LayerOp::BatchNorm2d { .. } => {
            ["weight", "bias", "running_mean", "running_var"].map(|kind| (kind, vec![x[0]])).into()
        }
        _ => Vec::new(),
    }
}

/// A layer with the values that its node reads and writes.
pub(super) struct LayerContext<'a> {
    pub layer: &'a Layer,
    /// The values it reads.
    pub inputs: Vec<&'a str>,
    /// Shapes of the first input and of the output, without the batch.
    pub x: &'a [usize],
    pub y: &'a [usize],
    /// The value it writes.
    pub output: &'a str,
}

impl LayerContext<'_> {
    /// The layer's node, without attributes.
    pub fn node(&self, op_type: &str) -> NodeBuilder {
        self.node_over(op_type, &self.inputs)
    }

    /// The layer's node reading `inputs` instead, without attributes.
    pub fn node_over(&self, op_type: &str, inputs: &[&str]) -> NodeBuilder {
        NodeBuilder::new(op_type, &self.layer.name, inputs, self.output)
    }
}

/// Adds all layers of `spec` and their tensors. `start` is the value of the network's input; the last node writes `logits`.
pub(super) fn add(
    builder: &mut GraphBuilder,
    spec: &Spec,
    shapes: &[Vec<usize>],
    weights: &LayerTensors<'_>,
    start: String,
) -> Result<()> {
    // The value behind each layer's name. Dropout does nothing in evaluation, so its name stands for its input's value.
    let mut values: HashMap<&str, String> = HashMap::from([("input", start)]);
    let inputs = InputShapes::new(spec, shapes);
    let last = last_node(spec);
    for (i, layer) in spec.layers.iter().enumerate() {
        let read = layer.inputs.iter().map(|name| values.get(name.as_str()).map_or("", String::as_str));
        let read: Vec<&str> = read.collect();
        if matches!(layer.op, LayerOp::Dropout { .. }) {
            let value = read[0].to_string();
            values.insert(&layer.name, value);
            continue;
        }
        let output = if last == Some(i) { "logits".to_string() } else { builder.value_name(&layer.name) };
        let (x, y) = (inputs.of(layer), shapes[i].as_slice());
        let mut context = LayerContext { layer, inputs: read, x, y, output: &output };
        for (name, tensor) in &weights.0[i] {
            builder.initializer(name, tensor.shape().dims(), tensor.data());
            context.inputs.push(name);
        }
        add_layer(builder, &context).map_err(|what| {
            Error::Model(format!("{}:{}: layer {}: {what}", spec.origin, layer.line, layer.name))
        })?;
        values.insert(&layer.name, output);
    }
    if last.is_none() {
        // The network has no layer except dropout.
        builder.add(NodeBuilder::new("Identity", "logits", &[&values["input"]], "logits"));
    }
    Ok(())
}

/// The layer whose value is the network's output: the last one that is not dropout; `None` if there is no such layer.
fn last_node(spec: &Spec) -> Option<usize> {
    let position = |name: &str| spec.layers.iter().position(|layer| layer.name == name);
    let mut last = spec.layers.len().checked_sub(1)?;
    while matches!(spec.layers[last].op, LayerOp::Dropout { .. }) {
        last = position(&spec.layers[last].inputs[0])?;
    }
    Some(last)
}

/// Adds one layer. The error says why ONNX cannot express it.
fn add_layer(builder: &mut GraphBuilder, context: &LayerContext<'_>) -> std::result::Result<(), String> {
    let node = match context.layer.op {
        LayerOp::Conv2d { kernel, stride, padding, dilation, groups, .. } => context
            .node("Conv")
            .ints("kernel_shape", &kernel)
            .ints("strides", &stride)
            .ints("pads", &padding)
            .ints("dilations", &dilation)
            .int("group", groups as i64),
        LayerOp::Linear { .. } => context.node("Gemm").int("transB", 1),
        LayerOp::Relu => context.node("Relu"),
        LayerOp::Sigmoid => context.node("Sigmoid"),
        LayerOp::Tanh => context.node("Tanh"),
        LayerOp::Softmax => context.node("Softmax").int("axis", 1),
        LayerOp::Flatten => context.node("Flatten").int("axis", 1),
        LayerOp::MaxPool2d { kernel, stride, padding, .. } => {
            pooling::max_pool(builder, context, kernel, stride, padding)
        }
        LayerOp::AvgPool2d { kernel, stride, padding, .. } => {
            pooling::avg_pool(builder, context, kernel, stride, padding)
        }
        LayerOp::AdaptiveAvgPool2d { .. } => pooling::adaptive_avg_pool(builder, context)?,
        LayerOp::LocalResponseNorm { size, alpha, beta, k, within } => {
            normalisation::local_response_norm(builder, context, size, [alpha, beta, k], within)
        }
        // ONNX's momentum is the weight of the old statistics, ours that of the new ones.
        LayerOp::BatchNorm2d { eps, momentum } => {
            context.node("BatchNormalization").float("epsilon", eps).float("momentum", 1.0 - momentum)
        }
        LayerOp::Add => add_values(builder, context),
        LayerOp::Concat => context.node("Concat").int("axis", 1),
        // Never reached: the caller skips dropout.
        LayerOp::Dropout { .. } => context.node("Identity"),
    };
    builder.add(node);
    Ok(())
}

/// Adds from left to right, ((a + b) + c) + ..., which is the order of our own sum.
fn add_values(builder: &mut GraphBuilder, context: &LayerContext<'_>) -> NodeBuilder {
    let (first, others) = (context.inputs[0], &context.inputs[1..]);
    let mut sum = first.to_string();
    let count = others.len();
    for (i, next) in others[..count.saturating_sub(1)].iter().enumerate() {
        sum = builder.helper(&context.layer.name, &format!("sum{i}"), "Add", &[&sum, next]);
    }
    match others.last() {
        Some(last) => context.node_over("Add", &[&sum, last]),
        None => context.node("Identity"),
    }
}
