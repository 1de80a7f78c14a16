//! Against PyTorch and onnxruntime, without them: small networks that PyTorch's two exporters wrote, imported, asked and
//! trained; and that today's exporter writes the files that onnxruntime answered by (`tests/fixtures/exchange/make.py`).

use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use striate::data::{self, Request};
use striate::device::DeviceSelector;
use striate::gpu;
use striate::interchange::onnx::{self, ImportOptions};
use striate::interchange::{File, safetensors};
use striate::model::Optimizer;
use striate::tensor::Tensor;
use striate::{Device, Network, NetworkOptions, Spec};

/// Largest difference, relative to the largest value.
const TOLERANCE: f32 = 1e-4;
/// How PyTorch trained.
const LR: f32 = 0.02;
const MOMENTUM: f32 = 0.9;
/// Files whose batch norms the exporter has made part of the convolutions: in training they are other networks.
const FOLDED: [&str; 2] = ["residual-dynamo", "inception-dynamo"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn tensors(name: &str) -> BTreeMap<String, Tensor> {
    safetensors::read(folder().join(format!("exchange/{name}.safetensors"))).unwrap().tensors
}

/// Names without their endings of the files in `tests/fixtures/exchange` that end with `ending`.
fn names(ending: &str) -> Vec<String> {
    let files = std::fs::read_dir(folder().join("exchange")).unwrap();
    let names: BTreeSet<String> = files
        .filter_map(|file| Some(file.unwrap().file_name().to_str()?.strip_suffix(ending)?.to_string()))
        .collect();
    names.into_iter().collect()
}

/// The CPU path and every GPU adapter of this machine.
fn devices() -> Vec<Device> {
    let adapters = gpu::adapters();
    let required = std::env::var_os("STRIATE_REQUIRE_GPU").is_some_and(|value| value == "1");
    assert!(!adapters.is_empty() || !required, "STRIATE_REQUIRE_GPU=1, but this machine has no GPU adapter");
    let open = |adapter: &gpu::AdapterInfo| Device::open(&DeviceSelector::Index(adapter.index)).unwrap().0;
    std::iter::once(Device::cpu()).chain(adapters.iter().map(open)).collect()
}

fn difference(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(1e-30f32, |largest, value| largest.max(value.abs()));
    // A NaN is a difference too.
    let worst = found.iter().zip(expected).map(|(f, e)| (f - e).abs() / largest);
    worst.fold(0.0, |worst, value| if value > worst || value.is_nan() { value } else { worst })
}

/// What is wrong with the answers and losses of a file that PyTorch wrote; nothing if all is well.
fn faults(name: &str, change: &dyn Fn(&mut File), device: &Device) -> Vec<String> {
    let path = folder().join(format!("exchange/{name}.onnx"));
    let imported = onnx::read(&path, &ImportOptions::default()).unwrap_or_else(|error| panic!("{error}"));
    let mut spec = imported.spec.clone();
    spec.recipe.optimizer = Optimizer::Sgd;
    spec.recipe.momentum = MOMENTUM;
    spec.recipe.weight_decay = 0.0;
    let expected = tensors(name.split('-').next().unwrap());
    let [steps, rows] = *expected["labels"].shape().dims() else { panic!("{name}: labels of two axes") };
    let (inputs, labels) = (expected["inputs"].data(), expected["labels"].data());

    let mut file = imported.into_file(&path);
    change(&mut file);
    let options = NetworkOptions::default().with_batch(rows);
    let mut network = Network::new(spec.clone(), device, &options).unwrap();
    network.load_weights(file, None).unwrap();
    let batches: Vec<&[f32]> = inputs.chunks(inputs.len() / steps).collect();
    let mut faults = Vec::new();
    let mut compare = |what: String, found: &[f32], expected: &[f32]| {
        let worst = difference(found, expected);
        if worst.is_nan() || worst > TOLERANCE {
            faults.push(format!("{name} on {}: {what} differ by {worst:e}", device.name()));
        }
    };
    compare("logits".into(), &network.logits(batches[0]).unwrap(), expected["evaluation"].data());

    if !FOLDED.contains(&name) {
        for (step, (images, labels)) in batches.iter().zip(labels.chunks(rows)).enumerate() {
            let labels: Vec<u32> = labels.iter().map(|&label| label as u32).collect();
            let loss = network.train_batch(images, &labels, LR).unwrap().loss as f32;
            compare(format!("losses of step {step}"), &[loss], &expected["losses"].data()[step..=step]);
        }
    }
    faults
}

#[test]
fn networks_by_pytorch_answer_and_train_as_there() {
    let files = names(".onnx");
    assert_eq!(files.len(), 8, "{files:?}");
    let all: Vec<String> = devices()
        .iter()
        .flat_map(|device| files.iter().flat_map(|name| faults(name, &|_| {}, device)))
        .collect();
    assert!(all.is_empty(), "{}", all.join("\n"));
}

/// The test of the test: weights that are off by a hundredth are found in every file.
#[test]
fn a_wrong_weight_is_noticed() {
    for name in names(".onnx") {
        let change = |file: &mut File| {
            let first = file.tensors.iter_mut().find(|(name, _)| name.ends_with("weight")).unwrap().1;
            first.data_mut().iter_mut().for_each(|value| *value *= 1.01);
        };
        assert!(!faults(&name, &change, &Device::cpu()).is_empty(), "{name}");
    }
}

/// The graph of an ONNX file, as its bytes; the rest of the file says who wrote it.
#[derive(Clone, PartialEq, prost::Message)]
struct GraphOfModel {
    #[prost(bytes = "vec", tag = "7")]
    graph: Vec<u8>,
}

/// The values that `make.py` gives a parameter.
fn drawn(name: &str, shape: &[usize]) -> Tensor {
    let count: usize = shape.iter().product();
    let fan_in: usize = shape.iter().skip(1).product();
    let value = |at: usize| {
        let mut h = (at as u32).wrapping_mul(0x9E37_79B1).wrapping_add(count as u32);
        h = (h ^ (h >> 16)).wrapping_mul(0x85EB_CA6B);
        h = (h ^ (h >> 13)).wrapping_mul(0xC2B2_AE35);
        let unit = f64::from(h ^ (h >> 16)) / f64::from(2u32.pow(16)).powi(2);
        let value = match shape.len() > 1 {
            true => (2.0 * unit - 1.0) * (6.0 / fan_in as f64).sqrt(),
            false if name.ends_with("running_var") || name.ends_with("weight") => 0.5 + unit,
            false => 0.2 * unit - 0.1,
        };
        value as f32
    };
    Tensor::new(shape.to_vec(), (0..count).map(value).collect()).unwrap()
}

#[test]
fn exports_are_the_files_that_onnxruntime_answered_by() {
    let answers = tensors("exports");
    let list = std::fs::read_to_string(folder().join("exchange/exports.txt")).unwrap();
    assert_eq!(list.lines().count(), answers.len());
    for line in list.lines() {
        let [name, graph, sha256] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let toml = folder().join(format!("{name}.toml"));
        let is_fixture = toml.exists();
        let spec =
            Spec::load(&if is_fixture { toml.display().to_string() } else { name.to_string() }).unwrap();
        let mut network = Network::new(spec.clone(), &Device::cpu(), &NetworkOptions::inference(4)).unwrap();
        let initial = network.weights().unwrap();
        let weights: Vec<(String, Tensor)> =
            initial.into_iter().map(|(name, old)| (name.clone(), drawn(&name, old.shape().dims()))).collect();

        let metadata = BTreeMap::new();
        let with_preprocess = graph == "pixels";
        let export = onnx::Export { spec: &spec, tensors: &weights, metadata: &metadata, with_preprocess };
        let bytes = onnx::encode(&export).unwrap();
        let written = <GraphOfModel as prost::Message>::decode(bytes.as_slice()).unwrap();
        let digest: String =
            Sha256::digest(&written.graph).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            digest, sha256,
            "{name}, {graph}: the exporter writes another graph than the one that was checked; if it is meant to, \
             run tests/exchange/run and tests/fixtures/exchange/make.py"
        );

        let path = PathBuf::from(format!("{name}.onnx"));
        let tensors = weights.into_iter().collect();
        network.load_weights(File { path, tensors, metadata, notes: Vec::new() }, None).unwrap();
        let images = match is_fixture {
            true => {
                let inputs = safetensors::read(toml.with_extension("safetensors")).unwrap();
                let inputs = &inputs.tensors["inputs"];
                inputs.data()[..inputs.shape().dims()[1..].iter().product()].to_vec()
            }
            false => {
                let data = data::open(&Request::new(spec.input, 10)).unwrap();
                network.inputs(&data.val, 4).unwrap()
            }
        };
        let found: Vec<f32> = match with_preprocess {
            true => network.probabilities(&images).unwrap().iter().map(|&p| p as f32).collect(),
            false => network.logits(&images).unwrap(),
        };
        let worst = difference(&found, answers[&format!("{name}.{graph}")].data());
        assert!(worst <= TOLERANCE, "{name}, {graph}: differs from onnxruntime by {worst:e}");
        println!("{name}, {graph}: differs from onnxruntime by {worst:.1e}");
    }
}
