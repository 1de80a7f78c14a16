//! The last stage of an import: from the draft to a model file and its tensors, checked against each other.

use super::draft::{GraphValue, NetworkDraft};
use super::{Imported, expressions, layouts, names, pixels};
use crate::model::{
    BuildOptions, Init, Layer, LayerOp, LossKind, Model, Preprocess, Recipe, Spec, TensorKind, layers,
};
use crate::tensor::{Shape, Tensor};
use std::collections::{BTreeMap, HashMap};

/// Drops the final softmax, which the loss includes, and flattens the output.
pub(super) fn finish_output(draft: &mut NetworkDraft<'_>, loss: LossKind) -> Result<(), String> {
    let output = draft.graph.output;
    settle_output(draft)?;
    let (mut from, dims) = match draft.values.get(output) {
        Some(GraphValue::Layer { from, dims }) => (*from, dims.clone()),
        _ => return Err(format!("the output {output:.60} does not depend on the input")),
    };
    if loss == LossKind::CrossEntropy {
        from = without_softmax(draft, from, dims.iter().product());
    }
    if dims.len() != 1 {
        draft.note("the output is not a vector; a flatten layer is appended");
    }
    if dims.len() != 1 || from.is_none() {
        from = Some(draft.append("flatten", "", LayerOp::Flatten(layers::Flatten), vec![from], &[&dims])?);
    }
    keep_what_is_read(draft, from);
    Ok(())
}

/// Brings the network's output into our layout: a final formula becomes a layer, `[N, 1, 1, K]` a flat value.
fn settle_output(draft: &mut NetworkDraft<'_>) -> Result<(), String> {
    let output = draft.graph.output;
    let value = match draft.values.get(output).cloned() {
        Some(GraphValue::ChannelsLast(inner)) => {
            let [_, height, width] = layouts::dims_of(&inner)?;
            if [height, width] != [1, 1] {
                return Err(format!("the output {output:.60} is [N, H, W, C]: expected [N, K]"));
            }
            *inner
        }
        Some(GraphValue::Vector { from, len }) => GraphValue::Layer { from, dims: vec![len] },
        Some(GraphValue::FlatChannelsLast { .. }) => {
            return Err(format!("the output {output:.60} is a flat [N, H, W, C]: expected [N, K]"));
        }
        Some(value) => value,
        None => return Ok(()),
    };
    draft.values.insert(output, value);
    if let Some(GraphValue::Expression(_)) = draft.values.get(output) {
        let what = |what| format!("the output {output:.60}: {what}");
        expressions::settle_one(draft, output).map_err(what)?;
    }
    Ok(())
}

/// Drops the final softmax of the output layer `last`, which has `outputs` values; only flatten layers may follow it.
/// Returns the new output layer.
fn without_softmax(draft: &mut NetworkDraft<'_>, last: Option<usize>, outputs: usize) -> Option<usize> {
    let (mut reader, mut found) = (None, last?);
    while draft.layers[found].op == LayerOp::Flatten(layers::Flatten) {
        let above = draft.layers[found].inputs.first().copied().flatten();
        let Some(above) = above else { return last };
        (reader, found) = (Some(found), above);
    }
    // A softmax per position of a map that is flattened afterwards differs from the softmax of the loss.
    let softmax = &draft.layers[found];
    if softmax.op != LayerOp::Softmax(layers::Softmax) || softmax.channels != outputs {
        return last;
    }
    let above = softmax.inputs.first().copied().flatten();
    draft.note("the final Softmax is dropped: the cross-entropy loss includes it");
    match reader {
        None => above,
        Some(reader) => {
            draft.layers[reader].inputs = vec![above];
            last
        }
    }
}

/// Drops layers that the output layer `last` does not depend on.
fn keep_what_is_read(draft: &mut NetworkDraft<'_>, last: Option<usize>) {
    let mut needed = vec![false; draft.layers.len()];
    if let Some(last) = last {
        needed[last] = true;
    }
    // A layer reads only earlier layers.
    for position in (0..needed.len()).rev() {
        if needed[position] {
            for input in draft.layers[position].inputs.iter().flatten() {
                needed[*input] = true;
            }
        }
    }
    let mut positions: HashMap<usize, usize> = HashMap::new();
    let mut kept = Vec::new();
    for (position, mut layer) in std::mem::take(&mut draft.layers).into_iter().enumerate() {
        if needed[position] {
            positions.insert(position, kept.len());
            layer
                .inputs
                .iter_mut()
                .flatten()
                .for_each(|input| *input = positions.get(input).copied().unwrap_or(0));
            kept.push(layer);
        }
    }
    draft.layers = kept;
}

/// The source of an import, for the network's name and for messages.
pub(super) struct ImportSource<'a> {
    /// The path to show in messages.
    pub text: &'a str,
    /// The name of the graph, and the file's name without its extension.
    pub graph: &'a str,
    pub stem: &'a str,
}

/// Builds the model file and the tensors under its names, and checks that they fit.
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
        for (kind, tensor) in layer.tensors {
            let end = if kind == "weight" { layer.op.tensor_name(TensorKind::Weight) } else { kind };
            tensors.push((format!("{name}.{end}"), tensor));
        }
        layers.push(Layer {
            name: name.clone(),
            op: layer.op,
            inputs: layer.inputs.iter().map(name_of).collect(),
            init: Init::default(),
            lr_mult: if layer.is_fixed { [0.0; 2] } else { [1.0; 2] },
            decay_mult: if layer.is_fixed { [0.0; 2] } else { [1.0; 2] },
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
            "the graph's arithmetic on its input is imported as [preprocess], assuming pixel values of {range} (the option scale overrides it)"
        ));
    }
    let inside = |error: crate::error::Error| {
        let text = error.to_string();
        let text = text.strip_prefix(origin.text).map(str::to_string).unwrap_or(text);
        format!("the imported network{text}")
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

/// Returns an error that names the first parameter whose tensor is missing or has another shape.
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
