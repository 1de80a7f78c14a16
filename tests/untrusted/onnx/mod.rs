//! ONNX files that are damaged, or made to do harm: every one is read or refused in one line, in bounded memory. The sound files are made by
//! `tests/untrusted/onnx/make.py`.

mod bombs;

use crate::allocations;
use std::fs;
use std::path::Path;
use striate::error::Error;
use striate::interchange::onnx::{ImportOptions, Imported, decode, read};
use striate::random::{Purpose, Stream};

const SOUND: &[u8] = include_bytes!("small.onnx");

/// All sound files.
const FILES: [(&str, &[u8]); 3] = [
    ("small", SOUND),
    ("operators", include_bytes!("operators.onnx")),
    ("last", include_bytes!("last.onnx")),
];

/// A field of a protocol-buffer message.
#[derive(Clone, Debug)]
struct Field {
    number: u64,
    value: Value,
}

#[derive(Clone, Debug)]
enum Value {
    Varint(u64),
    Fixed(Vec<u8>),
    Bytes(Vec<u8>),
    Message(Vec<Field>),
}

/// What message the field `number` of a message is, as far as ONNX has them here.
fn inner(message: &str, number: u64) -> Option<&'static str> {
    Some(match (message, number) {
        ("model", 7) => "graph",
        ("graph", 1) => "node",
        ("node", 5) => "attribute",
        ("graph" | "attribute", 5) => "tensor",
        ("graph", 11 | 12) => "info",
        ("info", 2) => "type",
        ("type", 1) => "tensor type",
        ("tensor type", 2) => "shape",
        ("model", 8 | 14) | ("tensor", 13) | ("shape", 1) => "leaf",
        _ => return None,
    })
}

fn parse(mut bytes: &[u8], message: &str) -> Vec<Field> {
    fn varint(bytes: &mut &[u8]) -> u64 {
        let (mut value, mut shift) = (0, 0);
        loop {
            let byte = bytes.split_off_first().unwrap();
            value |= u64::from(byte & 127) << shift;
            shift += 7;
            if byte & 128 == 0 {
                return value;
            }
        }
    }
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes);
        let number = tag >> 3;
        let value = match tag & 7 {
            0 => Value::Varint(varint(&mut bytes)),
            1 => Value::Fixed(bytes.split_off(..8).unwrap().to_vec()),
            5 => Value::Fixed(bytes.split_off(..4).unwrap().to_vec()),
            _ => {
                let length = varint(&mut bytes) as usize;
                let content = bytes.split_off(..length).unwrap();
                match inner(message, number) {
                    Some(message) => Value::Message(parse(content, message)),
                    None => Value::Bytes(content.to_vec()),
                }
            }
        };
        fields.push(Field { number, value });
    }
    fields
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value > 127 {
        out.push(value as u8 | 128);
        value >>= 7;
    }
    out.push(value as u8);
}

fn encode(fields: &[Field]) -> Vec<u8> {
    let mut out = Vec::new();
    for Field { number, value } in fields {
        let mut tag = |wire| put_varint(&mut out, number << 3 | wire);
        match value {
            Value::Varint(value) => {
                tag(0);
                put_varint(&mut out, *value);
            }
            Value::Fixed(bytes) => {
                tag(if bytes.len() == 8 { 1 } else { 5 });
                out.extend(bytes);
            }
            Value::Bytes(bytes) => {
                tag(2);
                put_varint(&mut out, bytes.len() as u64);
                out.extend(bytes);
            }
            Value::Message(fields) => {
                tag(2);
                let content = encode(fields);
                put_varint(&mut out, content.len() as u64);
                out.extend(content);
            }
        }
    }
    out
}

/// The list of which field number `at` (counted depth first) is one, and its place there.
fn find<'f>(fields: &'f mut Vec<Field>, at: &mut usize) -> Option<(&'f mut Vec<Field>, usize)> {
    if *at < fields.len() {
        return Some((fields, *at));
    }
    *at -= fields.len();
    fields.iter_mut().find_map(|field| match &mut field.value {
        Value::Message(fields) => find(fields, at),
        _ => None,
    })
}

