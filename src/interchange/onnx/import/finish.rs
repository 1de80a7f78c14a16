//! From the draft to a model file and its tensors, checked against each other.

use super::draft::{GraphValue, NetworkDraft};
use super::{Imported, names, pixels};
use crate::model::{BuildOptions, Init, Layer, LayerOp, LossKind, Model, Preprocess, Recipe, Spec};
use crate::tensor::{Shape, Tensor};
use std::collections::{BTreeMap, HashMap};

/// Takes the final softmax away, which the loss contains, and makes the answer flat.
pub(super) fn finish_output(draft: &mut NetworkDraft<'_>, loss: LossKind) -> Result<(), String> {
    let output = draft.graph.output;
    let (mut from, dims) = match draft.values.get(output) {
        Some(GraphValue::Layer { from, dims }) => (*from, dims.clone()),
        _ => return Err(format!("the output {output:.60} does not depend on the input")),
    };
    if loss == LossKind::CrossEntropy {
        from = without_softmax(draft, from, dims.iter().product());
    }
    if dims.len() != 1 {
        draft.note("the output is no vector: a flatten layer is put behind it");
    }
    if dims.len() != 1 || from.is_none() {
        from = Some(draft.append("flatten", "", LayerOp::Flatten, vec![from], &[&dims])?);
    }
    keep_what_is_read(draft, from);
    Ok(())
}

/// The answer `last` of `outputs` values without the softmax that ends it, if one does: the layer itself or what flatten layers read.
fn without_softmax(draft: &mut NetworkDraft<'_>, last: Option<usize>, outputs: usize) -> Option<usize> {
    let (mut reader, mut found) = (None, last?);
    while draft.layers[found].op == LayerOp::Flatten {
        let above = draft.layers[found].inputs.first().copied().flatten();
        let Some(above) = above else { return last };
        (reader, found) = (Some(found), above);
    }
    // Over several places that are flattened it is another one than the loss's.
    let softmax = &draft.layers[found];
    if softmax.op != LayerOp::Softmax || softmax.channels != outputs {
        return last;
    }
    let above = softmax.inputs.first().copied().flatten();
    draft.note("the final Softmax is left out: the loss cross-entropy contains it");
    match reader {
        None => above,
        Some(reader) => {
            draft.layers[reader].inputs = vec![above];
            last
        }
    }
}

/// Leaves out layers that `last` does not need, and those after it.
fn keep_what_is_read(draft: &mut NetworkDraft<'_>, last: Option<usize>) {
    let mut needed = vec![false; draft.layers.len()];
    if let Some(last) = last {
        needed[last] = true;
    }
    // A layer reads only layers above it.
    for position in (0..needed.len()).rev() {
        if needed[position] {
            for input in draft.layers[position].inputs.iter().flatten() {
                needed[*input] = true;
            }
        }
    }
    let mut places: HashMap<usize, usize> = HashMap::new();
    let mut kept = Vec::new();
    for (position, mut layer) in std::mem::take(&mut draft.layers).into_iter().enumerate() {
        if needed[position] {
            places.insert(position, kept.len());
            layer
                .inputs
                .iter_mut()
                .flatten()
                .for_each(|input| *input = places.get(input).copied().unwrap_or(0));
            kept.push(layer);
        }
    }
    draft.layers = kept;
}

/// Where the network comes from, for its name and messages.
pub(super) struct ImportSource<'a> {
    /// What to call the file.
    pub text: &'a str,
    /// The name of the graph, and of the file without its extension.
    pub graph: &'a str,
    pub stem: &'a str,
}

/// The model file, and the tensors under its names.
pub(super) fn finish(
    draft: NetworkDraft<'_>,
    input: [usize; 3],
    loss: LossKind,
    metadata: BTreeMap<String, String>,
    origin: &ImportSource<'_>,
) -> Result<Imported, String> {
    let layer_names = names::names(&draft.layers, metadata.contains_key("model"));
    let name_of = |from: &Option<usize>| from.map_or("input".to_string(), |layer| layer_names[layer].clone());
    let (mut layers, mut tensors) = (Vec::new(), Vec::new());
    for (layer, name) in draft.layers.into_iter().zip(&layer_names) {
        tensors.extend(layer.tensors.into_iter().map(|(kind, tensor)| (format!("{name}.{kind}"), tensor)));
        layers.push(Layer {
            name: name.clone(),
            op: layer.op,
            inputs: layer.inputs.iter().map(name_of).collect(),
            init: Init::default(),
            lr_mult: [1.0; 2],
            decay_mult: [1.0; 2],
            line: 0,
        });
    }
    let arch = metadata.get("arch").map_or("", String::as_str);
    let mut spec = Spec {
        name: names::network_name(&[arch, origin.graph], origin.stem),
        input,
        preprocess: Preprocess::plain(input[0]),
        geometry: Default::default(),
        augment: Default::default(),
        recipe: Recipe { loss, ..Recipe::default() },
        layers,
        origin: origin.text.to_string(),
        source: String::new(),
    };
    spec.preprocess = pixels::preprocess(&metadata, input, draft.affine.as_ref(), spec.preprocess);
    let mut notes = draft.notes;
    if draft.affine.as_ref().is_some_and(|affine| !affine.of_pixels) {
        let range = if spec.preprocess.scale == 1.0 { "0 to 255" } else { "0 to 1" };
        notes.push(format!(
            "the file's own arithmetic on its input has become [preprocess], for images whose pixels it takes as {range} (import --scale says otherwise)"
        ));
    }
    let inside = |error: crate::Error| {
        let text = error.to_string();
        let text = text.strip_prefix(origin.text).map(str::to_string).unwrap_or(text);
        format!("the network in it{text}")
    };
    let spec = Spec::parse(&spec.to_toml(), origin.text).map_err(inside)?;
    let model =
        Model::build(&spec, &BuildOptions { training: false, ..BuildOptions::new(1) }).map_err(inside)?;
    check(&model, &tensors)?;
    let mut metadata = metadata;
    if metadata.contains_key("num_classes") {
        metadata.insert("num_classes".into(), model.classes.to_string());
    }
    Ok(Imported { spec, tensors, metadata, notes })
}

/// An error that names the first parameter whose tensor is missing or has another shape.
fn check(model: &Model, tensors: &[(String, Tensor)]) -> Result<(), String> {
    let found: HashMap<&str, &Shape> =
        tensors.iter().map(|(name, tensor)| (name.as_str(), tensor.shape())).collect();
    for parameter in model.parameters.iter().chain(&model.state) {
        match found.get(parameter.name.as_str()) {
            Some(shape) if **shape == parameter.shape => {}
            Some(shape) => {
                return Err(format!("{}: expected {}, found {shape}", parameter.name, parameter.shape));
            }
            None => return Err(format!("{}: expected {}, found none", parameter.name, parameter.shape)),
        }
    }
    let expected = model.parameters.len() + model.state.len();
    if expected == found.len() {
        Ok(())
    } else {
        Err(format!("expected {expected} tensors, found {}", found.len()))
    }
}
