//! The forward steps: each layer of the graph becomes a step (or none, or several), with a record for the backward pass.

use super::build::{BuildOptions, LayerInfo};
use super::graph::{Extents, Graph, Record, Value};
use super::layer::Layer;
use crate::error::Result;
use crate::ops::Op;
use crate::program::{BufferId, ProgramBuilder, Role, step};
use crate::tensor::Shape;
use std::collections::HashMap;

impl<'s> Graph<'s> {
    /// Emits the forward steps of evaluation or training and returns the last layer's output.
    pub fn forward(&mut self, builder: &mut ProgramBuilder, training: bool) -> Result<BufferId> {
        self.values.clear();
        self.records.clear();
        self.infos.clear();
        self.dropouts = 0;
        self.values.push(Value {
            buffer: self.input,
            name: "input".into(),
            needs_gradient: self.options.input_gradient,
            contributions: Vec::new(),
        });
        let mut made: HashMap<&str, usize> = HashMap::from([("input", 0)]);
        let mut last = 0;
        for (position, layer) in self.spec.layers.iter().enumerate() {
            let inputs: Vec<usize> = layer.inputs.iter().map(|n| made[n.as_str()]).collect();
            let is_fused = self.fused.get(layer.inputs[0].as_str()) == Some(&layer.name.as_str());
            last = match is_fused {
                true => inputs[0],
                false => {
                    let mut emitter = Emitter::new(self, builder, position, inputs, training);
                    layer.op.kind().emit(&mut emitter)?
                }
            };
            made.insert(&layer.name, last);
            self.describe(position, layer, last);
        }
        let list = if training { &mut builder.gradients } else { &mut builder.forward };
        list.extend(self.records.iter().flat_map(|record| record.steps.iter().cloned()));
        Ok(self.values[last].buffer)
    }

    /// Adds the layer to the list for `summary` and `trace`.
    fn describe(&mut self, position: usize, layer: &Layer, output: usize) {
        let mut shape = vec![self.options.batch];
        shape.extend(self.dims(&layer.name));
        let own = &self.owned[position].parameters;
        self.infos.push(LayerInfo {
            name: layer.name.clone(),
            op: layer.op.name(),
            output: shape.into(),
            parameters: own.iter().map(|&i| self.parameters[i].shape.len()).sum(),
            macs: layer.op.kind().macs(self.dims(&layer.inputs[0])),
            buffer: (!self.fused.contains_key(layer.name.as_str())).then(|| self.values[output].buffer),
            gradient: None,
        });
    }
}

/// What a layer emits its forward steps with.
pub(super) struct Emitter<'g, 's> {
    graph: &'g mut Graph<'s>,
    builder: &'g mut ProgramBuilder,
    /// Position of the layer in the model file.
    position: usize,
    pub layer: &'s Layer,
    /// The values that the layer reads.
    pub inputs: Vec<usize>,
    pub extents: Extents,
    /// Whether the steps are those of training rather than of evaluation.
    pub training: bool,
}

impl<'g, 's> Emitter<'g, 's> {
    fn new(
        graph: &'g mut Graph<'s>,
        builder: &'g mut ProgramBuilder,
        position: usize,
        inputs: Vec<usize>,
        training: bool,
    ) -> Self {
        let layer = &graph.spec.layers[position];
        let (x, y) = (graph.dims(&layer.inputs[0]).to_vec(), graph.dims(&layer.name).to_vec());
        let extents = Extents { batch: graph.options.batch, x, y };
        Emitter { graph, builder, position, layer, inputs, extents, training }
    }

    pub fn options(&self) -> &BuildOptions {
        self.graph.options
    }

    /// The output is the first input, in the same memory.
    pub fn pass_on(&self) -> usize {
        self.inputs[0]
    }

    /// The buffer of a value.
    pub fn buffer(&self, value: usize) -> BufferId {
        self.graph.values[value].buffer
    }

    /// The buffer of the first input.
    pub fn input(&self) -> BufferId {
        self.buffer(self.inputs[0])
    }

    /// Extents of every input, without the batch.
    pub fn input_dims(&self) -> Vec<&[usize]> {
        self.layer.inputs.iter().map(|name| self.graph.dims(name)).collect()
    }

    /// Channels of every input.
    pub fn input_channels(&self) -> Vec<usize> {
        self.input_dims().iter().map(|dims| dims[0]).collect()
    }

    /// The buffer of the `Hyper` words.
    pub fn hyper(&self) -> BufferId {
        self.graph.hyper
    }

    /// The buffer of the layer's parameter number `i`.
    pub fn parameter(&self, i: usize) -> BufferId {
        self.graph.parameters[self.graph.owned[self.position].parameters[i]].buffer
    }

    /// The buffers of all parameters of the layer.
    fn parameters(&self) -> Vec<BufferId> {
        (0..self.graph.owned[self.position].parameters.len()).map(|i| self.parameter(i)).collect()
    }