/// What a field may be replaced by, lengths around it being right.
fn lies(field: &Field) -> Vec<Vec<Field>> {
    let with = |value| vec![Field { number: field.number, value }];
    let mut lies = vec![vec![], vec![field.clone(), field.clone()]];
    lies.push(vec![Field { number: field.number + 1, value: field.value.clone() }]);
    match &field.value {
        Value::Varint(value) => {
            let around = [value.wrapping_add(1), value.wrapping_sub(1)];
            let numbers =
                [0, 1, 2, 9, 127, 65_537, (1 << 31) - 1, 1 << 31, 1 << 40, (1 << 63) - 1, 1 << 63, u64::MAX];
            lies.extend(numbers.into_iter().chain(around).map(|number| with(Value::Varint(number))));
            lies.push(with(Value::Bytes(vec![1, 2, 3])));
        }
        Value::Fixed(bytes) => {
            lies.extend([0, 0x7f, 0xff].map(|byte| with(Value::Fixed(vec![byte; bytes.len()]))));
            lies.push(with(Value::Varint(1)));
        }
        Value::Bytes(bytes) => {
            let mut shorter = bytes.clone();
            shorter.pop();
            let fill = |byte, length| with(Value::Bytes(vec![byte; length]));
            lies.extend([fill(0, 0), fill(0xff, bytes.len()), fill(0, bytes.len()), fill(b'A', 100_000)]);
            lies.extend([with(Value::Bytes(shorter)), with(Value::Bytes(bytes.repeat(2)))]);
            lies.extend([with(Value::Varint(1)), with(Value::Bytes("a\n\u{1b}[31m".into()))]);
        }
        Value::Message(fields) => {
            let mut cut = encode(fields);
            cut.pop();
            lies.extend([with(Value::Message(vec![])), with(Value::Bytes(cut)), with(Value::Varint(1))]);
        }
    }
    lies
}

/// The outcome of importing `bytes`, once it is sure that it is a good one of its kind.
fn outcome(bytes: Vec<u8>, what: &str) -> Result<Imported, String> {
    let room = (64 << 20) + 8 * bytes.len();
    let mut outcome = None;
    let peak = allocations::peak_during(|| {
        outcome = Some(decode(bytes, Path::new("x.onnx"), &ImportOptions::default()));
    });
    assert!(peak <= room, "{what}: {peak} bytes, expected at most {room}");
    outcome.unwrap().map_err(|error| good(error, what))
}

/// The text of a good error.
fn good(error: Error, what: &str) -> String {
    let text = error.to_string();
    let Error::Data { message, .. } = error else { panic!("{what}: not an error of the file: {error:?}") };
    assert!(text.lines().count() == 1 && text.len() < 4000, "{what}: {text}");
    message
}

#[test]
fn the_sound_files_are_read() {
    let imported = outcome(SOUND.to_vec(), "sound").unwrap();
    assert_eq!(imported.spec.input, [1, 4, 4]);
    assert_eq!(imported.metadata["classes"], "a,b,c");
    let names: Vec<_> = imported.tensors.iter().map(|(name, _)| name.as_str()).collect();
    for name in ["conv.weight", "conv.bias", "bn.weight", "bn.bias", "bn.running_mean", "bn.running_var"] {
        assert!(names.contains(&name), "{name}: {names:?}");
    }
    for (name, file) in FILES {
        outcome(file.to_vec(), name).unwrap();
        assert_eq!(encode(&parse(file, "model")), file, "{name}: this test does not know the format");
    }
}

#[test]
fn every_field_may_lie() {
    for (name, file) in FILES {
        let sound = parse(file, "model");
        let (mut read, mut refused) = (0, 0);
        for at in 0.. {
            let mut model = sound.clone();
            let Some((fields, place)) = find(&mut model, &mut at.clone()) else { break };
            for lie in lies(&fields[place].clone()) {
                let mut model = sound.clone();
                let (fields, place) = find(&mut model, &mut at.clone()).unwrap();
                let what = format!("{name}: {:?} as {lie:?}", fields[place]);
                fields.splice(place..=place, lie);
                match outcome(encode(&model), &what) {
                    Ok(_) => read += 1,
                    Err(_) => refused += 1,
                }
            }
        }
        assert!(read > 100 && refused > 500, "{name}: {read} read, {refused} refused");
    }
}

#[test]
fn every_byte_may_be_wrong_or_the_last() {
    let mut random = Stream::new(5, Purpose::Test, 0);
    for (name, file) in FILES {
        for at in 0..file.len() {
            // Cut between two fields, a file is whole; without its graph it is nothing.
            let cut = outcome(file[..at].to_vec(), &format!("{name}: cut at {at}"));
            assert!(at > file.len() / 2 || cut.is_err(), "{name}: cut at {at}");
            for change in [|_| 0, |_| 255, |byte| byte ^ 128, |byte: u8| byte.wrapping_add(1)] {
                let mut bytes = file.to_vec();
                bytes[at] = change(bytes[at]);
                let _ = outcome(bytes, &format!("{name}: byte {at}"));
            }
        }
        for round in 0..1000 {
            let mut bytes = file.to_vec();
            for _ in 0..=random.below(8) {
                let at = random.below(bytes.len() as u32) as usize;
                bytes[at] ^= 1 << random.below(8);
            }
            let _ = outcome(bytes, &format!("{name}: round {round}"));
        }
    }
}

