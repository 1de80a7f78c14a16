//! Import of an ONNX graph as a model file and weights, ready for further training.
//!
//! The file is decoded (`schema`), its graph is reduced to the nodes that the output depends on (`graph`), and these are
//! translated in order (`operators`). Each node defines the meaning of its output (`draft`), usually a layer with its
//! tensors. Unsupported nodes are collected and reported together. The layers get names (`names`) and become a model file,
//! which is built once to check that all shapes fit (`finish`).

pub(super) mod activations;
mod attributes;
mod averages;
pub(super) mod channels;
mod constants;
pub(super) mod draft;
mod expressions;
mod external;
mod finish;
mod fold;
mod formula;
mod graph;
mod input;
mod layouts;
mod limits;
pub(super) mod linear;
mod names;
pub(super) mod normalisation;
pub(super) mod operators;
mod padding;
mod pixels;
pub(super) mod products;
pub(super) mod resize;
mod shape_tensor;
pub(super) mod shapes;
mod tensor;
mod vectors;
pub(super) mod windows;

use super::{embedded, schema};
use crate::error::{Error, Result};
use crate::interchange::File;
use crate::model::{LossKind, Spec};
use crate::tensor::Tensor;
use attributes::short;
use constants::Constants;
use draft::{GraphValue, NetworkDraft};
use external::External;
use finish::ImportSource;
use graph::ReachableGraph;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::Path;

/// Supported versions of the standard operator set; before version 7 operators broadcast differently.
const OPSETS: RangeInclusive<i64> = 7..=28;

/// Most metadata kept of a file, in bytes; the metadata of the imported weights file is limited, too.
const LONGEST_METADATA: usize = 1 << 20;

/// Options of an import.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImportOptions {
    /// Whether weights may be read from other files, in the folder of the ONNX file or below.
    pub external_data: bool,
    /// Channels, height and width of the input, for files that leave them open.
    pub input: Option<[usize; 3]>,
}

impl ImportOptions {
    /// Sets whether weights may be read from other files.
    pub fn with_external_data(mut self, external_data: bool) -> Self {
        self.external_data = external_data;
        self
    }

    /// Sets channels, height and width of the input.
    pub fn with_input(mut self, input: Option<[usize; 3]>) -> Self {
        self.input = input;
        self
    }
}

/// An imported network with its weights.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The network; its `source` is a complete model file.
    pub spec: Spec,
    /// Parameters and running statistics, by the names that a program built from `spec` uses.
    pub tensors: Vec<(String, Tensor)>,
    /// The file's `metadata_props`.
    pub metadata: BTreeMap<String, String>,
    /// Remarks for the user, one line each.
    pub notes: Vec<String>,
}

impl Imported {
    /// Converts to a weights file with the model file in its metadata.
    pub fn into_file(self, path: &Path) -> File {
        let mut metadata = self.metadata;
        metadata.insert("model".into(), self.spec.source);
        let (path, tensors) = (path.to_path_buf(), self.tensors.into_iter().collect());
        File { path, tensors, metadata, notes: Vec::new() }
    }
}

/// Reads the ONNX file at `path`.
pub fn read(path: impl AsRef<Path>, options: &ImportOptions) -> Result<Imported> {
    let path = path.as_ref();
    decode(limits::read(path)?, path, options)
}

/// Imports an ONNX file's bytes. `path` names the file in messages; external data is searched beside it.
pub fn decode(bytes: Vec<u8>, path: &Path, options: &ImportOptions) -> Result<Imported> {
    import(bytes, path, options).map_err(|what| Error::data(path, what))
}

fn import(bytes: Vec<u8>, path: &Path, options: &ImportOptions) -> Result<Imported, String> {
    let model = limits::decode(bytes)?;
    let opset = versions(&model)?;
    let file = model.graph.as_ref().ok_or("expected a graph, found none")?;
    let graph = ReachableGraph::new(file)?;
    if !options.external_data {
        external::none(&graph)?;
    }
    let mut constants = Constants::new(External::beside(path, options.external_data));
    let values = graph
        .initializers
        .iter()
        .map(|(name, proto)| (*name, GraphValue::Constant(constants.add(name, Cow::Borrowed(*proto)))))
        .collect();
    let mut draft = NetworkDraft {
        graph: &graph,
        opset,
        is_ours: model.metadata_props.iter().any(|entry| entry.key == "model"),
        batch: None,
        constants,
        values,
        layers: Vec::new(),
        affine: None,
        notes: Vec::new(),
    };
    if !graph.others.is_empty() {
        let names: Vec<_> = graph.others.iter().take(8).map(|name| short(name)).collect();
        draft.note(&format!(
            "the file has several outputs; using {}, ignoring {}",
            short(graph.output),
            names.join(", ")
        ));
    }
    let input = input::declare(&mut draft, options)?;
    operators::translate(&mut draft)?;
    let metadata = metadata(&mut draft, &model);
    let loss = loss(&metadata);
    finish::finish_output(&mut draft, loss)?;
    let text = path.display().to_string();
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let origin = ImportSource { text: &text, graph: &file.name, stem: &stem };
    finish::finish(draft, input, loss, metadata, &origin).map(embedded::prefer_embedded)
}

/// The version of the standard operator set; an error if it or the IR version is not supported.
fn versions(model: &schema::ModelProto) -> Result<i64, String> {
    if model.ir_version < 3 {
        return Err(format!("expected an ONNX file of IR version 3 or later, found {}", model.ir_version));
    }
    let standard = model.opset_import.iter().find(|set| set.domain.is_empty() || set.domain == "ai.onnx");
    let version = standard.ok_or("expected a version of the standard operator set, found none")?.version;
    if OPSETS.contains(&version) {
        return Ok(version);
    }
    Err(format!("expected operator set {} to {}, found {version}", OPSETS.start(), OPSETS.end()))
}

/// The file's metadata, without entries that are too long.
fn metadata(draft: &mut NetworkDraft<'_>, model: &schema::ModelProto) -> BTreeMap<String, String> {
    let mut left = LONGEST_METADATA;
    let mut metadata = BTreeMap::new();
    for schema::StringStringEntryProto { key, value } in &model.metadata_props {
        match left.checked_sub(key.len() + value.len()) {
            Some(rest) => {
                left = rest;
                metadata.insert(key.clone(), value.clone());
            }
            None => draft.note(&format!("the metadata entry {} is dropped: it is too long", short(key))),
        }
    }
    metadata
}

/// The loss of the embedded model file; cross-entropy if there is none.
fn loss(metadata: &BTreeMap<String, String>) -> LossKind {
    let embedded = metadata.get("model").and_then(|text| Spec::parse(text, "model").ok());
    embedded.map_or(LossKind::CrossEntropy, |spec| spec.recipe.loss)
}
