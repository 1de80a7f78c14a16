//! Built-in networks that torchvision has too: the same tensors, by name and shape.

use serde_json::Value;
use std::collections::BTreeMap;
use striate::Spec;
use striate::model::{BuildOptions, Model};

/// Of torchvision 0.29, made by `tests/fixtures/torchvision/make.py`.
const NAMES: &str = include_str!("../fixtures/torchvision/names.json");

#[test]
fn tensors_have_the_names_and_shapes_of_torchvision() {
    let theirs: BTreeMap<String, Value> = serde_json::from_str(NAMES).unwrap();
    let ours = Spec::builtin_names();
    for (name, network) in theirs.iter().filter(|(name, _)| ours.contains(&name.as_str())) {
        let spec = Spec::load(name).unwrap();
        let model = Model::build(&spec, &BuildOptions { training: false, ..BuildOptions::new(1) }).unwrap();
        let found: BTreeMap<&str, Value> = model
            .parameters
            .iter()
            .chain(&model.state)
            .map(|p| (p.name.as_str(), p.shape.dims().into()))
            .collect();
        let expected = network["tensors"].as_object().unwrap();
        let expected: BTreeMap<&str, Value> = expected.iter().map(|(n, v)| (n.as_str(), v.clone())).collect();
        assert!(!expected.is_empty());
        for (tensor, shape) in &expected {
            assert_eq!(found.get(tensor), Some(shape), "{name}: {tensor}");
        }
        assert_eq!(found.len(), expected.len(), "{name}");
        assert_eq!(Value::from(model.parameter_count()), network["parameters"], "{name}");
    }
}

/// Sizes of images, mean and standard deviation are those of torchvision's weights.
#[test]
fn images_are_prepared_as_torchvision_does() {
    let theirs: BTreeMap<String, Value> = serde_json::from_str(NAMES).unwrap();
    for name in Spec::builtin_names().into_iter().filter(|name| theirs.contains_key(*name)) {
        let spec = Spec::load(name).unwrap();
        let preprocess = &spec.preprocess;
        // `weights.transforms()` of the first weights of each network.
        let resize = if name == "convnext_tiny" { 236 } else { 256 };
        assert_eq!((preprocess.resize, preprocess.crop), (Some(resize), Some(224)), "{name}");
        assert_eq!(preprocess.mean, [0.485, 0.456, 0.406], "{name}");
        assert_eq!(preprocess.std, [0.229, 0.224, 0.225], "{name}");
        assert_eq!(spec.input, [3, 224, 224], "{name}");
        spec.check_effects().unwrap();
    }
}
