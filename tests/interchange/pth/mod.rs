//! Files of `torch.save`: both forms, views and shared storages, checkpoints; `refused` has what is refused. The fixtures
//! are written by PyTorch itself (`tests/fixtures/pth/make.py`).

mod refused;

use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Read, Write};
use std::path::{Path, PathBuf};
use striate::interchange::{File, Format, format, match_tensors, npz, read, safetensors};
use striate::tensor::{Shape, Tensor};
use striate::{Device, Network, NetworkOptions, Spec};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pth").join(name)
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

fn network() -> Network {
    let spec = Spec::load(fixture("net.toml").to_str().unwrap()).unwrap();
    Network::new(spec, &Device::cpu(), &NetworkOptions::inference(4)).unwrap()
}

/// The logits of the small network with the weights of `file`.
fn logits(file: File) -> Vec<f32> {
    let images = safetensors::read(fixture("answers.safetensors")).unwrap().tensors["images"].data().to_vec();
    let mut network = network();
    network.load_weights(file, None).unwrap();
    network.logits(&images).unwrap()
}

#[test]
fn every_file_of_the_same_tensors_gives_the_logits_of_safetensors_bit_for_bit() {
    let theirs = safetensors::read(fixture("answers.safetensors")).unwrap().tensors["logits"].clone();
    let expected = logits(read(fixture("net.safetensors")).unwrap());
    for (ours, theirs) in expected.iter().zip(theirs.data()) {
        assert!((ours - theirs).abs() < 1e-5, "{ours} for PyTorch's {theirs}");
    }
    let shapes: Vec<(String, Shape)> = network()
        .weights()
        .unwrap()
        .into_iter()
        .map(|(name, tensor)| (name, tensor.shape().clone()))
        .collect();
    let same = match_tensors(read(fixture("net.safetensors")).unwrap(), "net", &shapes).unwrap();
    let names = [
        "state_dict",
        "state_dict-legacy",
        "checkpoint-state_dict",
        "protocol4",
        "protocol5-legacy",
        "parameters",
        "checkpoint",
        "checkpoint-legacy",
        "reference",
        "average",
        "lightning",
        "views",
        "views-legacy",
    ];
    for name in names {
        let path = fixture(&format!("{name}.pth"));
        assert_eq!(format(&path).unwrap(), Format::PyTorch, "{name}");
        let found =
            match_tensors(read(&path).unwrap(), "net", &shapes).unwrap_or_else(|e| panic!("{name}: {e}"));
        for ((what, _), (found, same)) in shapes.iter().zip(found.iter().zip(&same)) {
            assert_eq!(bits(found.data()), bits(same.data()), "{name}: {what}");
        }
        assert_eq!(bits(&logits(read(&path).unwrap())), bits(&expected), "{name}");
    }
}

#[test]
fn every_type_and_view_is_what_safetensors_says() {
    let same = safetensors::read(fixture("types.safetensors")).unwrap().tensors;
    for name in ["types.pth", "types-legacy.pth"] {
        let file = read(fixture(name)).unwrap();
        assert_eq!(file.tensors.len(), same.len() + 1, "{name}");
        for (what, tensor) in &same {
            assert_eq!(file.tensors[what].shape(), tensor.shape(), "{name}: {what}");
            assert_eq!(bits(file.tensors[what].data()), bits(tensor.data()), "{name}: {what}");
        }
        assert_eq!(file.tensors["alias"], same["shared"], "{name}");
        assert_eq!(file.tensors["slice"].data()[..2], [24.0, 25.0]);
    }
}

