//! What is fuzzed: a function of bytes for each reader. It reads them as a user's file is read and does with the result what
//! is cheap. For any bytes, the answer is a result or a good error: one line that begins with the file's name, and
//! exit code 4. Anything else is a panic, which is what the replay and libFuzzer look for.
//!
//! Bytes with checksums are read as they are and once more with the right ones, so that what lies behind is reached too.

#[path = "targets/labels.rs"]
mod labels;

use flate2::read::MultiGzDecoder;
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use striate::data::{Decoder, Images, InputRange, Kind, Request, Splits, open};
use striate::error::{Error, Result};
use striate::inference::spec_of;
use striate::interchange::{self, onnx};
use striate::model::{BuildOptions, Model, Spec, Summary};
use striate::run::Checkpoint;
use striate::tensor::Tensor;
use tempfile::TempDir;
use xxhash_rust::xxh3::Xxh3;

/// Reads bytes; a panic is a finding.
pub type Target = fn(&[u8]);

/// Every target by its name, which is also the name of its folder of seeds and of its archive in `corpus/`.
pub const TARGETS: [(&str, Target); 24] = [
    ("annotations", labels::annotations),
    ("bmp", picture),
    ("checkpoint", checkpoint),
    ("cifar", cifar),
    ("cifar-python", cifar_python),
    ("csv", csv),
    ("gif", picture),
    ("idx", idx),
    ("jpeg", picture),
    ("list", labels::list),
    ("model", model),
    ("npz", weights),
    ("npz-data", arrays),
    ("onnx", onnx_file),
    ("packed", packed),
    ("parquet", parquet),
    ("png", png),
    ("pth", pth),
    ("safetensors", weights),
    ("stl10", stl10),
    ("tar", tar),
    ("tensors", tensors),
    ("tiff", picture),
    ("webp", picture),
];

/// Images of a data set that are looked at.
const LOOKED_AT: usize = 4;

thread_local! {
    static FOLDER: OnceCell<TempDir> = const { OnceCell::new() };
}

/// A folder of this thread's own, in memory where there is one.
fn folder() -> PathBuf {
    let make = || match Path::new("/dev/shm").is_dir() && std::env::var_os("TMPDIR").is_none() {
        true => tempfile::tempdir_in("/dev/shm").unwrap(),
        false => tempfile::tempdir().unwrap(),
    };
    FOLDER.with(|folder| folder.get_or_init(make).path().to_path_buf())
}

/// A file of this thread with these bytes.
fn file(name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder().join(name);
    fs::write(&path, bytes).unwrap();
    path
}

/// Panics unless `error` is what a damaged file at `path` deserves.
pub fn judge(error: &Error, path: &str) {
    let text = error.to_string();
    assert_eq!(error.exit_code(), 4, "{text}");
    assert!(text.starts_with(path), "does not begin with {path}: {text}");
    assert!(!text.chars().any(char::is_control), "{text:?}");
    assert!(text.len() < 8000, "{} bytes: {text}", text.len());
}

/// The result, if it is one.
fn judged<T>(result: Result<T>, path: &Path) -> Option<T> {
    result.inspect_err(|error| judge(error, path.to_str().unwrap())).ok()
}

/// Opens the data set at `path` for no model, and looks at some of its images.
fn data(path: &Path, kind: Kind, named_by: &Path) {
    let request = Request::new([3, 8, 8], 10)
        .with_path(Some(path.to_str().unwrap().into()))
        .with_kind(kind)
        .with_val_split(Some(0.0))
        .with_model(None);
    let Some(Splits { train, val, .. }) = judged(open(&request), named_by) else { return };
    for dataset in [train, val] {
        assert!(!dataset.is_empty() && dataset.label_len() > 0);
        for sample in (0..dataset.len()).take(LOOKED_AT) {
            if !matches!(dataset.images, Images::F32(_) | Images::Levels(_)) {
                let mut pixels = vec![0; dataset.image_len()];
                let _ = judged(dataset.read_pixels(sample, &mut pixels), named_by);
            }
        }
    }
}

/// An IDX file of these dimensions, which hold at most 64 KiB, for any dimensions.
fn idx_of(dimensions: &[u32]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, dimensions.len() as u8];
    dimensions.iter().for_each(|dimension| bytes.extend(dimension.to_be_bytes()));
    bytes.resize(bytes.len() + dimensions.iter().product::<u32>().min(1 << 16) as usize, 1);
    bytes
}

