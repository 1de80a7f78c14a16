//! The output shape of every layer of a model file.

use super::spec::Spec;
use crate::error::{Error, Result};
use std::collections::HashMap;

impl Spec {
    /// Output extents of every layer without the batch, in the order of `layers`.
    ///
    /// # Errors
    /// `Error::Model` that names the layer whose inputs do not fit or are not above it.
    pub fn layer_shapes(&self) -> Result<Vec<Vec<usize>>> {
        let mut known: HashMap<&str, Vec<usize>> = HashMap::from([("input", self.input.to_vec())]);
        let mut shapes = Vec::with_capacity(self.layers.len());
        for layer in &self.layers {
            let fault = |what: String| {
                Error::Model(format!("{}:{}: layer {}: {what}", self.origin, layer.line, layer.name))
            };
            let mut inputs = Vec::with_capacity(layer.inputs.len());
            for name in &layer.inputs {
                let shape = known.get(name.as_str());
                inputs.push(shape.ok_or_else(|| fault(format!("no layer `{name}` above it")))?.as_slice());
            }
            if inputs.is_empty() {
                return Err(fault("expected at least 1 input, found none".into()));
            }
            let out = layer.op.kind().output(&inputs, 1).map_err(fault)?;
            known.insert(&layer.name, out.clone());
            shapes.push(out);
        }
        Ok(shapes)
    }

    /// Gives the network's last layer with weights `classes` outputs, and returns that layer's name.
    ///
    /// # Errors
    /// `Error::Usage` if no layer has an attribute for its number of outputs.
    pub fn replace_outputs(&mut self, classes: usize) -> Result<String> {
        for layer in self.layers.iter_mut().rev() {
            let Some(outputs) = layer.op.kind_mut().outputs_mut() else { continue };
            *outputs = classes;
            return Ok(layer.name.clone());
        }
        Err(Error::Usage(format!("model {} has no layer whose outputs num-classes could replace", self.name)))
    }
}