    /// The buffers of the layer's state.
    pub fn state(&self) -> Vec<BufferId> {
        self.graph.owned[self.position].state.iter().map(|&i| self.graph.state[i].buffer).collect()
    }

    /// Whether a ReLU is part of the layer's operator.
    pub fn relu(&self) -> bool {
        self.graph.fused.contains_key(self.layer.name.as_str())
    }

    /// Whether no layer after this one makes a new value.
    pub fn is_last(&self) -> bool {
        self.graph.is_last(self.position)
    }

    /// Whether a gradient has to pass through the layer or end in it.
    pub fn needs_gradient(&self) -> bool {
        self.needs_gradient_over(&self.inputs)
    }

    fn needs_gradient_over(&self, inputs: &[usize]) -> bool {
        let graph = &*self.graph;
        inputs.iter().any(|&input| graph.values[input].needs_gradient)
            || graph.owned[self.position]
                .parameters
                .iter()
                .any(|&p| !graph.options.is_frozen(&graph.parameters[p].name))
    }

    /// The number of the next dropout layer, from 0.
    pub fn next_dropout(&mut self) -> u32 {
        self.graph.dropouts += 1;
        self.graph.dropouts - 1
    }

    /// The name of the value that the layer makes: its own, or that of the ReLU that is fused into it.
    pub fn output_name(&self) -> &'s str {
        self.graph.fused.get(self.layer.name.as_str()).copied().unwrap_or(&self.layer.name)
    }

    /// The buffer of the output, shared by evaluation and training.
    pub fn output(&mut self) -> Result<BufferId> {
        self.output_named(self.output_name())
    }

    /// The buffer `<name>.y` with the extents of the output. The last layer's is kept: the host reads it.
    pub fn output_named(&mut self, name: &str) -> Result<BufferId> {
        let full = format!("{name}.y");
        if let Some(id) = self.builder.find(&full) {
            return Ok(id);
        }
        // Several names can stand for the last value (a fused ReLU, a flatten, a dropout that does nothing), so the
        // last value is recognised by having no layer below it that makes a new one.
        let position = self.graph.spec.layers.iter().position(|layer| layer.name == name);
        let is_last = position.is_some_and(|position| self.graph.is_last(position));
        let role = if is_last { Role::Output } else { Role::Transient };
        self.builder.buffer(full, self.output_shape(), role)
    }

    fn output_shape(&self) -> Shape {
        let mut shape = vec![self.extents.batch];
        shape.extend(&self.extents.y);
        shape.into()
    }

    /// The buffer `<layer>.<kind>`, used by this list of steps only.
    pub fn own_buffer(&mut self, kind: &str, len: usize) -> Result<BufferId> {
        self.builder.buffer(format!("{}.{kind}", self.layer.name), [len], Role::Transient)
    }

    /// Emits an operator with the operands x, the parameters and y.
    pub fn unary(&mut self, op: Op) -> Result<usize> {
        let y = self.output()?;
        let mut operands = vec![self.input()];
        operands.extend(self.parameters());
        operands.push(y);
        Ok(self.record(op, operands, y))
    }

    /// Emits an operator with the operands x, y and a second output of y's shape, in the buffer `<layer>.<kind>`.
    pub fn unary_with(&mut self, op: Op, kind: &str) -> Result<usize> {
        let y = self.output()?;
        let second = self.further_output(kind, self.output_shape())?;
        Ok(self.record(op, vec![self.input(), y, second], y))
    }

    /// The buffer `<layer>.<kind>` of an output beside y, shared by evaluation and training.
    pub fn further_output(&mut self, kind: &str, shape: impl Into<Shape>) -> Result<BufferId> {
        let name = format!("{}.{kind}", self.output_name());
        match self.builder.find(&name) {
            Some(id) => Ok(id),
            None => self.builder.buffer(name, shape, Role::Transient),
        }
    }

    /// Records the step that makes the output `y` from the inputs, and returns the value.
    pub fn record(&mut self, op: Op, operands: Vec<BufferId>, y: BufferId) -> usize {
        let (name, inputs) = (self.output_name(), self.inputs.clone());
        self.record_as(name, vec![(op, operands)], inputs, y)
    }

    /// Records steps that make the value `name`, in the buffer `y`, from the values `inputs`, and returns the value.
    pub fn record_as(
        &mut self,
        name: &str,
        steps: Vec<(Op, Vec<BufferId>)>,
        inputs: Vec<usize>,
        y: BufferId,
    ) -> usize {
        let needs_gradient = self.needs_gradient_over(&inputs);
        let label = &self.layer.name;
        let steps = steps.into_iter().map(|(op, operands)| step(op, label, &operands)).collect();
        let output = self.graph.values.len();
        let name = name.to_string();
        self.graph.values.push(Value { buffer: y, name, needs_gradient, contributions: Vec::new() });
        let (extents, relu) = (self.extents.clone(), self.relu());
        self.graph.records.push(Record { layer: self.position, steps, inputs, output, extents, relu });
        output
    }
}
