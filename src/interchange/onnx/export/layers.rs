//! Adds the layers of a network as nodes, with the tensors that each needs.

use super::super::operators;
use super::activations;
use super::graph::{GraphBuilder, NodeBuilder};
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
            for (kind, shape) in layer.op.tensors(inputs.of(layer)) {
                let name = format!("{}.{}", layer.name, layer.op.tensor_name(kind));
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

/// Shapes of values by name, to look up the shapes of a layer's inputs.
struct InputShapes<'a>(HashMap<&'a str, &'a [usize]>);

impl<'a> InputShapes<'a> {
    fn new(spec: &'a Spec, shapes: &'a [Vec<usize>]) -> Self {
        let names = spec.layers.iter().map(|layer| layer.name.as_str());
        let mut all: HashMap<&str, &[usize]> = names.zip(shapes.iter().map(Vec::as_slice)).collect();
        all.insert("input", &spec.input);
        InputShapes(all)
    }

    fn of(&self, layer: &Layer) -> &'a [usize] {
        self.all(layer).first().copied().unwrap_or_default()
    }

    fn all(&self, layer: &Layer) -> Vec<&'a [usize]> {
        layer.inputs.iter().map(|name| self.0.get(name.as_str()).copied().unwrap_or_default()).collect()
    }
}

/// A layer with the values that its node reads and writes.
pub struct LayerContext<'a> {
    pub layer: &'a Layer,
    /// The values it reads.
    pub inputs: Vec<&'a str>,
    /// Shapes of the layers among them, without the batch.
    pub input_dims: Vec<&'a [usize]>,
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
        if layer.op.is_dropout() {
            let value = read[0].to_string();
            values.insert(&layer.name, value);
            continue;
        }
        let output = if last == Some(i) { "logits".to_string() } else { builder.value_name(&layer.name) };
        let (x, y) = (inputs.of(layer), shapes[i].as_slice());
        let input_dims = inputs.all(layer);
        let mut context = LayerContext { layer, inputs: read, input_dims, x, y, output: &output };
        for (name, tensor) in &weights.0[i] {
            let dims = match layer.op {
                LayerOp::Prelu(_) => activations::slope_dims(tensor.data().len(), x.len()),
                _ => tensor.shape().dims().to_vec(),
            };
            builder.initializer(name, &dims, tensor.data());
            context.inputs.push(name);
        }
        let node = operators::node(builder, &context).map_err(|what| {
            Error::Model(format!("{}:{}: layer {}: {what}", spec.origin, layer.line, layer.name))
        })?;
        builder.add(node);
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
    while spec.layers[last].op.is_dropout() {
        last = position(&spec.layers[last].inputs[0])?;
    }
    Some(last)
}