/// Images, if they have three dimensions, or labels; gzipped or not. The other file is made to fit.
fn idx(bytes: &[u8]) {
    let folder = folder().join("idx");
    fs::create_dir_all(&folder).unwrap();
    let zipped = bytes.starts_with(&[0x1f, 0x8b]);
    let mut start = Vec::new();
    let _ = match zipped {
        true => MultiGzDecoder::new(bytes).take(8).read_to_end(&mut start),
        false => (&bytes[..bytes.len().min(8)]).read_to_end(&mut start),
    };
    let count = start.get(4..8).map_or(1, |four| u32::from_be_bytes([four[0], four[1], four[2], four[3]]));
    let (names, other) = if start.get(3) == Some(&1) {
        (["train-labels-idx1-ubyte", "train-images-idx3-ubyte"], idx_of(&[count, 1, 1]))
    } else {
        (["train-images-idx3-ubyte", "train-labels-idx1-ubyte"], idx_of(&[count]))
    };
    for name in names {
        let _ = fs::remove_file(folder.join(name));
        let _ = fs::remove_file(folder.join(format!("{name}.gz")));
    }
    fs::write(folder.join(if zipped { format!("{}.gz", names[0]) } else { names[0].into() }), bytes).unwrap();
    fs::write(folder.join(names[1]), other).unwrap();
    data(&folder, Kind::Idx, &folder);
}

/// A byte that says which file it is, then the file.
fn cifar(bytes: &[u8]) {
    let Some((which, bytes)) = bytes.split_first() else { return };
    let hundred = which % 2 == 1;
    let folder = folder().join(if hundred { "cifar100" } else { "cifar10" });
    let (own, all, kind, row): (_, &[&str], _, _) = if hundred {
        (["train.bin", "test.bin", "fine_label_names.txt"], &["train.bin", "test.bin"], Kind::Cifar100, 3074)
    } else {
        let all = &[
            "data_batch_1.bin",
            "data_batch_2.bin",
            "data_batch_3.bin",
            "data_batch_4.bin",
            "data_batch_5.bin",
            "test_batch.bin",
        ];
        (["data_batch_3.bin", "test_batch.bin", "batches.meta.txt"], all, Kind::Cifar10, 3073)
    };
    if !folder.is_dir() {
        fs::create_dir(&folder).unwrap();
        all.iter().for_each(|name| fs::write(folder.join(name), vec![1; row]).unwrap());
    }
    let name = folder.join(own[usize::from(which / 2 % 3)]);
    fs::write(&name, bytes).unwrap();
    data(&folder, kind, &folder);
    match which / 2 % 3 {
        2 => fs::remove_file(name).unwrap(),
        _ => fs::write(name, vec![1; row]).unwrap(),
    }
}

/// A batch of CIFAR-10's Python version, which every file is, or the names of its classes.
fn cifar_python(bytes: &[u8]) {
    let folder = folder().join("cifar-python");
    fs::create_dir_all(&folder).unwrap();
    let batches = (1..=5).map(|number| format!("data_batch_{number}")).chain(["test_batch".to_string()]);
    for name in batches.chain(["batches.meta".to_string()]) {
        fs::write(folder.join(name), bytes).unwrap();
    }
    data(&folder, Kind::Cifar10, &folder);
    fs::remove_file(folder.join("batches.meta")).unwrap();
    data(&folder, Kind::Cifar10, &folder);
}

/// Labels of STL-10, for images without content that are as many, and the names of its classes.
fn stl10(bytes: &[u8]) {
    let folder = folder().join("stl10");
    fs::create_dir_all(&folder).unwrap();
    for part in ["train", "test"] {
        let images = fs::File::create(folder.join(format!("{part}_X.bin"))).unwrap();
        images.set_len(27_648 * bytes.len().min(64) as u64).unwrap();
        fs::write(folder.join(format!("{part}_y.bin")), bytes).unwrap();
    }
    let names = folder.join("class_names.txt");
    let _ = fs::remove_file(&names);
    data(&folder, Kind::Stl10, &folder);
    fs::write(names, bytes).unwrap();
    data(&folder, Kind::Stl10, &folder);
}

/// A table for models with and without `[preprocess]`, its numbers and its label declared and not.
fn csv(bytes: &[u8]) {
    let path = file("t.csv", bytes);
    data(&path, Kind::Csv, &path);
    let model = |input, outputs| {
        Request::new(input, outputs).with_path(Some(path.to_str().unwrap().into())).with_kind(Kind::Csv)
    };
    for request in [
        model([2, 1, 1], 1),
        model([2, 1, 1], 3),
        model([1, 1, 2], 3),
        model([2, 1, 1], 3).with_label_column(Some("1".into())),
        model([1, 1, 2], 3).with_label_column(Some("label".into())).with_input_range(Some(InputRange::Unit)),
        model([2, 1, 1], 3).with_input_range(Some(InputRange::Pixels)).with_model(None),
    ] {
        let _ = judged(open(&request), &path);
    }
    // As the validation part of a table that has a header, and of one that has none.
    for (name, train) in [("named", "label,a,b\n0,1,2\n1,3,4\n"), ("unnamed", "1,2,0\n3,4,1\n")] {
        let folder = folder().join(name);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("train.csv"), train).unwrap();
        fs::write(folder.join("val.csv"), bytes).unwrap();
        data(&folder, Kind::Csv, &folder);
    }
}

