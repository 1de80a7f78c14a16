//! The files of networks: weights, checkpoints, model files and ONNX.

use super::{file, judged, parts};
use std::collections::BTreeMap;
use std::path::Path;
use striate::inference::spec_of;
use striate::interchange::{self, onnx};
use striate::model::{BuildOptions, Model, Spec, Summary};
use striate::run::Checkpoint;
use striate::tensor::Tensor;
use xxhash_rust::xxh3::Xxh3;

/// Safetensors, NPZ or ONNX with another network's name, as the readers of weights take them.
pub fn weights(bytes: &[u8]) {
    let path = file(if bytes.starts_with(b"PK") { "w.npz" } else { "w.safetensors" }, bytes);
    let Some(read) = judged(interchange::read(&path), &path) else { return };
    for (name, tensor) in &read.tensors {
        assert_eq!(tensor.data().len(), tensor.shape().len(), "{name}");
    }
    if read.metadata.contains_key("model") {
        let _ = judged(spec_of(&read, None), &path);
    }
    let expected = [("a.weight".to_string(), Tensor::full([2, 3], 0.0).shape().clone())];
    let _ = judged(interchange::match_tensors(read, "some", &expected), &path);
}

/// PyTorch's weights. In a zip archive what lies behind the checksums is reached by mending them.
pub fn pth(bytes: &[u8]) {
    let read = |bytes: &[u8]| {
        let path = file("w.pth", bytes);
        let Some(read) = judged(interchange::read(&path), &path) else { return };
        for (name, tensor) in &read.tensors {
            assert_eq!(tensor.data().len(), tensor.shape().len(), "{name}");
        }
        assert!(read.notes.iter().all(|note| !note.contains(char::is_control) && note.len() < 8000));
        let expected = [("a.weight".to_string(), Tensor::full([2, 3], 0.0).shape().clone())];
        let _ = judged(interchange::match_tensors(read, "some", &expected), &path);
    };
    read(bytes);
    if let Some(mended) = mended_zip(bytes) {
        read(&mended);
    }
}

/// A zip archive whose stored entries have the checksums that they should have.
fn mended_zip(bytes: &[u8]) -> Option<Vec<u8>> {
    let number = |at: usize, length: usize| -> Option<usize> {
        let digits = bytes.get(at..at.checked_add(length)?)?;
        Some(digits.iter().rev().fold(0, |number, &digit| number << 8 | usize::from(digit)))
    };
    let end = bytes.windows(4).rposition(|word| word == b"PK\x05\x06")?;
    let mut at = number(end + 16, 4)?;
    let mut mended = bytes.to_vec();
    while bytes.get(at..)?.starts_with(b"PK\x01\x02") {
        let header = number(at + 42, 4)?;
        let start = header.checked_add(30 + number(header.checked_add(26)?, 2)? + number(header + 28, 2)?)?;
        if let Some(content) = bytes.get(start..start.saturating_add(number(at + 24, 4)?)) {
            let mut crc = flate2::Crc::new();
            crc.update(content);
            mended[at + 16..at + 20].copy_from_slice(&crc.sum().to_le_bytes());
        }
        at += 46 + number(at + 28, 2)? + number(at + 30, 2)? + number(at + 32, 2)?;
    }
    (mended != bytes).then_some(mended)
}

pub fn checkpoint(bytes: &[u8]) {
    let read = |bytes: &[u8]| {
        let path = file("checkpoint.safetensors", bytes);
        if let Some(read) = judged(Checkpoint::read_first(std::slice::from_ref(&path)), &path) {
            let [_, position] = read.state().place(3);
            assert!(position <= 3 && read.step() <= u32::MAX as usize);
        }
    };
    read(bytes);
    if let Some(mended) = mended_checkpoint(bytes) {
        read(&mended);
    }
}

/// A checkpoint with the hashes that it should have.
fn mended_checkpoint(bytes: &[u8]) -> Option<Vec<u8>> {
    let (header, data) = parts(bytes)?;
    let mut header: serde_json::Value = serde_json::from_slice(header).ok()?;
    let mut hashes = BTreeMap::new();
    for (name, info) in header.as_object()?.iter().filter(|(name, _)| *name != "__metadata__") {
        let mut hash = Xxh3::new();
        info.get("shape")?.as_array()?.iter().for_each(|dim| {
            hash.update(&dim.as_u64().unwrap_or(0).to_le_bytes());
        });
        let place = |end| Some(info.get("data_offsets")?.get(end)?.as_u64()? as usize);
        hash.update(data.get(place(0)?..place(1)?)?);
        hashes.insert(name.clone(), format!("{:032x}", hash.digest128()));
    }
    let notes = header.get_mut("__metadata__")?.as_object_mut()?;
    notes.insert("tensors_xxh3".into(), serde_json::to_string(&hashes).ok()?.into());
    let mut hash = Xxh3::new();
    let sorted: BTreeMap<_, _> = notes.iter().filter(|(key, _)| *key != "notes_xxh3").collect();
    for (key, value) in sorted {
        for text in [key.as_str(), value.as_str()?] {
            hash.update(&(text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        }
    }
    notes.insert("notes_xxh3".into(), format!("{:032x}", hash.digest128()).into());
    let header = serde_json::to_vec(&header).ok()?;
    Some([&(header.len() as u64).to_le_bytes(), &header[..], data].concat())
}

pub fn model(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let origin = Path::new("m.toml");
    let Some(mut spec) = judged(Spec::parse(text, "m.toml"), origin) else { return };
    let written = spec.to_toml();
    let again = Spec::parse(&written, "again").unwrap_or_else(|error| panic!("{error}\n{written}"));
    assert_eq!(again.to_toml(), written);
    build(&spec, origin);
    // A network without such a layer is a wrong wish, not a bad file.
    if spec.replace_outputs(7).is_ok() {
        build(&spec, origin);
    }
}

/// Builds programs from `spec`; nothing of its size is allocated for that.
fn build(spec: &Spec, origin: &Path) {
    for options in [
        BuildOptions::new(2),
        BuildOptions { keep: true, fuse: false, training: false, ..BuildOptions::new(3) },
    ] {
        let Some(model) = judged(Model::build(spec, &options), origin) else { return };
        assert!(!Summary::new(&model).to_string().is_empty() && model.parameter_count() < usize::MAX);
    }
}

pub fn onnx_file(bytes: &[u8]) {
    let path = Path::new("x.onnx");
    for input in [None, Some([3, 8, 8])] {
        let options = onnx::ImportOptions::default().with_input(input);
        let Some(imported) = judged(onnx::decode(bytes.to_vec(), path, &options), path) else { continue };
        let again = Spec::parse(&imported.spec.source, "x.onnx").unwrap();
        build(&again, path);
        assert!(imported.notes.iter().all(|note| note.lines().count() <= 1), "{:?}", imported.notes);
        break;
    }
}
