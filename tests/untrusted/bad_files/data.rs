//! Formats whose headers have numbers, and their bad files: data sets, weights, checkpoints.

use crate::lies::{Number, cuts, header_lies, numbers, places};
use crate::sound::{parts, seed};
use std::io::Write;
use std::path::Path;
use striate::data::{Kind, Request, open};
use striate::error::Result;
use striate::interchange;
use striate::run::Checkpoint;

/// A bad file.
pub struct Bad {
    pub what: String,
    pub bytes: Vec<u8>,
}

/// A format: where its file lies in a folder, its bad files, and how a user has it read.
pub struct Format {
    pub name: &'static str,
    pub file: &'static str,
    /// What else has to be there.
    pub beside: Vec<(&'static str, Vec<u8>)>,
    pub bad: Vec<Bad>,
    /// Whether damage can leave a sound file (text, streams without a checksum); every rejection must have a good message.
    pub forgiving: bool,
    pub read: fn(&Path) -> Result<()>,
    /// Arguments of the program; `.` is the folder.
    pub arguments: &'static [&'static str],
}

pub fn bad(files: impl IntoIterator<Item = (String, Vec<u8>)>) -> Vec<Bad> {
    files.into_iter().map(|(what, bytes)| Bad { what, bytes }).collect()
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub fn data(path: &Path, kind: Kind) -> Result<()> {
    let request = Request::new([3, 8, 8], 10)
        .with_path(Some(path.to_str().unwrap().into()))
        .with_kind(kind)
        .with_val_split(Some(0.0))
        .with_model(None);
    let splits = open(&request)?;
    for dataset in [splits.train, splits.val] {
        for sample in 0..dataset.len().min(8) {
            if dataset.has_pixels() {
                dataset.read_pixels(sample, &mut vec![0; dataset.image_len()])?;
            }
        }
    }
    Ok(())
}

/// Train on it, in a model that takes anything.
pub const TRAIN: [&str; 7] = ["train", "-q", "--device", "cpu", "-m", "lenet5", "--data-path"];

fn idx_fields(dimensions: usize) -> Vec<Number> {
    let names = ["first dimension", "second dimension", "third dimension"];
    let magic = ["first zero", "second zero", "type", "number of dimensions"];
    let magic = magic.iter().enumerate().map(|(at, name)| Number { name, at, bytes: 1, big_endian: true });
    let size = |(n, name): (usize, &&'static str)| Number { name, at: 4 + 4 * n, bytes: 4, big_endian: true };
    magic.chain(names[..dimensions].iter().enumerate().map(size)).collect()
}

/// Files of `dimensions` dimensions whose fields are each possible, but not together, or not beside the other file.
fn idx_lies(dimensions: u8) -> Vec<(String, Vec<u8>)> {
    let file = |kind: u8, sizes: &[u32], data: &[u8]| -> Vec<u8> {
        let sizes: Vec<u8> = sizes.iter().flat_map(|size| size.to_be_bytes()).collect();
        [&[0, 0, kind, dimensions], &sizes[..], data].concat()
    };
    let mut lies: Vec<(String, Vec<u8>)> = Vec::new();
    let (sizes, data): (&[u32], &[u8]) =
        if dimensions == 3 { (&[3, 2, 4], &[7; 24]) } else { (&[5], &[1; 5]) };
    for kind in [0x09, 0x0b, 0x0c, 0x0d, 0x0e] {
        lies.push((format!("type {kind:02x}"), file(kind, sizes, data)));
    }
    lies.push(("all sizes max".into(), file(8, &vec![u32::MAX; sizes.len()], data)));
    let mut little = file(8, sizes, data);
    little[4..8].reverse();
    lies.push(("little-endian".into(), little));
    if dimensions == 3 {
        // 10^18 bytes claimed, in sizes whose product does not overflow.
        lies.push(("a quintillion".into(), file(8, &[1_000_000_000, 1_000_000_000, 1], data)));
    } else {
        lies.push(("fewer labels".into(), file(8, &[2], &[2, 0])));
    }
    lies
}

pub fn idx() -> Vec<Format> {
    let sound = [(3, "images", "train-images-idx3-ubyte"), (1, "labels", "train-labels-idx1-ubyte")];
    let mut formats = Vec::new();
    for (dimensions, name, file) in sound {
        let other = match dimensions {
            3 => ("train-labels-idx1-ubyte", [&[0, 0, 8, 1, 0, 0, 0, 3][..], &[1; 3]].concat()),
            _ => (
                "train-images-idx3-ubyte",
                [&[0, 0, 8, 3, 0, 0, 0, 5, 0, 0, 0, 1, 0, 0, 0, 1][..], &[1; 5]].concat(),
            ),
        };
        let whole = seed("idx", name);
        let mut files: Vec<_> =
            idx_fields(dimensions).into_iter().flat_map(|field| numbers(&whole, field)).collect();
        files.extend(cuts(&whole, 0..whole.len()));
        files.push(("one byte more".into(), [&whole[..], &[0]].concat()));
        files.extend(idx_lies(dimensions as u8));
        let mut zipped: Vec<_> = files.iter().map(|(what, bytes)| (what.clone(), gzipped(bytes))).collect();
        let whole = gzipped(&whole);
        zipped.extend(cuts(&whole, 0..whole.len()));
        for at in whole.len() - 8..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            zipped.push((format!("checksum or length, byte {at}"), bytes));
        }
        let zipped_file =
            if dimensions == 3 { "train-images-idx3-ubyte.gz" } else { "train-labels-idx1-ubyte.gz" };
        let zipped_name = if dimensions == 3 { "gzipped IDX images" } else { "gzipped IDX labels" };
        let plain_name = if dimensions == 3 { "IDX images" } else { "IDX labels" };
        zipped.push(("rubbish behind".into(), [&whole[..], b"rubbish"].concat()));
        for (name, file, files) in [(plain_name, file, files), (zipped_name, zipped_file, zipped)] {
            formats.push(Format {
                name,
                file,
                beside: vec![other.clone()],
                bad: bad(files),
                forgiving: false,
                read: |path| data(path.parent().unwrap(), Kind::Idx),
                arguments: &["--dataset", "idx"],
            });
        }
    }
    formats
}

pub fn cifar() -> Vec<Format> {
    let row: Vec<u8> = seed("cifar", "ten")[1..].to_vec();
    let files =
        ["data_batch_1.bin", "data_batch_2.bin", "data_batch_4.bin", "data_batch_5.bin", "test_batch.bin"];
    let mut lies = cuts(&row, (0..20).chain((20..row.len()).step_by(61)));
    lies.push(("a byte more".into(), [&row[..], &[0]].concat()));
    for label in 10..=255 {
        lies.push((format!("label {label}"), [&[label], &row[1..], &row].concat()));
        lies.push((format!("second label {label}"), [&row[..], &[label], &row[1..]].concat()));
    }
    let names = |count: usize| (0..count).map(|n| format!("name {n}\n")).collect::<String>().into_bytes();
    let mut bad_names: Vec<_> =
        [0, 1, 9, 11, 100, 10_000].into_iter().map(|n| (format!("{n} names"), names(n))).collect();
    bad_names.push(("not Unicode".into(), [&names(9)[..], b"\xff\xfe\n"].concat()));
    let beside = |except: &str| -> Vec<_> {
        let all = files.iter().chain(&["data_batch_3.bin"]).filter(|name| **name != except);
        all.map(|name| (*name, row.clone())).collect()
    };
    vec![
        Format {
            name: "CIFAR-10",
            file: "data_batch_3.bin",
            beside: beside("data_batch_3.bin"),
            bad: bad(lies),
            forgiving: false,
            read: |path| data(path.parent().unwrap(), Kind::Cifar10),
            arguments: &["--dataset", "cifar10"],
        },
        Format {
            name: "class names of CIFAR-10",
            file: "batches.meta.txt",
            beside: beside(""),
            bad: bad(bad_names),
            forgiving: false,
            read: |path| data(path.parent().unwrap(), Kind::Cifar10),
            arguments: &["--dataset", "cifar10"],
        },
    ]
}

/// The length before a safetensors header, and the file cut.
fn frame(sound: &[u8]) -> Vec<(String, Vec<u8>)> {
    let header = sound.len() - parts(sound).1.len();
    let mut files = numbers(sound, Number { name: "header's length", at: 0, bytes: 8, big_endian: false });
    files.extend(cuts(sound, (0..64).chain((64..sound.len()).step_by(41)).chain(header - 2..header + 3)));
    files.push(("a byte more".into(), [sound, &[0]].concat()));
    files
}

pub fn safetensors() -> Vec<Format> {
    let same = |bytes: Vec<u8>| bytes;
    let tensor = |place: &str| !place.starts_with("/__metadata__");
    let mut formats = Vec::new();
    for name in ["tiny", "types"] {
        let sound = seed("safetensors", name);
        let mut lies = frame(&sound);
        lies.extend(header_lies(&sound, &places(&parts(&sound).0, &tensor), &same));
        formats.push(Format {
            name: if name == "tiny" { "weights" } else { "weights of other types" },
            file: "w.safetensors",
            beside: Vec::new(),
            bad: bad(lies),
            forgiving: true,
            read: |path| interchange::read(path).map(drop),
            arguments: &["export", "-q", "--device", "cpu", "-o", "out.npz", "--weights", "w.safetensors"],
        });
    }
    for name in ["bytes", "floats", "classes32"] {
        let sound = seed("tensors", name);
        let mut lies = frame(&sound);
        lies.extend(header_lies(&sound, &places(&parts(&sound).0, &tensor), &same));
        formats.push(Format {
            name: "data set of tensors",
            file: "train.safetensors",
            beside: Vec::new(),
            bad: bad(lies),
            forgiving: true,
            read: |path| data(path, Kind::Tensors),
            arguments: &["--dataset", "tensors"],
        });
    }
    for name in ["both", "whole"] {
        let sound = seed("packed", name);
        let mut lies = frame(&sound);
        lies.extend(header_lies(&sound, &places(&parts(&sound).0, &tensor), &same));
        for at in 0..sound.len() {
            let mut bytes = sound.clone();
            bytes[at] ^= 1 << (at % 8);
            lies.push((format!("bit of byte {at}"), bytes));
        }
        formats.push(Format {
            name: if name == "both" { "packed pictures" } else { "packed whole pictures" },
            file: "p.safetensors",
            beside: Vec::new(),
            bad: bad(lies),
            forgiving: false,
            read: |path| data(path, Kind::Packed),
            arguments: &["--dataset", "packed"],
        });
    }
    let sound = seed("checkpoint", "tiny");
    let mut lies = frame(&sound);
    lies.extend(header_lies(&sound, &places(&parts(&sound).0, &|_| true), &same));
    for at in (0..sound.len()).step_by(3) {
        let mut bytes = sound.clone();
        bytes[at] ^= 1 << (at % 8);
        lies.push((format!("bit of byte {at}"), bytes));
    }
    formats.push(Format {
        name: "checkpoint",
        file: "checkpoint.safetensors",
        beside: Vec::new(),
        bad: bad(lies),
        forgiving: true,
        read: |path| Checkpoint::read_first(&[path.to_path_buf()]).map(drop),
        arguments: &[
            "train",
            "-q",
            "--device",
            "cpu",
            "-m",
            "lenet5",
            "--dataset",
            "synthetic",
            "--resume",
            "checkpoint.safetensors",
        ],
    });
    formats
}
