//! NPZ files: what NumPy writes is read, what is written is what NumPy writes, and files of all formats are recognised.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use striate::interchange::{Format, format, npz, read};
use striate::tensor::Tensor;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn tensor(shape: &[usize], value: impl Fn(usize) -> f32) -> Tensor {
    Tensor::new(shape.to_vec(), (0..shape.iter().product()).map(value).collect()).unwrap()
}

fn tensors() -> Vec<(String, Tensor)> {
    vec![
        ("features.0.weight".into(), tensor(&[2, 3, 5, 1], |i| i as f32 * 0.25 - 3.0)),
        ("classifier.weight".into(), tensor(&[4, 7], |i| f32::from_bits(i as u32 * 977))),
        ("a/b".into(), tensor(&[2], |_| f32::MAX)),
        ("../../etc/\u{1b} é.x".into(), tensor(&[], |_| f32::NAN)),
        ("empty".into(), tensor(&[0, 3], |_| 0.0)),
        ("".into(), tensor(&[1], |_| -0.0)),
    ]
}

fn metadata() -> BTreeMap<String, String> {
    BTreeMap::from([("arch".into(), "tiny".into()), ("classes".into(), "[\"é\"]".into())])
}

fn bits(tensor: &Tensor) -> (Vec<usize>, Vec<u32>) {
    (tensor.shape().dims().to_vec(), tensor.data().iter().map(|value| value.to_bits()).collect())
}

/// An archive with one entry.
fn archive(name: &str, content: &[u8], options: SimpleFileOptions) -> Vec<u8> {
    let mut archive = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    archive.start_file(name, options).unwrap();
    archive.write_all(content).unwrap();
    archive.finish().unwrap().into_inner()
}

/// What reading a file with these bytes and this name says.
#[track_caller]
fn refused(name: &str, bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    let error = read(&path).unwrap_err();
    assert_eq!(error.exit_code(), 4, "{error}");
    let message = error.to_string();
    assert!(message.contains(name) && !message.contains('\n'), "{message}");
    message
}

#[test]
fn what_numpy_writes_is_read() {
    for name in ["numpy.npz", "compressed.npz"] {
        let file = read(fixture(name)).unwrap();
        let eighths = tensor(&[2, 3, 4], |i| i as f32 / 8.0 - 1.0);
        for name in ["f2", "f4", "f8", "f4_big", "fortran"] {
            assert_eq!(file.tensors[name], eighths, "{name}");
        }
        for name in ["i8", "i4", "i8_big"] {
            assert_eq!(file.tensors[name], tensor(&[2, 3, 4], |i| i as f32 - 7.0), "{name}");
        }
        assert_eq!(file.tensors["u1"], tensor(&[2, 3, 4], |i| i as f32));
        assert_eq!(file.tensors["scalar"], tensor(&[], |_| 2.5));
        assert_eq!(file.tensors["one"], tensor(&[1], |_| 1.5));
        assert_eq!(file.tensors["empty"], tensor(&[0, 3], |_| 0.0));
        assert_eq!(file.tensors["layer/0 é.weight"].data(), [1.0, -2.0]);
        assert_eq!(file.tensors.len(), 13);
        assert!(file.metadata.is_empty());
    }
}

#[test]
fn what_is_written_is_read_back_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let (path, again) = (folder.path().join("w.npz"), folder.path().join("again.npz"));
    npz::write(&path, &tensors(), &metadata()).unwrap();
    let file = read(&path).unwrap();
    assert_eq!(file.tensors.len(), tensors().len());
    for (name, tensor) in tensors() {
        assert_eq!(bits(&file.tensors[&name]), bits(&tensor), "{name}");
    }
    assert_eq!(file.metadata, metadata());
    let mut reversed = tensors();
    reversed.reverse();
    npz::write(&again, &reversed, &metadata()).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), std::fs::read(&again).unwrap(), "same content, same bytes");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
}

