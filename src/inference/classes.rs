//! Class matching: the outputs of weights and the classes of data are matched by name.

use super::messages::Messages;
use crate::data::{Dataset, Labels, Splits};
use crate::error::{Error, Result, printable};
use crate::interchange::File;
use crate::model::{LayerOp, Spec};
use crate::tensor::Tensor;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

/// How the classes of data are found among those of weights.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClassMatch {
    /// Output k is class k.
    Same,
    /// One of the two has no names for its classes, so output k is taken for class k.
    Unnamed,
    /// Class k of the data is this output.
    Outputs(Vec<usize>),
    /// The weights have no output of this class, the first of them.
    Missing(usize),
}

/// The names of the classes that the metadata of `file` have, fit for a terminal; empty if there are none.
pub fn class_names(file: &File) -> Vec<String> {
    let known = file.metadata.get("classes").and_then(|text| serde_json::from_str::<Vec<String>>(text).ok());
    known.unwrap_or_default().iter().map(|name| printable(name).into_owned()).collect()
}

/// Finds the classes of `data` among `known`, the names of a network's outputs.
pub fn match_classes(known: &[String], data: &Dataset) -> ClassMatch {
    let names = &data.class_names;
    let is_numbered = |names: &[String]| names.iter().enumerate().all(|(k, name)| *name == k.to_string());
    let are_numbers = |names: &[String]| names.iter().all(|name| name.parse::<u64>().is_ok());
    if known.is_empty() || matches!(data.labels, Labels::Values { .. }) {
        return ClassMatch::Unnamed;
    }
    if known == names.as_slice() || (is_numbered(known) && is_numbered(names)) {
        return ClassMatch::Same;
    }
    let mut places: HashMap<&str, Option<usize>> = HashMap::new();
    for (k, name) in known.iter().enumerate() {
        // A name that stands twice names no output.
        places.entry(name).and_modify(|place| *place = None).or_insert(Some(k));
    }
    let outputs: Vec<Option<usize>> =
        names.iter().map(|name| places.get(name.as_str()).copied().flatten()).collect();
    match outputs.iter().position(Option::is_none) {
        None => ClassMatch::Outputs(outputs.into_iter().flatten().collect()),
        // Numbers as names on both sides are names: class "1" is not the output "0" that stands in its place.
        Some(class) if are_numbers(known) && are_numbers(names) => ClassMatch::Missing(class),
        Some(_) if is_numbered(known) || is_numbered(names) => ClassMatch::Unnamed,
        Some(class) => ClassMatch::Missing(class),
    }
}

/// `splits` with its classes numbered as the outputs of the weights in `file` are. An error if there is one that they do
/// not know.
#[cfg(feature = "cli")]
pub(crate) fn with_classes_of(file: &File, splits: Splits, messages: &dyn Messages) -> Result<Splits> {
    let known = class_names(file);
    match match_classes(&known, &splits.val) {
        ClassMatch::Missing(_) => Err(other_classes(&file.path, &known, &splits.val)),
        ClassMatch::Outputs(outputs) => {
            let (found, all, name) = (outputs.len(), known.len(), &splits.val.name);
            messages.note(&format!(
                "note: the {found} classes of {name} are matched by name with the {all} of the weights"
            ));
            Ok(relabel(&splits, &known, &outputs))
        }
        ClassMatch::Unnamed => {
            note_unnamed(&known, &splits.val, messages);
            Ok(splits)
        }
        ClassMatch::Same => Ok(splits),
    }
}

/// Reports that outputs and classes were matched by their numbers, where only one of the two has names.
pub(crate) fn note_unnamed(known: &[String], data: &Dataset, messages: &dyn Messages) {
    let is_numbered = known.iter().enumerate().all(|(k, name)| *name == k.to_string());
    if !matches!(data.labels, Labels::Classes(_)) || (is_numbered && !data.names_classes()) {
        return;
    }
    let name = &data.name;
    messages.note(&match is_numbered {
        true => format!("note: {name} names its classes, the weights do not: output k is taken for class k"),
        false => {
            format!("note: the weights name their classes, {name} does not: output k is taken for class k")
        }
    });
}

