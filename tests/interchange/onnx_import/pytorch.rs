//! Small networks as PyTorch's two exporters write them, in their several forms, against onnxruntime's answers (`pytorch/make.py`).

use super::*;
use std::fs;
use std::path::PathBuf;
use striate::interchange;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interchange/onnx_import/pytorch")
}

#[test]
fn every_form_gives_the_same_answers() {
    let mut count = 0;
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "onnx") {
            continue;
        }
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let imported = decode(fs::read(&path).unwrap(), &path, &ImportOptions::default());
        let imported = imported.unwrap_or_else(|error| panic!("{error}"));
        let values =
            interchange::read(folder().join(format!("{}.safetensors", name.split('-').next().unwrap())))
                .unwrap()
                .tensors;
        let found = answer(imported, values["x"].data());
        let far = found.iter().zip(values["y"].data()).map(|(f, e)| (f - e).abs()).fold(0.0, f32::max);
        // The answers are of order 1.
        assert!(found.len() == values["y"].data().len() && far < 1e-5, "{name}: {far}");
        count += 1;
    }
    assert_eq!(count, 30);
}

/// The operators and parameters of a network do not depend on the form, where the exporter does not fold batch norms.
#[test]
fn every_form_is_the_same_network() {
    let read = |name: &str| {
        let path = folder().join(name);
        decode(fs::read(&path).unwrap(), &path, &ImportOptions::default()).unwrap()
    };
    let operators = |name: &str| -> Vec<LayerOp> {
        let kept = read(name).spec.layers.into_iter().map(|layer| layer.op);
        kept.filter(|op| !matches!(op, LayerOp::Flatten(layers::Flatten) | LayerOp::Dropout(_))).collect()
    };
    for network in ["response4", "response5", "squeeze"] {
        let first = operators(&format!("{network}-dynamo.onnx"));
        for form in ["dynamo-fixed", "dynamo-raw", "script", "script-fixed", "script-raw"] {
            assert_eq!(operators(&format!("{network}-{form}.onnx")), first, "{network} {form}");
        }
    }
    let (new, old) = (read("residual-dynamo-raw.onnx"), read("residual-script-raw.onnx"));
    let parameters =
        |imported: &Imported| -> BTreeMap<String, _> { imported.tensors.iter().cloned().collect() };
    assert_eq!(parameters(&new), parameters(&old));
    let norms =
        |imported: &Imported| imported.spec.layers.iter().filter(|l| l.op.name() == "batch_norm2d").count();
    assert_eq!((norms(&new), norms(&old)), (2, 2));
    // The convolutions have no bias, as in PyTorch.
    assert!(!parameters(&new).contains_key("conv1.bias"));
}