#[test]
fn what_was_taken_of_a_checkpoint_is_said() {
    let notes = |name: &str| read(fixture(name)).unwrap().notes;
    assert!(notes("state_dict.pth").is_empty(), "{:?}", notes("state_dict.pth"));
    let path = fixture("checkpoint.pth").display().to_string();
    let unused = "not used: epoch, arch, best_acc1, optimizer, scheduler";
    let prefix = "every name begins with \"module.\", which is ignored unless the network's names do, too";
    assert_eq!(
        notes("checkpoint.pth"),
        [format!("{path}: the weights are those of \"state_dict\"; {unused}"), format!("{path}: {prefix}")]
    );
    let reference = notes("reference.pth").join("; ");
    for says in ["those of \"model\"", "not used: model_ema, optimizer, epoch, args"] {
        assert!(reference.contains(says), "{reference}");
    }
    let average = notes("average.pth").join("; ");
    assert!(average.contains("those of \"ema.weights\"; not used: step"), "{average}");
    assert!(notes("lightning.pth").join("; ").contains("begins with \"model.\""));
}

#[test]
fn a_network_may_use_a_wrappers_prefix_itself() {
    let file = read(fixture("lightning.pth")).unwrap();
    let name = "model.conv1.weight".to_string();
    let error = match_tensors(file.clone(), "net", &[(name.clone(), file.tensors[&name].shape().clone())])
        .unwrap_err();
    assert!(error.to_string().contains("not in the model: model.bn1.bias"), "{error}");
    let error = match_tensors(file, "net", &[("conv2.weight".into(), [1].into())]).unwrap_err().to_string();
    assert!(
        error.contains("1 missing: conv2.weight; ") && error.contains("not in the model: bn1.bias"),
        "{error}"
    );
}

/// A zip archive of these entries.
fn archive(entries: &[(&str, &[u8])], method: CompressionMethod) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in entries {
        archive.start_file(*name, SimpleFileOptions::default().compression_method(method)).unwrap();
        archive.write_all(content).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

/// The entries of the archive `bytes` by name.
fn entries(bytes: Vec<u8>) -> BTreeMap<String, Vec<u8>> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).unwrap();
    let mut entries = BTreeMap::new();
    for at in 0..archive.len() {
        let mut entry = archive.by_index(at).unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        entries.insert(entry.name().unwrap().into_owned(), content);
    }
    entries
}

fn written(entries: &BTreeMap<String, Vec<u8>>, method: CompressionMethod) -> Vec<u8> {
    let entries: Vec<_> = entries.iter().map(|(name, content)| (name.as_str(), content.as_slice())).collect();
    archive(&entries, method)
}

fn read_bytes(name: &str, bytes: &[u8]) -> File {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    read(&path).unwrap()
}

#[test]
fn entries_may_be_compressed_and_the_folder_and_the_file_have_any_name() {
    let same = read(fixture("views.pth")).unwrap().tensors;
    let plain = entries(fs::read(fixture("views.pth")).unwrap());
    for folder in ["", "archive/", "a folder é/"] {
        let moved: BTreeMap<_, _> = plain
            .iter()
            .map(|(name, content)| (name.replacen("views/", folder, 1), content.clone()))
            .collect();
        assert!(moved.contains_key(&format!("{folder}data.pkl")));
        for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
            // Known by its bytes.
            let file = read_bytes("weights.npz", &written(&moved, method));
            assert_eq!(file.tensors, same, "{folder} {method}");
        }
    }
    let legacy = read_bytes("weights", &fs::read(fixture("views-legacy.pth")).unwrap());
    assert_eq!(legacy.tensors, same);
}

/// `archive`, with a Zip64 end of the directory and its locator, which an archive of this size does not need.
fn with_zip64_end(archive: &[u8]) -> Vec<u8> {
    let end = archive.len() - 22;
    let (before, last) = archive.split_at(end);
    assert!(last.starts_with(b"PK\x05\x06"));
    let number = |range: std::ops::Range<usize>| {
        last[range].iter().rev().fold(0u64, |value, &byte| value << 8 | u64::from(byte))
    };
    let mut zip64 = b"PK\x06\x06".to_vec();
    zip64.extend(44u64.to_le_bytes());
    zip64.extend([45, 0, 45, 0]);
    zip64.extend([0; 8]);
    for value in [number(8..10), number(10..12), number(12..16), number(16..20)] {
        zip64.extend(value.to_le_bytes());
    }
    zip64.extend(b"PK\x06\x07\0\0\0\0");
    zip64.extend((end as u64).to_le_bytes());
    zip64.extend(1u32.to_le_bytes());
    [before, &zip64, last].concat()
}

