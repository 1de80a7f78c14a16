//! The ONNX project's own tests of the operators that are imported, each brought into the shape of a network by `tests/interchange/onnx_nodes/make.py`: imported,
//! built, run on the CPU and compared. Those that cannot pass are in `tests/interchange/onnx_nodes/skipped.txt`, with the reason; that list is exact.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;
use striate::cpu;
use striate::interchange::onnx::{ImportOptions, Imported, decode};
use striate::model::{BuildOptions, Model};
use striate::program::{Executor, Span};

const CASES: &[u8] = include_bytes!("cases.tar.gz");
const SKIPPED: &str = include_str!("skipped.txt");

/// The files of the archive by name.
fn files() -> BTreeMap<String, Vec<u8>> {
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(CASES));
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        (entry.path().unwrap().to_str().unwrap().to_string(), bytes)
    });
    entries.collect()
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
}

/// The network's output for `x`.
fn forward(imported: Imported, x: &[f32]) -> Result<Vec<f32>, String> {
    let Imported { spec, tensors, .. } = imported;
    let row: usize = spec.input.iter().product();
    if x.is_empty() || !x.len().is_multiple_of(row) {
        return Err(format!("{} values are no rows of {row}", x.len()));
    }
    let options = BuildOptions { training: false, ..BuildOptions::new(x.len() / row) };
    let text = |error: striate::error::Error| error.to_string();
    let model = Model::build(&spec, &options).map_err(text)?;
    let mut executor = cpu::Executor::new(model.program.clone()).map_err(text)?;
    let tensors: BTreeMap<_, _> = tensors.into_iter().collect();
    for parameter in model.parameters.iter().chain(&model.state) {
        executor.write(parameter.buffer, tensors[&parameter.name].data()).map_err(text)?;
    }
    executor.write(model.input, x).map_err(text)?;
    executor.run(Span::Forward).map_err(text)?;
    executor.read(model.logits).map_err(text)
}

/// Whether a case passes, or why not.
fn outcome(name: &str, files: &BTreeMap<String, Vec<u8>>) -> Result<(), String> {
    let path = format!("{name}.onnx");
    let imported = decode(files[&path].clone(), Path::new(&path), &ImportOptions::default())
        .map_err(|error| error.to_string())?;
    let values = |kind: &str| files.get(&format!("{name}.{kind}")).map(|bytes| floats(bytes));
    let (Some(x), Some(expected)) = (values("x"), values("y")) else {
        return Err("imported, but the archive has no values".into());
    };
    let found = forward(imported, &x)?;
    if found.len() != expected.len() {
        return Err(format!("expected {} values, found {}", expected.len(), found.len()));
    }
    let far = found.iter().zip(&expected).position(|(f, e)| (f - e).abs() > 1e-5 * e.abs().max(0.1));
    far.map_or(Ok(()), |at| Err(format!("value {at}: expected {}, found {}", expected[at], found[at])))
}

#[test]
fn every_node_test_passes_or_is_listed() {
    let files = files();
    let skipped: BTreeMap<&str, &str> = SKIPPED
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| line.split_once(": ").expect("NAME: REASON"))
        .collect();
    let cases: BTreeSet<&str> = files.keys().filter_map(|name| name.strip_suffix(".onnx")).collect();
    let mut faults: Vec<String> = skipped
        .keys()
        .filter(|name| !cases.contains(*name))
        .map(|name| format!("{name}: listed, not there"))
        .collect();
    let mut passed = 0;
    for name in &cases {
        match (outcome(name, &files), skipped.contains_key(name)) {
            (Ok(()), false) => passed += 1,
            (Err(_), true) => {}
            (Ok(()), true) => faults.push(format!("{name}: passes, but is listed")),
            (Err(error), false) => faults.push(format!("{name}: {error}")),
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    println!("{passed} of {} node tests pass, {} are listed", cases.len(), skipped.len());
    assert!(cases.len() > 140);
}
