//! Export of a network's layers and weights to an ONNX file. `graph` collects nodes under unique names, `layers` maps
//! layers to nodes, `activations`, `pooling` and `normalisation` do so for operators that ONNX defines differently or
//! that take several nodes, and `preprocess` adds the nodes between pixels and the network's input.

pub(super) mod activations;
pub(super) mod channels;
pub(super) mod graph;
pub(super) mod layers;
pub(super) mod normalisation;
pub(super) mod pooling;
mod preprocess;
#[cfg(test)]
mod tests;

use super::schema::{
    Dimension, GraphProto, ModelProto, OperatorSetIdProto, StringStringEntryProto, TensorShapeProto,
    TensorTypeProto, TypeProto,
};
use super::schema::{ValueInfoProto, data_type};
use crate::error::{Error, Result};
use crate::model::{LossKind, Spec};
use crate::tensor::Tensor;
use graph::GraphBuilder;
use layers::LayerTensors;
pub(super) use pooling::uniform_windows;
use prost::Message;
use std::collections::BTreeMap;

/// Operator set and IR version of exported files (those of ONNX 1.13, December 2022).
const OPSET: i64 = 17;
const IR_VERSION: i64 = 8;

/// A protocol-buffer message must be shorter than 2 GiB.
const LIMIT: usize = i32::MAX as usize;

/// The input of an export.
#[derive(Clone, Copy, Debug)]
pub struct Export<'a> {
    /// The network: its layers are written, and on request its preprocessing.
    pub spec: &'a Spec,
    /// Parameters and running statistics by name. Tensors that belong to no layer of `spec` are left out.
    pub tensors: &'a [(String, Tensor)],
    /// Written as `metadata_props`.
    pub metadata: &'a BTreeMap<String, String>,
    /// Whether the graph includes the preprocessing: it takes images, u8 `[batch, height, width, channels]`, and returns
    /// probabilities.
    pub with_preprocess: bool,
}

/// Encodes a network as the bytes of an ONNX file (opset 17, IR version 8).
///
/// The graph maps `input`, f32 `[batch, channels, height, width]`, to `logits`, f32 `[batch, classes]`, with `batch` open.
/// With preprocessing it maps `input`, u8 `[batch, height, width, channels]`, to `probabilities` (to `logits` if the loss
/// has no softmax). Nodes are named after their layers, values too where the name is free, and initializers after the
/// parameters. Dropout is left out.
///
/// # Errors
///
/// If a tensor is missing or has another shape, if ONNX cannot express a layer, or if the file would reach 2 GiB.
pub fn encode(export: &Export<'_>) -> Result<Vec<u8>> {
    let spec = export.spec;
    let shapes = spec.layer_shapes()?;
    let classes = shapes.last().ok_or_else(|| Error::Model(format!("{}: no layers", spec.name)))?;
    let weights = LayerTensors::new(spec, export.tensors, &shapes)?;
    if weights.bytes() >= LIMIT {
        return Err(too_large(spec, weights.bytes()));
    }
    let mut builder = GraphBuilder::new(spec, weights.names());
    let [channels, height, width] = spec.input;
    let (input, kind) = if export.with_preprocess {
        ([height, width, channels], data_type::UINT8)
    } else {
        (spec.input, data_type::FLOAT)
    };
    let start = if export.with_preprocess {
        preprocess::add(&mut builder, &spec.preprocess)
    } else {
        "input".to_string()
    };
    layers::add(&mut builder, spec, &shapes, &weights, start)?;
    let output = if export.with_preprocess && spec.recipe.loss == LossKind::CrossEntropy {
        preprocess::softmax(&mut builder);
        "probabilities"
    } else {
        "logits"
    };
    let (node, initializer) = builder.finish();
    let graph = GraphProto {
        node,
        // The standard requires a name.
        name: if spec.name.is_empty() { "network".into() } else { spec.name.clone() },
        initializer,
        input: vec![value_info("input", kind, &input)],
        output: vec![value_info(output, data_type::FLOAT, classes)],
    };
    let entry =
        |(key, value): (&String, &String)| StringStringEntryProto { key: key.clone(), value: value.clone() };
    let model = ModelProto {
        ir_version: IR_VERSION,
        producer_name: "striate".into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        graph: Some(graph),
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: OPSET }],
        metadata_props: export.metadata.iter().map(entry).collect(),
        ..ModelProto::default()
    };
    match model.encoded_len() {
        bytes if bytes >= LIMIT => Err(too_large(spec, bytes)),
        _ => Ok(model.encode_to_vec()),
    }
}

fn too_large(spec: &Spec, bytes: usize) -> Error {
    Error::Model(format!(
        "{}: expected an ONNX file shorter than 2 GiB, found {bytes} bytes; export safetensors instead",
        spec.name
    ))
}

/// Describes an input or output of the graph: `dims` after an open batch dimension.
fn value_info(name: &str, elem_type: i32, dims: &[usize]) -> ValueInfoProto {
    let batch = Dimension { dim_param: Some("batch".into()), dim_value: None };
    let known = |&n: &usize| Dimension { dim_value: Some(n as i64), dim_param: None };
    let shape = TensorShapeProto { dim: std::iter::once(batch).chain(dims.iter().map(known)).collect() };
    let tensor_type = Some(TensorTypeProto { elem_type, shape: Some(shape) });
    ValueInfoProto { name: name.into(), r#type: Some(TypeProto { tensor_type }) }
}
