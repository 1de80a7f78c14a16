//! The graph of layers under construction: shapes, which value each layer reads and writes, parameters, and the
//! forward steps with a record of each for the backward walk.

use super::build::{BuildOptions, LayerInfo, Parameter, Start};
use super::layer::{Layer, LayerOp};
use super::shape::output_dims;
use super::spec::Spec;
use crate::error::{Error, Result};
use crate::ops::Op;
use crate::program::{BufferId, ProgramBuilder, Role};
use crate::tensor::Shape;
use std::collections::HashMap;

/// A tensor that flows between layers. Layers that only rename it (flatten, dropout in evaluation) share it.
#[derive(Clone, Debug)]
pub(super) struct Value {
    pub buffer: BufferId,
    /// The layer that made it.
    pub name: String,
    /// Whether anything trainable lies behind it (or its gradient is asked for).
    pub needs_gradient: bool,
    /// Gradients that its readers have contributed so far, in the order of the backward walk.
    pub contributions: Vec<BufferId>,
}

/// A forward step of training, for the backward walk.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub op: Op,
    pub label: String,
    /// Operands of the step, in order.
    pub buffers: Vec<BufferId>,
    pub inputs: Vec<usize>,
    pub output: usize,
    /// Weight and bias, as positions in `Graph::parameters`.
    pub parameters: Vec<usize>,
}

pub(super) struct Graph<'s> {
    pub spec: &'s Spec,
    pub options: &'s BuildOptions,
    pub hyper: BufferId,
    pub input: BufferId,
    /// Output extents of each layer without the batch, by name.
    dims: HashMap<&'s str, Vec<usize>>,
    pub parameters: Vec<Parameter>,
    pub state: Vec<Parameter>,
    /// Positions in `parameters` and `state` of each layer's tensors.
    pub owned: HashMap<&'s str, (Vec<usize>, Vec<usize>)>,
    /// ReLU layers that are fused into the layer they read.
    pub fused: HashMap<&'s str, &'s str>,
    pub values: Vec<Value>,
    pub records: Vec<Record>,
    pub infos: Vec<LayerInfo>,
}

impl<'s> Graph<'s> {
    pub fn new(
        spec: &'s Spec,
        options: &'s BuildOptions,
        builder: &mut ProgramBuilder,
        input: BufferId,
        hyper: BufferId,
    ) -> Result<Self> {
        let mut graph = Graph {
            spec,
            options,
            hyper,
            input,
            dims: HashMap::from([("input", spec.input.to_vec())]),
            parameters: Vec::new(),
            state: Vec::new(),
            owned: HashMap::new(),
            fused: HashMap::new(),
            values: Vec::new(),
            records: Vec::new(),
            infos: Vec::new(),
        };
        let mut readers: HashMap<&str, Vec<&'s Layer>> = HashMap::new();
        for layer in &spec.layers {
            for input in &layer.inputs {
                readers.entry(input).or_default().push(layer);
            }
        }
        for (i, layer) in spec.layers.iter().enumerate() {
            let fault = |what: String| {
                Error::Model(format!("{}:{}: layer {}: {what}", spec.origin, layer.line, layer.name))
            };
            if i + 1 < spec.layers.len() && !readers.contains_key(layer.name.as_str()) {
                return Err(fault("no layer below reads it".into()));
            }
            let inputs: Vec<&[usize]> =
                layer.inputs.iter().map(|n| graph.dims[n.as_str()].as_slice()).collect();
            let out = output_dims(&layer.op, &inputs, options.batch).map_err(fault)?;
            let in_dims = inputs[0].to_vec();
            graph.declare(builder, layer, &in_dims)?;
            graph.dims.insert(&layer.name, out);
            if let [reader] = readers.get(layer.name.as_str()).map_or(&[][..], Vec::as_slice)
                && options.fuse
                && reader.op == LayerOp::Relu
                && matches!(
                    layer.op,
                    LayerOp::Conv2d { .. } | LayerOp::Linear { .. } | LayerOp::BatchNorm2d { .. }
                )
            {
                graph.fused.insert(&layer.name, &reader.name);
            }
        }
        Ok(graph)
    }

    /// Output extents of a layer, without the batch.
    pub fn dims(&self, layer: &str) -> &[usize] {
        &self.dims[layer]
    }

    /// Makes the parameters and state of a layer.
    fn declare(&mut self, builder: &mut ProgramBuilder, layer: &'s Layer, input: &[usize]) -> Result<()> {
        let mut tensors: Vec<(&str, Shape, Start)> = Vec::new();
        match &layer.op {
            LayerOp::Conv2d { out_channels, kernel, groups, bias, .. } => {
                let area = kernel[0] * kernel[1];
                let c_in = input[0] / groups;
                let (fan_in, fan_out) = (c_in * area, out_channels * area);
                let init = layer.init.clone();
                let shape = Shape::from([*out_channels, c_in, kernel[0], kernel[1]]);
                tensors.push(("weight", shape, Start::Weight { init: init.clone(), fan_in, fan_out }));
                if *bias {
                    tensors.push(("bias", [*out_channels].into(), Start::Bias { init, fan_in }));
                }
            }
            LayerOp::Linear { out_features, bias } => {
                let (fan_in, fan_out) = (input[0], *out_features);
                let init = layer.init.clone();
                let shape = Shape::from([fan_out, fan_in]);
                tensors.push(("weight", shape, Start::Weight { init: init.clone(), fan_in, fan_out }));
                if *bias {
                    tensors.push(("bias", [fan_out].into(), Start::Bias { init, fan_in }));
                }
            }
            LayerOp::BatchNorm2d { .. } => {
                tensors.push(("weight", [input[0]].into(), Start::Fill(1.0)));
                tensors.push(("bias", [input[0]].into(), Start::Fill(0.0)));
                tensors.push(("running_mean", [input[0]].into(), Start::Fill(0.0)));
                tensors.push(("running_var", [input[0]].into(), Start::Fill(1.0)));
            }
            _ => {}
        }
        let mut owned = (Vec::new(), Vec::new());
        for (kind, shape, start) in tensors {
            let is_state = kind.starts_with("running");
            let name = format!("{}.{kind}", layer.name);
            let role = if is_state { Role::State } else { Role::Parameter };
            let buffer = builder.buffer(&name, shape.clone(), role)?;
            let side = usize::from(kind == "bias");
            let parameter = Parameter {
                name,
                buffer,
                gradient: None,
                shape,
                lr_mult: layer.lr_mult[side],
                decay_mult: layer.decay_mult[side],
                start,
            };
            let (list, positions) =
                if is_state { (&mut self.state, &mut owned.1) } else { (&mut self.parameters, &mut owned.0) };
            positions.push(list.len());
            list.push(parameter);
        }
        self.owned.insert(&layer.name, owned);
        Ok(())
    }

    /// Parameters, state and layers, for the finished model.
    pub fn finish(self) -> (Vec<Parameter>, Vec<Parameter>, Vec<LayerInfo>) {
        (self.parameters, self.state, self.infos)
    }
}
