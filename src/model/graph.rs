//! The graph of layers under construction: shapes, which value each layer reads and writes, parameters, and the
//! forward steps with a record of each for the backward walk.

use super::build::{BuildOptions, LayerInfo, Parameter, Start};
use super::layer::{Layer, LayerOp};
use super::shape::{conv2d, output_dims};
use super::spec::Spec;
use crate::error::{Error, Result};
use crate::ops::{
    AdaptiveAvgPool2d, BatchNorm2d, ChannelSlice, Dropout, Linear, LocalResponseNorm, Op, Pointwise, Pool2d,
    Softmax,
};
use crate::program::{BufferId, ProgramBuilder, Role, step};
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
    input: BufferId,
    /// Output extents of each layer without the batch, by name.
    dims: HashMap<&'s str, Vec<usize>>,
    pub parameters: Vec<Parameter>,
    pub state: Vec<Parameter>,
    /// Positions in `parameters` and `state` of each layer's tensors.
    owned: HashMap<&'s str, (Vec<usize>, Vec<usize>)>,
    /// ReLU layers that are fused into the layer they read.
    fused: HashMap<&'s str, &'s str>,
    pub values: Vec<Value>,
    pub records: Vec<Record>,
    infos: Vec<LayerInfo>,
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

    /// Emits the forward steps of evaluation or training and returns the last layer's output.
    pub fn forward(&mut self, builder: &mut ProgramBuilder, training: bool) -> Result<BufferId> {
        self.values.clear();
        self.records.clear();
        self.infos.clear();
        self.values.push(Value {
            buffer: self.input,
            name: "input".into(),
            needs_gradient: self.options.input_gradient,
            contributions: Vec::new(),
        });
        let mut made: HashMap<&str, usize> = HashMap::from([("input", 0)]);
        let mut dropouts = 0;
        for layer in &self.spec.layers {
            let inputs: Vec<usize> = layer.inputs.iter().map(|n| made[n.as_str()]).collect();
            let first_record = self.records.len();
            let output = if self.fused.get(layer.inputs[0].as_str()) == Some(&layer.name.as_str()) {
                inputs[0]
            } else {
                if matches!(layer.op, LayerOp::Dropout { .. }) {
                    dropouts += 1;
                }
                self.emit(builder, layer, &inputs, dropouts, training)?
            };
            made.insert(&layer.name, output);
            self.describe(layer, output, first_record);
        }
        let list = if training { &mut builder.gradients } else { &mut builder.forward };
        for record in &self.records {
            // Statistics first: the normalisation reads them.
            if let (Op::BatchNorm2dForward(d), true) = (&record.op, training) {
                let state = &self.owned[record.label.as_str()].1;
                let [mean, var] = [self.state[state[0]].buffer, self.state[state[1]].buffer];
                let (x, batch_mean, batch_var) = (record.buffers[0], record.buffers[3], record.buffers[4]);
                let buffers = [x, self.hyper, batch_mean, batch_var, mean, var];
                list.push(step(Op::BatchNorm2dStats(*d), &record.label, &buffers));
            }
            list.push(step(record.op.clone(), &record.label, &record.buffers));
        }
        Ok(self.values[made[self.spec.layers[self.spec.layers.len() - 1].name.as_str()]].buffer)
    }

    /// Notes for `summary` and `trace` what a layer is.
    fn describe(&mut self, layer: &Layer, output: usize, first_record: usize) {
        let mut shape = vec![self.options.batch];
        shape.extend(self.dims(&layer.name));
        let macs: u64 = self.records[first_record..]
            .iter()
            .map(|r| match &r.op {
                Op::Conv2dForward(c) => c.macs(),
                Op::LinearForward(l) => (l.batch * l.inputs * l.outputs) as u64,
                _ => 0,
            })
            .sum();
        self.infos.push(LayerInfo {
            name: layer.name.clone(),
            op: layer.op.name(),
            output: shape.into(),
            parameters: self.owned[layer.name.as_str()]
                .0
                .iter()
                .map(|&i| self.parameters[i].shape.len())
                .sum(),
            macs: macs / self.options.batch as u64,
            buffer: (!self.fused.contains_key(layer.name.as_str())).then(|| self.values[output].buffer),
        });
    }

    /// Emits one layer and returns the value it makes.
    fn emit(
        &mut self,
        builder: &mut ProgramBuilder,
        layer: &'s Layer,
        inputs: &[usize],
        dropout: u32,
        training: bool,
    ) -> Result<usize> {
        let batch = self.options.batch;
        let x = self.dims(&layer.inputs[0]).to_vec();
        let out = self.dims(&layer.name).to_vec();
        let len = batch * out.iter().product::<usize>();
        let fused = self.fused.get(layer.name.as_str()).copied();
        let relu = fused.is_some();
        let name = fused.unwrap_or(&layer.name);
        let parameters = self.owned[layer.name.as_str()].0.clone();
        let [h_in, w_in] = [x.get(1).copied().unwrap_or(1), x.get(2).copied().unwrap_or(1)];
        let inner = h_in * w_in;
        let pool = |kernel, stride, pad, ceil| Pool2d {
            batch,
            channels: x[0],
            h_in,
            w_in,
            kernel,
            stride,
            pad,
            ceil,
        };
        let op = match layer.op {
            LayerOp::Flatten => return Ok(inputs[0]),
            LayerOp::Dropout { p } => {
                if !training || !self.options.dropout || p == 0.0 {
                    return Ok(inputs[0]);
                }
                Op::Dropout(Dropout { len, p, layer: dropout - 1 })
            }
            LayerOp::Conv2d { .. } => Op::Conv2dForward(conv2d(&layer.op, &x, batch, relu)),
            LayerOp::Linear { out_features, bias } => {
                Op::LinearForward(Linear { batch, inputs: x[0], outputs: out_features, bias, relu })
            }
            LayerOp::Relu => Op::ReluForward(Pointwise { len }),
            LayerOp::Sigmoid => Op::SigmoidForward(Pointwise { len }),
            LayerOp::Tanh => Op::TanhForward(Pointwise { len }),
            LayerOp::Softmax => Op::SoftmaxForward(Softmax { batch, channels: x[0], inner }),
            LayerOp::MaxPool2d { kernel, stride, padding, ceil } => {
                Op::MaxPool2dForward(pool(kernel, stride, padding, ceil))
            }
            LayerOp::AvgPool2d { kernel, stride, padding, ceil } => {
                Op::AvgPool2dForward(pool(kernel, stride, padding, ceil))
            }
            LayerOp::AdaptiveAvgPool2d { output: [h_out, w_out] } => {
                let channels = x[0];
                Op::AdaptiveAvgPool2dForward(AdaptiveAvgPool2d { batch, channels, h_in, w_in, h_out, w_out })
            }
            LayerOp::LocalResponseNorm { size, alpha, beta, k } => {
                let channels = x[0];
                Op::LocalResponseNormForward(LocalResponseNorm {
                    batch,
                    channels,
                    inner,
                    size,
                    alpha,
                    beta,
                    k,
                })
            }
            LayerOp::BatchNorm2d { eps, momentum } => {
                Op::BatchNorm2dForward(BatchNorm2d { batch, channels: x[0], inner, eps, momentum, relu })
            }
            LayerOp::Add => return self.emit_add(builder, layer, inputs, len),
            LayerOp::Concat => return self.emit_concat(builder, layer, inputs, &out),
        };
        let needs = self.values[inputs[0]].needs_gradient
            || parameters.iter().any(|&p| !self.options.is_frozen(&self.parameters[p].name));
        let y = self.output(builder, name, &out)?;
        let mut buffers = vec![self.values[inputs[0]].buffer];
        buffers.extend(parameters.iter().map(|&p| self.parameters[p].buffer));
        match &op {
            Op::Dropout(_) => buffers.extend([self.hyper, y]),
            Op::MaxPool2dForward(_) => {
                buffers.extend([y, self.scratch(builder, &format!("{name}.index"), &out)?]);
            }
            Op::LocalResponseNormForward(_) => {
                buffers.extend([y, self.scratch(builder, &format!("{name}.scale"), &out)?]);
            }
            Op::BatchNorm2dForward(_) => {
                for (i, kind) in ["mean", "var"].into_iter().enumerate() {
                    buffers.push(if training {
                        let name = format!("{}.batch_{kind}", layer.name);
                        builder.buffer(name, [x[0]], Role::Transient)?
                    } else {
                        self.state[self.owned[layer.name.as_str()].1[i]].buffer
                    });
                }
                buffers.push(y);
            }
            _ => buffers.push(y),
        }
        let output = self.value(y, name, needs);
        let inputs = vec![inputs[0]];
        self.records.push(Record { op, label: layer.name.clone(), buffers, inputs, output, parameters });
        Ok(output)
    }

    fn emit_add(
        &mut self,
        builder: &mut ProgramBuilder,
        layer: &Layer,
        inputs: &[usize],
        len: usize,
    ) -> Result<usize> {
        let dims = self.dims(&layer.name).to_vec();
        let mut sum = inputs[0];
        for (i, &next) in inputs[1..].iter().enumerate() {
            let last = i + 2 == inputs.len();
            let name = if last { layer.name.clone() } else { format!("{}.sum{i}", layer.name) };
            let y = self.output(builder, &name, &dims)?;
            let needs = self.values[sum].needs_gradient || self.values[next].needs_gradient;
            let buffers = vec![self.values[sum].buffer, self.values[next].buffer, y];
            let output = self.value(y, &name, needs);
            self.records.push(Record {
                op: Op::Add(Pointwise { len }),
                label: layer.name.clone(),
                buffers,
                inputs: vec![sum, next],
                output,
                parameters: Vec::new(),
            });
            sum = output;
        }
        Ok(sum)
    }

    fn emit_concat(
        &mut self,
        builder: &mut ProgramBuilder,
        layer: &Layer,
        inputs: &[usize],
        out: &[usize],
    ) -> Result<usize> {
        let y = self.output(builder, &layer.name, out)?;
        let needs = inputs.iter().any(|&i| self.values[i].needs_gradient);
        let output = self.value(y, &layer.name, needs);
        let mut offset = 0;
        for (&input, name) in inputs.iter().zip(&layer.inputs) {
            let channels = self.dims(name)[0];
            let slice = ChannelSlice {
                batch: self.options.batch,
                channels,
                inner: out[1..].iter().product(),
                offset,
                total: out[0],
            };
            offset += channels;
            self.records.push(Record {
                op: Op::ConcatForward(slice),
                label: layer.name.clone(),
                buffers: vec![self.values[input].buffer, y],
                inputs: vec![input],
                output,
                parameters: Vec::new(),
            });
        }
        Ok(output)
    }

    fn value(&mut self, buffer: BufferId, name: &str, needs_gradient: bool) -> usize {
        self.values.push(Value { buffer, name: name.to_string(), needs_gradient, contributions: Vec::new() });
        self.values.len() - 1
    }

    /// The buffer `<name>.y`, shared by evaluation and training. The last layer's is kept: the host reads it.
    fn output(&self, builder: &mut ProgramBuilder, name: &str, dims: &[usize]) -> Result<BufferId> {
        let full = format!("{name}.y");
        if let Some(id) = builder.find(&full) {
            return Ok(id);
        }
        // Several names can stand for the last value (a fused ReLU, a flatten, a dropout that does nothing), so
        // the last value is recognised by its size and by having no step below it that makes a new one.
        let from = self.spec.layers.iter().position(|l| l.name == name).map_or(0, |i| i + 1);
        let last = self.spec.layers[from..]
            .iter()
            .all(|l| matches!(l.op, LayerOp::Flatten | LayerOp::Dropout { .. }));
        let role = if last { Role::Output } else { Role::Transient };
        self.sized(builder, full, dims, role)
    }

    fn scratch(&self, builder: &mut ProgramBuilder, name: &str, dims: &[usize]) -> Result<BufferId> {
        match builder.find(name) {
            Some(id) => Ok(id),
            None => self.sized(builder, name.to_string(), dims, Role::Transient),
        }
    }

    fn sized(
        &self,
        builder: &mut ProgramBuilder,
        name: String,
        dims: &[usize],
        role: Role,
    ) -> Result<BufferId> {
        let mut shape = vec![self.options.batch];
        shape.extend(dims);
        builder.buffer(name, shape, role)
    }

    /// Parameters, state and layers, for the finished model.
    pub fn finish(self) -> (Vec<Parameter>, Vec<Parameter>, Vec<LayerInfo>) {
        (self.parameters, self.state, self.infos)
    }
}