/// A Zip64 end of 76 bytes that is not needed, and a first name of 30 letters: the zip crate's search for the directory finds its
/// second entry.
#[test]
fn a_needless_zip64_end_hides_no_entry() {
    let bytes = fs::read(fixture("checkpoint-state_dict.pth")).unwrap();
    let name = b"checkpoint-state_dict/data.pkl";
    assert!(name.len() == 30 && bytes[30..].starts_with(name));
    assert_eq!(read(fixture("checkpoint-state_dict.pth")).unwrap().tensors.len(), 12);

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.npz");
    let first = "a".repeat(26);
    let tensors = vec![
        (first.clone(), Tensor::full([2, 3], 0.5)),
        ("b".repeat(26), Tensor::full([4], -1.0)),
        ("c".to_string(), Tensor::full([], 2.0)),
    ];
    npz::write(&path, &tensors, &BTreeMap::from([("arch".into(), "tiny".into())])).unwrap();
    let bytes = fs::read(&path).unwrap();
    assert!(bytes[30..].starts_with(format!("{first}.npy").as_bytes()));
    fs::write(&path, with_zip64_end(&bytes)).unwrap();
    let file = read(&path).unwrap();
    for (name, tensor) in &tensors {
        assert_eq!(&file.tensors[name], tensor);
    }
    assert_eq!((file.tensors.len(), file.metadata["arch"].as_str()), (3, "tiny"));
}

/// A file of the earlier form: `object`, and storages of one `f32` each for `keys`.
fn legacy(object: &[u8], keys: &[(&str, f32)]) -> Vec<u8> {
    let mut file = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.".to_vec();
    file.extend(b"\x80\x02}q\x00(X\x10\0\0\0protocol_versionM\xe9\x03X\x0d\0\0\0little_endian\x88u.");
    file.extend(object);
    file.extend(b"\x80\x02](");
    for (key, _) in keys {
        file.extend([&b"U"[..], &[key.len() as u8], key.as_bytes()].concat());
    }
    file.extend(b"e.");
    for (_, value) in keys {
        file.extend(1u64.to_le_bytes());
        file.extend(value.to_le_bytes());
    }
    file
}

/// As Python 2 and PyTorch 0.1 to 0.3 wrote them: strings of bytes, ordered dictionaries made from a list of pairs, parameters,
/// `_rebuild_tensor`, and views of storages.
#[test]
fn files_of_the_first_versions_are_read() {
    let storage = b"(U\x07storagectorch\nFloatStorage\nU\x01kU\x03cpuK\x01";
    let tensor = |view: &[u8]| {
        [b"ctorch._utils\n_rebuild_tensor\n((", &storage[1..], view, b"tQK\x00K\x01\x85K\x01\x85tR"].concat()
    };
    let parameter = [
        b"ctorch.nn.parameter\nParameter\n",
        &tensor(b"N")[..],
        b"\x85\x81(\x88\x89ccollections\nOrderedDict\n]\x85Rtb",
    ]
    .concat();
    let part = tensor(b"(U\x01vK\x00K\x01t");
    let object =
        [&b"\x80\x02ccollections\nOrderedDict\n](](U\x01w"[..], &parameter, b"e](U\x01v", &part, b"ee\x85R."]
            .concat();
    let file = read_bytes("old.pth", &legacy(&object, &[("k", 1.5)]));
    assert_eq!(file.tensors.keys().collect::<Vec<_>>(), ["v", "w"]);
    assert_eq!((file.tensors["w"].data(), file.tensors["v"].data()), (&[1.5][..], &[1.5][..]));
}
