//! The forward list: each layer of the graph becomes a step (or none, or several), with a record of it for the
//! backward walk.

use super::build::LayerInfo;
use super::graph::{Graph, Record, Value};
use super::layer::{Layer, LayerOp};
use super::shape::conv2d;
use crate::error::Result;
use crate::ops::{
    AdaptiveAvgPool2d, BatchNorm2d, ChannelSlice, Dropout, Linear, LocalResponseNorm,
    LocalResponseNormWithin, Op, Pointwise, Pool2d, Softmax,
};
use crate::program::{BufferId, ProgramBuilder, Role, step};
use std::collections::HashMap;

impl<'s> Graph<'s> {
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
            // Statistics first: the normalisation reads them, unless it reads the running ones.
            if let (Op::BatchNorm2dForward(d), true) = (&record.op, training) {
                let state = &self.owned[record.label.as_str()].1;
                let [mean, var] = [self.state[state[0]].buffer, self.state[state[1]].buffer];
                let (x, batch_mean, batch_var) = (record.buffers[0], record.buffers[3], record.buffers[4]);
                if batch_mean == mean {
                    list.push(step(record.op.clone(), &record.label, &record.buffers));
                    continue;
                }
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
            // Averages of one element each (AlexNet's at 224 pixels); at the end the answer has a buffer of its own.
            LayerOp::AdaptiveAvgPool2d { output } if output == [h_in, w_in] && !self.is_last(&layer.name) => {
                return Ok(inputs[0]);
            }
            LayerOp::AdaptiveAvgPool2d { output: [h_out, w_out] } => {
                let channels = x[0];
                Op::AdaptiveAvgPool2dForward(AdaptiveAvgPool2d { batch, channels, h_in, w_in, h_out, w_out })
            }
            LayerOp::LocalResponseNorm { size, alpha, beta, k, within: true } => {
                let (channels, h, w) = (x[0], h_in, w_in);
                let d = LocalResponseNormWithin { batch, channels, h, w, size, alpha, beta, k };
                Op::LocalResponseNormWithinForward(d)
            }
            LayerOp::LocalResponseNorm { size, alpha, beta, k, within: false } => {
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
            Op::LocalResponseNormForward(_) | Op::LocalResponseNormWithinForward(_) => {
                buffers.extend([y, self.scratch(builder, &format!("{name}.scale"), &out)?]);
            }
            Op::BatchNorm2dForward(_) => {
                for (i, kind) in ["mean", "var"].into_iter().enumerate() {
                    // With nothing to train in it or below it, it is as in evaluation.
                    buffers.push(if training && needs {
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
        let role = if self.is_last(name) { Role::Output } else { Role::Transient };
        self.sized(builder, full, dims, role)
    }

    /// Whether no layer below the layer `name` makes a new value.
    fn is_last(&self, name: &str) -> bool {
        let from = self.spec.layers.iter().position(|l| l.name == name).map_or(0, |i| i + 1);
        self.spec.layers[from..].iter().all(|l| l.op.passes_on())
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
}
