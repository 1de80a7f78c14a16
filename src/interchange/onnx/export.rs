//! From a model file's layers to an ONNX graph.

use crate::error::{Error, Result};
use crate::model::Spec;
use crate::tensor::Tensor;
use std::collections::BTreeMap;

/// What is exported.
#[derive(Clone, Copy, Debug)]
pub struct Export<'a> {
    pub spec: &'a Spec,
    /// Parameters and running statistics by name.
    pub tensors: &'a [(String, Tensor)],
    /// Becomes `metadata_props`.
    pub metadata: &'a BTreeMap<String, String>,
    /// Whether the graph takes pictures, u8 `[batch, height, width, channels]`, and gives probabilities.
    pub with_preprocess: bool,
}

/// The bytes of an ONNX file (opset 17, IR 8).
pub fn encode(export: &Export<'_>) -> Result<Vec<u8>> {
    Err(Error::Internal(format!("{}: ONNX cannot be written yet", export.spec.name)))
}
