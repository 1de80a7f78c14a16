//! Nodes and constants as they are collected, each with a name of its own.

use super::super::schema::{AttributeProto, AttributeType, NodeProto, TensorProto, data_type};
use crate::interchange::file::little_endian;
use crate::model::Spec;
use prost::bytes::Bytes;
use std::collections::{HashMap, HashSet};

/// The nodes and initializers so far.
pub(super) struct GraphBuilder {
    nodes: Vec<NodeProto>,
    initializers: Vec<TensorProto>,
    /// Names that are given out: no two values may share one. Those of layers are among them, so that no other node gets one.
    taken: HashSet<String>,
    /// What each layer's value is called.
    values: HashMap<String, String>,
}

/// One node, put together before it is added.
pub(super) struct NodeBuilder(NodeProto);

impl GraphBuilder {
    /// A graph for the layers of `spec`; `parameters` are the names of its initializers.
    pub fn new<'a>(spec: &Spec, parameters: impl Iterator<Item = &'a str>) -> Self {
        let fixed = ["input", "logits", "probabilities"].into_iter();
        let mut builder = GraphBuilder {
            nodes: Vec::new(),
            initializers: Vec::new(),
            taken: fixed.chain(parameters).map(str::to_string).collect(),
            values: HashMap::new(),
        };
        // All names that can stay as they are come first.
        let (free, others): (Vec<_>, Vec<_>) =
            spec.layers.iter().map(|layer| &layer.name).partition(|name| !builder.taken.contains(*name));
        for name in free.into_iter().chain(others) {
            let value = builder.fresh(name);
            builder.values.insert(name.clone(), value);
        }
        builder
    }

    /// `wanted`, or that with a number behind it if it is taken.
    pub fn fresh(&mut self, wanted: &str) -> String {
        let mut name = wanted.to_string();
        let mut number = 1;
        while !self.taken.insert(name.clone()) {
            name = format!("{wanted}_{number}");
            number += 1;
        }
        name
    }

    /// What the value of the layer `layer` is called.
    pub fn value_name(&self, layer: &str) -> String {
        self.values.get(layer).cloned().unwrap_or_else(|| layer.to_string())
    }

    /// Adds an initializer under a name that is its own already.
    pub fn initializer(&mut self, name: &str, dims: &[usize], values: &[f32]) {
        let raw = Bytes::from(little_endian(values).into_owned());
        self.tensor(name, dims, data_type::FLOAT, raw);
    }

    /// Adds a constant of f32 and returns its name.
    pub fn constant(&mut self, wanted: &str, dims: &[usize], values: &[f32]) -> String {
        let name = self.fresh(wanted);
        self.initializer(&name, dims, values);
        name
    }

    /// Adds a constant of i64, `[values.len()]`, and returns its name.
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

    /// Adds a helper node of the layer `layer`, whose value gets a name that ends in `part`; returns that name.
    pub fn helper(&mut self, layer: &str, part: &str, op_type: &str, inputs: &[&str]) -> String {
        self.helper_with(layer, part, op_type, inputs, |node| node)
    }

    /// The same with attributes.
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

    fn attribute(mut self, name: &str, kind: AttributeType, set: impl FnOnce(&mut AttributeProto)) -> Self {
        let mut attribute =
            AttributeProto { name: name.into(), r#type: kind.into(), ..AttributeProto::default() };
        set(&mut attribute);
        self.0.attribute.push(attribute);
        self
    }
}
