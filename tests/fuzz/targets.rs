//! What is fuzzed: a function of bytes for each reader. It reads them as a user's file is read and does with the result what
//! is cheap. For any bytes, the answer is a result or a good error: one line that begins with the file's name, and
//! exit code 4. Anything else is a panic, which is what the replay and libFuzzer look for.
//!
//! Bytes with checksums are read as they are and once more with the right ones, so that what lies behind is reached too.

#[path = "targets/labels.rs"]
mod labels;
#[path = "targets/networks.rs"]
mod networks;

use flate2::read::MultiGzDecoder;
use std::cell::OnceCell;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use striate::data::{Decoder, Images, InputRange, Kind, Request, Splits, open};
use striate::error::{Error, Result};
use tempfile::TempDir;
use xxhash_rust::xxh3::Xxh3;

/// Reads bytes; a panic is a finding.
pub type Target = fn(&[u8]);

/// Every target by its name, which is also the name of its folder of seeds and of its archive in `corpus/`.
pub const TARGETS: [(&str, Target); 24] = [
    ("annotations", labels::annotations),
    ("bmp", picture),
    ("checkpoint", networks::checkpoint),
    ("cifar", cifar),
    ("cifar-python", cifar_python),
    ("csv", csv),
    ("gif", picture),
    ("idx", idx),
    ("jpeg", picture),
    ("list", labels::list),
    ("model", networks::model),
    ("npz", networks::weights),
    ("npz-data", arrays),
    ("onnx", networks::onnx_file),
    ("packed", packed),
    ("parquet", parquet),
    ("png", png),
    ("pth", networks::pth),
    ("safetensors", networks::weights),
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