fn bytes(number: u64, bytes: Vec<u8>) -> Field {
    Field { number, value: Value::Bytes(bytes) }
}

#[test]
fn small_files_do_not_become_large() {
    let tensor = |dims: Vec<u8>, kind, values: Field| {
        let kind = Field { number: 2, value: Value::Varint(kind) };
        Field { number: 5, value: Value::Message(vec![bytes(1, dims), kind, values]) }
    };
    let mut extents = Vec::new();
    put_varint(&mut extents, 8 << 20);
    for (what, file) in [
        ("empty nodes", [10, 0].repeat(10_000_000)),
        ("empty tensors", [42, 0].repeat(10_000_000)),
        ("halves of one byte each", encode(&[tensor(extents.clone(), 10, bytes(5, vec![1; 8 << 20]))])),
        ("long numbers of one byte each", encode(&[tensor(extents, 7, bytes(7, vec![1; 8 << 20]))])),
        ("extents of one byte each", encode(&[tensor(vec![1; 8 << 20], 1, bytes(9, vec![0; 4]))])),
    ] {
        outcome(encode(&[bytes(7, file)]), what).unwrap_err();
    }
}

/// The sound file with the weight of its last layer in the file `location`, with more keys; and the weight's bytes.
fn external(location: &str, more: &[(&str, &str)]) -> (Vec<u8>, Vec<u8>) {
    let mut model = parse(SOUND, "model");
    let mut weight = Vec::new();
    let graph = model.iter_mut().find_map(|field| match (&mut field.value, field.number) {
        (Value::Message(fields), 7) => Some(fields),
        _ => None,
    });
    for field in graph.unwrap() {
        let Value::Message(fields) = &mut field.value else { continue };
        let named =
            |f: &Field| f.number == 8 && matches!(&f.value, Value::Bytes(name) if name == b"fc.weight");
        if field.number != 5 || !fields.iter().any(named) {
            continue;
        }
        let at = fields.iter().position(|f| f.number == 9).unwrap();
        if let Value::Bytes(data) = fields.remove(at).value {
            weight = data;
        }
        fields.push(Field { number: 14, value: Value::Varint(1) });
        for (key, value) in [("location", location)].into_iter().chain(more.iter().copied()) {
            let entry = vec![bytes(1, key.into()), bytes(2, value.into())];
            fields.push(Field { number: 13, value: Value::Message(entry) });
        }
    }
    assert_eq!(weight.len(), 3 * 8 * 4);
    (encode(&model), weight)
}

#[test]
fn external_data_stays_in_its_folder() {
    let outer = tempfile::tempdir().unwrap();
    let folder = outer.path().join("in");
    fs::create_dir(&folder).unwrap();
    let onnx = folder.join("x.onnx");
    let import = |location: &str, more: &[(&str, &str)], allowed| {
        fs::write(&onnx, external(location, more).0).unwrap();
        read(&onnx, &ImportOptions::default().with_external_data(allowed))
    };
    let (_, weight) = external("", &[]);
    let shifted = [&[9; 5], weight.as_slice()].concat();
    for path in [folder.join("w.data"), outer.path().join("w.data")] {
        fs::write(path, &shifted).unwrap();
    }
    fs::write(folder.join("short.data"), &weight[1..]).unwrap();
    let imported = import("w.data", &[("offset", "5"), ("length", "96")], true).unwrap();
    let sound = outcome(SOUND.to_vec(), "sound").unwrap();
    assert_eq!(imported.tensors, sound.tensors);
    let refused = |location: &str, more: &[(&str, &str)], allowed, expected: &str| {
        let message = good(import(location, more, allowed).unwrap_err(), location);
        assert!(message.contains(expected) && message.contains("fc.weight"), "{location}: {message}");
    };
    let message = good(import("w.data", &[("offset", "5")], false).unwrap_err(), "not allowed");
    assert!(
        message.contains("its weights are in w.data; ") && message.contains("the option external-data"),
        "{message}"
    );
    refused(
        "w.data",
        &[("offset", "6")],
        true,
        "expected 96 bytes from byte 6 on, found a file of 101 bytes",
    );
    refused("short.data", &[], true, "found a file of 95 bytes");
    refused("../w.data", &[], true, "within the folder");
    refused(outer.path().join("w.data").to_str().unwrap(), &[], true, "within the folder");
    refused("missing.data", &[], true, "missing.data");
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("../w.data", folder.join("link.data")).unwrap();
        refused("link.data", &[], true, "leads outside");
    }
}