/// An error that says that `known`, the names of outputs, are not those of the classes of `data`: the first that differs.
pub fn other_classes(path: &Path, known: &[String], data: &Dataset) -> Error {
    let names = &data.class_names;
    let class = (0..names.len()).find(|&class| known.get(class) != names.get(class)).unwrap_or_default();
    let there = known.get(class).map_or("none".to_string(), |name| format!("\"{name}\""));
    Error::data(
        path,
        format!(
            "expected weights for the classes of {}, whose class {class} is \"{}\", found {there} (of {} classes)",
            data.name,
            names.get(class).map_or("", String::as_str),
            known.len()
        ),
    )
}

/// Leaves of the network's last layer in `file` the rows `outputs`, in this order: weight and bias, and what a batch norm
/// behind it has for each. An error unless its rows are the network's outputs, of which there are `known`.
pub fn select_outputs(file: &mut File, spec: &Spec, known: usize, outputs: &[usize]) -> Result<()> {
    let is_head = |op: &LayerOp| matches!(op, LayerOp::Linear(_) | LayerOp::Conv2d(_));
    let Some(head) = spec.layers.iter().rposition(|layer| is_head(&layer.op)) else {
        return Err(Error::Model(format!("{}: no layer has one row per class", spec.name)));
    };
    for layer in &spec.layers[head..] {
        for part in ["weight", "bias", "running_mean", "running_var"] {
            let name = format!("{}.{part}", layer.name);
            let Some(tensor) = file.tensors.get(&name) else { continue };
            let rows = tensor.shape().dims().first().copied().unwrap_or(0);
            if rows != known {
                let what = format!("{name}: expected {known} rows, one per class, found {rows}");
                return Err(Error::data(&file.path, what));
            }
            let row = tensor.data().len() / rows.max(1);
            let values =
                outputs.iter().flat_map(|&k| &tensor.data()[k * row..(k + 1) * row]).copied().collect();
            let mut dims = tensor.shape().dims().to_vec();
            dims[0] = outputs.len();
            let chosen = Tensor::new(dims, values)?;
            file.tensors.insert(name, chosen);
        }
    }
    Ok(())
}

/// An error that names the first label of `data` that is not below `classes`, the number of `whose`.
pub(crate) fn check_labels(data: &Dataset, classes: usize, whose: &str) -> Result<()> {
    let Labels::Classes(labels) = &data.labels else { return Ok(()) };
    match labels.iter().find(|&&label| label as usize >= classes) {
        None => Ok(()),
        Some(label) => Err(Error::Usage(format!(
            "{}: expected labels below {classes}, the number of {whose}, found {label}",
            data.name
        ))),
    }
}

/// As [`check_labels`], for a network of so many outputs. One output has no place for a class: its target would be 1 for class 0.
pub(crate) fn check_outputs(data: &Dataset, outputs: usize) -> Result<()> {
    match &data.labels {
        Labels::Classes(labels) if outputs == 1 && !labels.is_empty() => Err(Error::Usage(format!(
            "{}: expected values as labels, or a network with an output for each class, found classes and one output",
            data.name
        ))),
        _ => check_labels(data, outputs, "outputs"),
    }
}

/// `data` with its classes numbered as the network's outputs are, where [`ClassMatch::Outputs`] found them.
pub fn relabel(data: &Splits, known: &[String], outputs: &[usize]) -> Splits {
    let train = Arc::new(relabelled(&data.train, known, outputs));
    let val = match Arc::ptr_eq(&data.train, &data.val) {
        true => Arc::clone(&train),
        false => Arc::new(relabelled(&data.val, known, outputs)),
    };
    Splits { train, val, origin: data.origin.clone() }
}

/// As [`relabel`], for one part.
pub fn relabelled(data: &Dataset, known: &[String], outputs: &[usize]) -> Dataset {
    let mut data = data.clone();
    if let Labels::Classes(labels) = &mut data.labels {
        labels.iter_mut().for_each(|label| *label = outputs[*label as usize] as u32);
    }
    data.classes = known.len();
    data.class_names = known.to_vec();
    data
}