/// The arrays in the archive are, byte for byte, those that NumPy wrote of the same numbers.
#[test]
fn what_is_written_is_what_numpy_writes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.npz");
    let names = ["f4", "scalar", "one", "layer/0 é.weight"];
    let read = read(fixture("numpy.npz")).unwrap().tensors;
    let tensors: Vec<_> = names.iter().map(|name| (name.to_string(), read[*name].clone())).collect();
    npz::write(&path, &tensors, &metadata()).unwrap();
    let entry = |path: &Path, name: &str| {
        let mut archive = ZipArchive::new(std::fs::File::open(path).unwrap()).unwrap();
        let mut bytes = Vec::new();
        archive.by_name(&format!("{name}.npy")).unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    };
    for name in names {
        assert_eq!(entry(&path, name), entry(&fixture("numpy.npz"), name), "{name}");
    }
    let notes = entry(&path, "__metadata__");
    let notes: BTreeMap<String, String> = serde_json::from_slice(&notes[128..]).unwrap();
    assert_eq!(notes, metadata());
}

#[test]
fn names_that_the_format_cannot_hold_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.npz");
    for name in ["__metadata__".to_string(), "n".repeat(70_000)] {
        let error = npz::write(&path, &[(name, tensor(&[1], |_| 1.0))], &metadata()).unwrap_err();
        assert_eq!(error.exit_code(), 4, "{error}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left");
    let text = BTreeMap::from([("a".to_string(), "n".repeat(1000))]);
    npz::write(&path, &[("n".repeat(60_000), tensor(&[1], |_| 1.0))], &text).unwrap();
    assert_eq!(read(&path).unwrap().metadata, text);
}

#[test]
fn formats_are_told_by_their_first_bytes_whatever_the_files_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights");
    npz::write(&path, &tensors(), &metadata()).unwrap();
    assert_eq!(format(&path).unwrap(), Format::Npz);
    striate::interchange::safetensors::write(&path, &tensors(), &metadata()).unwrap();
    assert_eq!(format(&path).unwrap(), Format::Safetensors);
    assert_eq!(read(&path).unwrap().tensors.len(), tensors().len());
    // The version of the intermediate representation, then the producer's name.
    std::fs::write(&path, [8, 8, 18, 2, b'p', b't', 0, 0, 0]).unwrap();
    assert_eq!(format(&path).unwrap(), Format::Onnx);
    // A header of 640 bytes begins as a pickle does.
    let header = format!("{{\"__metadata__\":{{\"a\":\"{}\"}}}}", "x".repeat(615));
    std::fs::write(&path, [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat()).unwrap();
    assert_eq!(header.len(), 640);
    assert_eq!(read(&path).unwrap().metadata["a"].len(), 615);
}

#[test]
fn other_files_are_refused_with_what_to_do() {
    for (name, bytes) in
        [("photo.jpg", &b"\xff\xd8\xff\xe0 a picture"[..]), ("empty", b""), ("text", b"hello")]
    {
        let message = refused(name, bytes);
        assert!(message.contains("expected safetensors, PyTorch (.pth), NPZ or ONNX"), "{message}");
    }
    let plain = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let objects =
        b"\x93NUMPY\x01\x00\x37\x00{'descr': '|O', 'fortran_order': False, 'shape': (1,)}\n\x80\x04.";
    let message = refused("objects.npz", &archive("a.npy", objects, plain));
    assert!(message.contains("a.npy") && message.contains("Python objects"), "{message}");
    let message = refused("other.npz", &archive("readme.txt", b"hello", plain));
    assert!(message.contains("readme.txt") && message.contains(".npy"), "{message}");
    let inexact =
        b"\x93NUMPY\x01\x00\x37\x00{'descr':'<i4', 'fortran_order': False, 'shape': (1,)}\n\x01\x00\x00\x01";
    let message = refused("inexact.npz", &archive("n.npy", inexact, plain));
    assert!(message.contains("n.npy") && message.contains("found 16777217"), "{message}");
}
