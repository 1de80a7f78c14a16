//! Names of imported layers: from the weights if the file keeps their names (`features.0.weight`), else from the node, else
//! from the node's output.

use super::draft::DraftLayer;
use crate::interchange::file::{HOLDERS, common_prefix};
use crate::model::TensorKind;
use std::collections::HashMap;

/// Longest name in bytes, with room left for a number.
const LONGEST: usize = 180;

/// Chooses a unique name for each of `layers`. Unless Striate exported the file (`is_ours`), prefixes of PyTorch's wrappers
/// and of classes that hold a network are stripped.
pub(super) fn names(layers: &[DraftLayer<'_>], is_ours: bool) -> Vec<String> {
    let mut taken: HashMap<String, usize> = HashMap::from([("input".to_string(), 1)]);
    let mut names = vec![String::new(); layers.len()];
    let weights = layers.iter().filter_map(|layer| layer.weight);
    let wrapper = if is_ours { "" } else { common_prefix(&HOLDERS, weights) };
    let own = |layer: &DraftLayer<'_>| {
        let name = stem(layer.weight?, layer.op.tensor_name(TensorKind::Weight))?;
        name.strip_prefix(wrapper).map(printable)
    };
    // Names of weights take precedence, since other programs look them up.
    for (name, layer) in names.iter_mut().zip(layers) {
        if let Some(stem) = own(layer).filter(|stem| !taken.contains_key(stem)) {
            taken.insert(stem.clone(), 1);
            *name = stem;
        }
    }
    for (name, layer) in names.iter_mut().zip(layers).filter(|(name, _)| name.is_empty()) {
        let wanted = match (layer.node, layer.output) {
            ("", "") => layer.op.name().to_string(),
            ("", output) => output.to_string(),
            (node, _) => module(node),
        };
        *name = unique(&mut taken, printable(&wanted));
    }
    names
}

/// The part of a weight's name before the point and `end`: `features.0` of `features.0.weight`.
fn stem<'a>(weight: &'a str, end: &str) -> Option<&'a str> {
    weight.strip_suffix(end)?.strip_suffix('.').filter(|stem| !stem.is_empty())
}

/// The module of a node that PyTorch's older exporter named by its path: `layer1.0.conv1` of `/layer1/layer1.0/conv1/Conv`.
/// Other names are returned unchanged.
fn module(node: &str) -> String {
    let Some(path) = node.strip_prefix('/') else { return node.to_string() };
    let mut parts: Vec<&str> = path.split('/').collect();
    let op = parts.pop().unwrap_or(path);
    let mut module: Vec<&str> = Vec::new();
    for part in parts {
        // In a Sequential the inner name repeats the outer one.
        if module.last().is_some_and(|last| part.strip_prefix(last).is_some_and(|rest| rest.starts_with('.')))
        {
            module.pop();
        }
        module.push(part);
    }
    if module.is_empty() { op.to_string() } else { module.join(".") }
}

/// `name` without control characters and cut to the longest length.
fn printable(name: &str) -> String {
    let mut end = name.len().min(LONGEST);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    let odd =
        |c: char| c.is_control() || crate::error::printable(c.encode_utf8(&mut [0; 4])).len() > c.len_utf8();
    name[..end].replace(odd, "_")
}

/// Reserves `name`, with the first free number appended if it is taken.
fn unique(taken: &mut HashMap<String, usize>, name: String) -> String {
    let name = if name.is_empty() { "layer".to_string() } else { name };
    let Some(mut number) = taken.get(&name).copied() else {
        taken.insert(name.clone(), 1);
        return name;
    };
    loop {
        let candidate = format!("{name}_{number}");
        number += 1;
        if !taken.contains_key(&candidate) {
            taken.insert(candidate.clone(), 1);
            taken.insert(name, number);
            return candidate;
        }
    }
}

/// Chooses the network's name: the first of `wanted` that is not a placeholder, else `file`. It consists of letters, digits,
/// `.`, `_` and `-`, so that it can name files.
pub(super) fn network_name(wanted: &[&str], file: &str) -> String {
    let placeholders = ["", "main_graph", "main", "graph", "torch_jit", "torch-jit-export"];
    let wanted = wanted.iter().find(|name| !placeholders.contains(name)).unwrap_or(&file);
    let safe = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
    let name: String = wanted.chars().take(100).map(safe).collect();
    let name = name.trim_start_matches(['.', '-']);
    if name.is_empty() { "imported".to_string() } else { name.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_named_by_path_become_modules() {
        assert_eq!(module("/layer1/layer1.0/conv1/Conv"), "layer1.0.conv1");
        assert_eq!(
            module("/layer2/layer2.0/downsample/downsample.1/BatchNormalization"),
            "layer2.0.downsample.1"
        );
        assert_eq!(module("/features/features.10/Relu"), "features.10");
        assert_eq!(module("/Flatten"), "Flatten");
        assert_eq!(module("node_conv2d_3"), "node_conv2d_3");
    }

    #[test]
    fn names_stay_apart_and_printable() {
        let mut taken = HashMap::from([("input".to_string(), 1)]);
        let made: Vec<_> =
            ["a", "a", "a_1", "a", "input", ""].map(|n| unique(&mut taken, n.to_string())).into();
        assert_eq!(made, ["a", "a_1", "a_1_1", "a_2", "input_1", "layer"]);
        assert_eq!(printable("a\n\u{202e}b c"), "a__b c");
        assert_eq!(printable(&"\u{e9}".repeat(200)).len(), 180);
        assert_eq!(network_name(&["", "main_graph"], "../net 1"), "_net_1");
    }
}