fn tensors(bytes: &[u8]) {
    let path = file("t.safetensors", bytes);
    data(&path, Kind::Tensors, &path);
}

fn parquet(bytes: &[u8]) {
    let path = file("t.parquet", bytes);
    data(&path, Kind::Parquet, &path);
    for column in ["label", "image", "path"] {
        let request = named(&path, Kind::Parquet).with_label_column(Some(column.into()));
        let _ = judged(open(&request), &path);
    }
}

fn tar(bytes: &[u8]) {
    let path = file("t.tar", bytes);
    data(&path, Kind::Tar, &path);
    for column in ["label", "id"] {
        let request = named(&path, Kind::Tar).with_label_column(Some(column.into()));
        let _ = judged(open(&request), &path);
    }
    let _ = judged(open(&named(&path, Kind::Tar).with_image_column(Some("txt".into()))), &path);
}

/// A request for no model.
fn named(path: &Path, kind: Kind) -> Request {
    let path = Some(path.to_str().unwrap().into());
    Request::new([3, 8, 8], 10).with_path(path).with_kind(kind).with_val_split(Some(0.0)).with_model(None)
}

/// A data set as NPZ, for no model and for one.
fn arrays(bytes: &[u8]) {
    let path = file("d.npz", bytes);
    data(&path, Kind::Npz, &path);
    let request = Request::new([1, 2, 2], 3).with_path(Some(path.to_str().unwrap().into()));
    let _ = judged(open(&request.with_kind(Kind::Npz).with_input_range(Some(InputRange::Unit))), &path);
}

fn packed(bytes: &[u8]) {
    let path = file("p.safetensors", bytes);
    data(&path, Kind::Packed, &path);
    if let Some(mended) = mended_packed(bytes) {
        let path = file("p.safetensors", &mended);
        data(&path, Kind::Packed, &path);
    }
}

/// Header and data of a safetensors file.
fn parts(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)
}

/// A packed data set with the checksum that it should have; its images' hashes are its own.
fn mended_packed(bytes: &[u8]) -> Option<Vec<u8>> {
    let (header, data) = parts(bytes)?;
    let header: serde_json::Value = serde_json::from_slice(header).ok()?;
    let at = bytes.len() - data.len();
    let place = |name: &str| -> Option<std::ops::Range<usize>> {
        let place = |end| at.checked_add(header.get(name)?.get("data_offsets")?.get(end)?.as_u64()? as usize);
        let place = place(0)?..place(1)?;
        (place.start <= place.end && place.end <= bytes.len()).then_some(place)
    };
    let images = ["train.images", "val.images"].into_iter().filter_map(place).map(|place| place.end).max()?;
    let checksum = place("checksum").filter(|place| place.len() == 8 && place.start >= images)?;
    let mut hash = Xxh3::new();
    for part in [&bytes[..at], &bytes[images..checksum.start], &bytes[checksum.end..]] {
        hash.update(part);
    }
    let mut mended = bytes.to_vec();
    mended[checksum].copy_from_slice(&hash.digest().to_le_bytes());
    (mended != bytes).then_some(mended)
}

fn picture(bytes: &[u8]) {
    let path = file("picture", bytes);
    let mut decoder = Decoder::new();
    if judged(decoder.read(&path, [3, 8, 8], &mut [0; 192]), &path).is_some() {
        let ([width, height], pixels) = decoder.read_within(&path, 16).unwrap();
        assert!(pixels.len() == 3 * width * height && width.max(height) == 16);
        decoder.read(&path, [1, 5, 7], &mut [0; 35]).unwrap();
    }
}

fn png(bytes: &[u8]) {
    picture(bytes);
    let mut mended = bytes.to_vec();
    let mut at = 8;
    // The checksum of every chunk.
    while let Some(four) = bytes.get(at..at + 4) {
        let length = u32::from_be_bytes([four[0], four[1], four[2], four[3]]) as usize;
        let Some(content) = bytes.get(at + 4..at + 8 + length) else { break };
        let mut crc = flate2::Crc::new();
        crc.update(content);
        at += 8 + length;
        let Some(place) = mended.get_mut(at..at + 4) else { break };
        place.copy_from_slice(&crc.sum().to_be_bytes());
        at += 4;
    }
    if mended != bytes {
        picture(&mended);
    }
}

/// Safetensors, NPZ or ONNX with another network's name, as the readers of weights take them.
fn weights(bytes: &[u8]) {
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
fn pth(bytes: &[u8]) {
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

fn checkpoint(bytes: &[u8]) {
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

fn model(bytes: &[u8]) {
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

fn onnx_file(bytes: &[u8]) {
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
