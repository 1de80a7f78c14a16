//! From an ONNX graph to a model file and weights that can be trained on.
//!
//! The file is decoded (`schema`), the part of its graph that the answer needs is found (`graph`), and its nodes are gone through in order
//! (`operators`): each says what its output is in our terms (`draft`), mostly a layer with its tensors. What is not understood is collected and
//! listed at once. The layers get names (`names`) and become a model file that is built once to check that all shapes fit (`finish`).

mod attributes;
mod averages;
mod constants;
mod draft;
mod external;
mod finish;
mod graph;
mod input;
mod limits;
mod linear;
mod names;
mod normalisation;
mod operators;
mod padding;
mod pixels;
mod shape_tensor;
mod shapes;
mod tensor;
mod windows;

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

/// Versions of the standard operator set that are read: before 7 operators broadcast otherwise.
const OPSETS: RangeInclusive<i64> = 7..=26;

/// Longest notes of a file that are kept, in bytes: those of the weights that an import leaves have a bound, too.
const LONGEST_NOTES: usize = 1 << 20;

/// How a file is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// Whether weights may lie in other files, which must be in the folder of the ONNX file or below it.
    pub external_data: bool,
    /// Channels, height and width of the input, where the file leaves them open.
    pub input: Option<[usize; 3]>,
}

/// A network with its weights.
#[derive(Clone, Debug)]
pub struct Imported {
    /// Its `source` is a complete model file.
    pub spec: Spec,
    /// Parameters and running statistics by name, as a program built from `spec` wants them.
    pub tensors: Vec<(String, Tensor)>,
    /// The file's `metadata_props`.
    pub metadata: BTreeMap<String, String>,
    /// What the user should know, a line each.
    pub notes: Vec<String>,
}

impl Imported {
    /// As a file of weights that carries its network.
    pub fn into_file(self, path: &Path) -> File {
        let mut metadata = self.metadata;
        metadata.insert("model".into(), self.spec.source);
        File { path: path.to_path_buf(), tensors: self.tensors.into_iter().collect(), metadata }
    }
}

/// Reads the ONNX file at `path`.
pub fn read(path: impl AsRef<Path>, options: &ImportOptions) -> Result<Imported> {
    let path = path.as_ref();
    decode(limits::read(path)?, path, options)
}

/// Reads an ONNX file's bytes; `path` is what to call it, and where external data is looked for.
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
        batch: None,
        constants,
        values,
        layers: Vec::new(),
        affine: None,
        notes: Vec::new(),
    };
    if !graph.others.is_empty() {
        let names: Vec<_> = graph.others.iter().take(8).map(|name| short(name)).collect();
        draft.note(&format!("of several outputs {} is taken, not {}", short(graph.output), names.join(", ")));
    }
    let input = input::declare(&mut draft, options)?;
    operators::translate(&mut draft)?;
    let metadata = notes(&mut draft, &model);
    let loss = loss(&metadata);
    finish::finish_output(&mut draft, loss)?;
    let text = path.display().to_string();
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let origin = ImportSource { text: &text, graph: &file.name, stem: &stem };
    finish::finish(draft, input, loss, metadata, &origin).map(embedded::prefer_embedded)
}

/// The version of the standard operator set, if we know it and the format's.
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

/// The file's notes, without those that are too long.
fn notes(draft: &mut NetworkDraft<'_>, model: &schema::ModelProto) -> BTreeMap<String, String> {
    let mut left = LONGEST_NOTES;
    let mut notes = BTreeMap::new();
    for schema::StringStringEntryProto { key, value } in &model.metadata_props {
        match left.checked_sub(key.len() + value.len()) {
            Some(rest) => {
                left = rest;
                notes.insert(key.clone(), value.clone());
            }
            None => draft.note(&format!("the note {} is left out: it is too long", short(key))),
        }
    }
    notes
}

/// The loss of the network that the file's notes carry.
fn loss(metadata: &BTreeMap<String, String>) -> LossKind {
    let noted = metadata.get("model").and_then(|text| Spec::parse(text, "model").ok());
    noted.map_or(LossKind::CrossEntropy, |spec| spec.recipe.loss)
}
