//! A builder that collects the nodes and initializers of a graph under unique names.

use super::super::schema::{AttributeProto, AttributeType, NodeProto, TensorProto, data_type};
use crate::interchange::file::little_endian;
use crate::model::Spec;
use prost::bytes::Bytes;
use std::collections::{HashMap, HashSet};

/// The nodes and initializers so far.
pub struct GraphBuilder {
    nodes: Vec<NodeProto>,
    initializers: Vec<TensorProto>,
    /// Names in use. Those of layers are reserved from the start, so that no helper node takes one.
    taken: HashSet<String>,
    /// The name of each layer's value, by layer.
    values: HashMap<String, String>,
}

/// A node under construction.
pub struct NodeBuilder(NodeProto);

impl GraphBuilder {
    /// Starts a graph for the layers of `spec`; `parameters` are the names of its initializers.
    pub fn new<'a>(spec: &Spec, parameters: impl Iterator<Item = &'a str>) -> Self {
        let fixed = ["input", "logits", "probabilities"].into_iter();
        let mut builder = GraphBuilder {
            nodes: Vec::new(),
            initializers: Vec::new(),
            taken: fixed.chain(parameters).map(str::to_string).collect(),
            values: HashMap::new(),
        };
        // Layers whose names are free keep them; the others are numbered afterwards.
        let (free, others): (Vec<_>, Vec<_>) =
            spec.layers.iter().map(|layer| &layer.name).partition(|name| !builder.taken.contains(*name));
        for name in free.into_iter().chain(others) {
            let value = builder.fresh(name);
            builder.values.insert(name.clone(), value);
        }
        builder
    }

    /// Reserves `wanted`, with a number appended if it is taken, and returns the name.
    pub fn fresh(&mut self, wanted: &str) -> String {
        let mut name = wanted.to_string();
        let mut number = 1;
        while !self.taken.insert(name.clone()) {
            name = format!("{wanted}_{number}");
            number += 1;
        }
        name
    }

    /// The name of the value of the layer `layer`.
    pub fn value_name(&self, layer: &str) -> String {
        self.values.get(layer).cloned().unwrap_or_else(|| layer.to_string())
    }

    /// Adds an f32 initializer under a name that is already reserved for it.
    pub fn initializer(&mut self, name: &str, dims: &[usize], values: &[f32]) {
        let raw = Bytes::from(little_endian(values).into_owned());
        self.tensor(name, dims, data_type::FLOAT, raw);
    }

    /// Adds an f32 constant and returns its name.
    pub fn constant(&mut self, wanted: &str, dims: &[usize], values: &[f32]) -> String {
        let name = self.fresh(wanted);
        self.initializer(&name, dims, values);
        name
    }

    /// Adds an i64 constant of shape `[values.len()]` and returns its name.
    pub fn integers(&mut self, wanted: &str, values: &[i64]) -> String {
        let name = self.fresh(wanted);
        let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.tensor(&name, &[values.len()], data_type::INT64, raw.into());
        name
    }

    fn tensor(&mut self, name: &str, dims: &[usize], data_type: i32, raw_data: Bytes) {
        let dims = dims.iter().map(|&n| n as i64).collect();
        let name = name.to_string();
        self.initializers.push(TensorProto { dims, data_type, name, raw_data, ..TensorProto::default() });
    }

    pub fn add(&mut self, node: NodeBuilder) {
        self.nodes.push(node.0);
    }

    /// Adds a helper node for the layer `layer` and returns the name of its value, which ends in `part`.
    pub fn helper(&mut self, layer: &str, part: &str, op_type: &str, inputs: &[&str]) -> String {
        self.helper_with(layer, part, op_type, inputs, |node| node)
    }

    /// Like [`GraphBuilder::helper`], for a node with attributes.
    pub fn helper_with(
        &mut self,
        layer: &str,
        part: &str,
        op_type: &str,
        inputs: &[&str],
        attributes: impl FnOnce(NodeBuilder) -> NodeBuilder,
    ) -> String {
        let name = self.fresh(&format!("{layer}.{part}"));
        self.add(attributes(NodeBuilder::new(op_type, &name, inputs, &name)));
        name
    }

    pub fn finish(self) -> (Vec<NodeProto>, Vec<TensorProto>) {
        (self.nodes, self.initializers)
    }
}

impl NodeBuilder {
    pub fn new(op_type: &str, name: &str, inputs: &[&str], output: &str) -> Self {
        NodeBuilder(NodeProto {
            input: inputs.iter().map(|input| (*input).to_string()).collect(),
            output: vec![output.into()],
            name: name.into(),
            op_type: op_type.into(),
            ..NodeProto::default()
        })
    }

    pub fn int(self, name: &str, i: i64) -> Self {
        self.attribute(name, AttributeType::Int, |a| a.i = i)
    }

    pub fn float(self, name: &str, f: f32) -> Self {
        self.attribute(name, AttributeType::Float, |a| a.f = f)
    }

    pub fn ints(self, name: &str, values: &[usize]) -> Self {
        self.attribute(name, AttributeType::Ints, |a| a.ints = values.iter().map(|&n| n as i64).collect())
    }

    pub fn text(self, name: &str, text: &'static str) -> Self {
        self.attribute(name, AttributeType::String, |a| a.s = text.into())
    }

    fn attribute(mut self, name: &str, kind: AttributeType, set: impl FnOnce(&mut AttributeProto)) -> Self {
        let mut attribute =
            AttributeProto { name: name.into(), r#type: kind.into(), ..AttributeProto::default() };
        set(&mut attribute);
        self.0.attribute.push(attribute);
        self
    }
}
