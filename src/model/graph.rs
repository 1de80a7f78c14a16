//! The graph of layers under construction: shapes, which value each layer reads and writes, parameters, and a record of
//! the forward steps for the backward pass.

use super::build::{BuildOptions, LayerInfo};
use super::layer::Layer;
use super::layers::LayerOp;
use super::parameter::Parameter;
use super::spec::Spec;
use crate::error::{Error, Result};
use crate::program::{BufferId, ProgramBuilder, Role, Step};
use crate::tensor::Shape;
use std::collections::HashMap;

/// A tensor that flows between layers. Layers that only rename it (flatten, dropout in evaluation) share it.
#[derive(Clone, Debug)]
pub(super) struct Value {
    pub buffer: BufferId,
    /// The layer that made it.
    pub name: String,
    /// Whether it depends on anything trainable, or its gradient is asked for.
    pub needs_gradient: bool,
    /// Gradients that its readers have contributed so far, in the order of the backward pass.
    pub contributions: Vec<BufferId>,
}

/// The extents of a layer's first input and of its output, without the batch.
#[derive(Clone, Debug)]
pub(super) struct Extents {
    pub batch: usize,
    pub x: Vec<usize>,
    pub y: Vec<usize>,
}

impl Extents {
    /// With an output that is not known yet.
    pub fn of_input(batch: usize, x: &[usize]) -> Self {
        Extents { batch, x: x.to_vec(), y: Vec::new() }
    }

    /// Elements of the output, for the whole batch.
    pub fn len(&self) -> usize {
        self.batch * self.y.iter().product::<usize>()
    }

    /// Channels of the input.
    pub fn channels(&self) -> usize {
        self.x[0]
    }

    /// Height and width of the input; 1 if it is flat.
    pub fn sides(&self) -> [usize; 2] {
        [1, 2].map(|axis| self.x.get(axis).copied().unwrap_or(1))
    }

    /// Height times width of the input.
    pub fn inner(&self) -> usize {
        let [h, w] = self.sides();
        h * w
    }
}

/// Forward steps of training that together make one value, for the backward pass.
#[derive(Clone, Debug)]
pub(super) struct Record {
    /// Position of the layer in the model file.
    pub layer: usize,
    /// The last step makes the value, or its last part.
    pub steps: Vec<Step>,
    /// The values that the steps read.
    pub inputs: Vec<usize>,
    /// The value that the steps make.
    pub output: usize,
    pub extents: Extents,
    /// Whether the last step ends with a ReLU.
    pub relu: bool,
}

/// Positions of a layer's tensors in [`Graph::parameters`] and [`Graph::state`].
#[derive(Clone, Debug, Default)]
pub(super) struct Owned {
    pub parameters: Vec<usize>,
    pub state: Vec<usize>,
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
    /// By layer.
    pub owned: Vec<Owned>,
    /// The ReLU that is fused into a layer, by that layer's name.
    pub fused: HashMap<&'s str, &'s str>,
    pub values: Vec<Value>,
    pub records: Vec<Record>,
    pub infos: Vec<LayerInfo>,
    /// Dropout layers met so far.
    pub dropouts: u32,
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
            owned: Vec::new(),
            fused: HashMap::new(),
            values: Vec::new(),
            records: Vec::new(),
            infos: Vec::new(),
            dropouts: 0,
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
            let out = layer.op.kind().output(&inputs, options.batch).map_err(fault)?;
            let x = inputs[0].to_vec();
            graph.declare(builder, layer, &x)?;
            graph.dims.insert(&layer.name, out);
            if let [reader] = readers.get(layer.name.as_str()).map_or(&[][..], Vec::as_slice)
                && options.fuse
                && matches!(reader.op, LayerOp::Relu(_))
                && layer.op.kind().fuses_relu()
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

    /// Makes the parameters and state of a layer over an input of extents `x`.
    fn declare(&mut self, builder: &mut ProgramBuilder, layer: &'s Layer, x: &[usize]) -> Result<()> {
        let mut owned = Owned::default();
        for tensor in layer.op.kind().parameters(x, &layer.init) {
            let side = tensor.kind.side();
            let name = format!("{}.{}", layer.name, layer.op.tensor_name(tensor.kind));
            let role = if side.is_some() { Role::Parameter } else { Role::State };
            let shape = Shape::from(tensor.shape);
            let buffer = builder.buffer(&name, shape.clone(), role)?;
            let factor = |factors: [f32; 2]| side.map_or(1.0, |side| factors[side]);
            let parameter = Parameter {
                name,
                buffer,
                gradient: None,
                average: None,
                shape,
                lr_mult: factor(layer.lr_mult),
                decay_mult: factor(layer.decay_mult),
                start: tensor.start,
            };
            let (list, positions) = match side {
                Some(_) => (&mut self.parameters, &mut owned.parameters),
                None => (&mut self.state, &mut owned.state),
            };
            positions.push(list.len());
            list.push(parameter);
        }
        self.owned.push(owned);
        Ok(())
    }

    /// Whether no layer after layer number `position` makes a new value.
    pub fn is_last(&self, position: usize) -> bool {
        self.spec.layers[position + 1..].iter().all(|layer| layer.op.kind().passes_on())
    }

    /// Parameters, state and layers, for the finished model.
    pub fn finish(self) -> (Vec<Parameter>, Vec<Parameter>, Vec<LayerInfo>) {
        (self.parameters, self.state, self.infos)
    }
}
