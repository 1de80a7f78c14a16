//! Damaged and hostile safetensors and NPZ files: one line and exit code 4, or a valid read; no panic, and no more memory
//! than the file bears out.

use crate::allocations;
use std::collections::BTreeMap;
use std::io::{Cursor, Write};
use std::path::Path;
use striate::interchange::{npz, read, safetensors};
use striate::tensor::Tensor;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

/// Most memory in one piece for any of the small files here.
const MOST: usize = 8 << 20;

fn tensors() -> Vec<(String, Tensor)> {
    vec![
        ("conv.weight".into(), Tensor::full([2, 3, 2, 2], 0.5)),
        ("conv.bias".into(), Tensor::full([2], -1.0)),
        ("scale".into(), Tensor::full([], 3.0)),
    ]
}

fn metadata() -> BTreeMap<String, String> {
    BTreeMap::from([("arch".into(), "tiny".into())])
}

fn written(name: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    match name {
        "w.npz" => npz::write(&path, &tensors(), &metadata()).unwrap(),
        _ => safetensors::write(&path, &tensors(), &metadata()).unwrap(),
    }
    std::fs::read(path).unwrap()
}

/// Reads files one after another under one name and counts how they end.
struct Reader {
    folder: tempfile::TempDir,
    name: &'static str,
    refused: usize,
    read: usize,
}

impl Reader {
    fn new(name: &'static str) -> Reader {
        Reader { folder: tempfile::tempdir().unwrap(), name, refused: 0, read: 0 }
    }

    /// The message, if the file is refused.
    fn try_read(&mut self, what: &str, bytes: &[u8]) -> Option<String> {
        let path = self.folder.path().join(self.name);
        std::fs::write(&path, bytes).unwrap();
        let mut result = None;
        let largest = allocations::largest_during(|| result = Some(read(&path)));
        assert!(largest <= MOST, "{what}: {largest} bytes in one piece");
        match result.unwrap() {
            Ok(_) => {
                self.read += 1;
                None
            }
            Err(error) => {
                let message = error.to_string();
                assert_eq!(error.exit_code(), 4, "{what}: {message}");
                assert!(message.contains(self.name) && !message.contains('\n'), "{what}: {message}");
                assert!(message.len() < 2000, "{what}: {message}");
                self.refused += 1;
                Some(message)
            }
        }
    }

    #[track_caller]
    fn refuse(&mut self, what: &str, bytes: &[u8], says: &str) {
        let message = self.try_read(what, bytes).unwrap_or_else(|| panic!("{what}: was read"));
        assert!(message.contains(says), "{what}: {message}");
    }

    /// Cuts `good` everywhere, and puts every one of `lies` in every place.
    fn damage(&mut self, good: &[u8], lies: &[&[u8]]) {
        assert_eq!(self.try_read("undamaged", good), None);
        for cut in 0..good.len() {
            assert!(
                self.try_read(&format!("cut at {cut}"), &good[..cut]).is_some(),
                "cut at {cut}: was read"
            );
        }
        for at in 0..good.len() {
            for lie in lies.iter().filter(|lie| at + lie.len() <= good.len()) {
                let mut bad = good.to_vec();
                bad[at..at + lie.len()].copy_from_slice(lie);
                self.try_read(&format!("{lie:?} at {at}"), &bad);
            }
        }
    }
}

/// An archive with these arrays.
fn archive(entries: &[(&str, &[u8])], method: CompressionMethod) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let options =
        SimpleFileOptions::default().compression_method(method).last_modified_time(DateTime::DEFAULT);
    for (name, content) in entries {
        archive.start_file(*name, options).unwrap();
        archive.write_all(content).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

/// An array in NumPy's format with this dictionary, in version 2, whose length has four bytes.
fn array(dictionary: &str, data: &[u8]) -> Vec<u8> {
    let length = (dictionary.len() as u32).to_le_bytes();
    [b"\x93NUMPY\x02\x00", &length[..], dictionary.as_bytes(), data].concat()
}

fn of_shape(shape: &str, data: &[u8]) -> Vec<u8> {
    array(&format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}}}"), data)
}

const WORDS: [&[u8]; 5] = [
    &[0],
    &[0xff],
    &[0, 0, 0, 0],
    &[0xff, 0xff, 0xff, 0x7f],
    &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
];

#[test]
fn safetensors_with_a_lie_in_every_place() {
    let mut reader = Reader::new("w.safetensors");
    let lies = [&WORDS[..], &[b"9", b"-", b"[", b"}", b"\"", b"999999999999999999"]].concat();
    reader.damage(&written("w.safetensors"), &lies);
    let good = written("w.safetensors");
    for length in [0, 1, 7, 1 << 20, 1 << 40, 1_000_000_000_000_000_000, u64::MAX - 8, u64::MAX - 7, u64::MAX]
    {
        let bytes = [&length.to_le_bytes()[..], &good[8..]].concat();
        reader.refuse(&format!("header of {length}"), &bytes, "");
    }
    for nesting in ["[", "{\"a\":", "{\"a\":["] {
        let text = format!("{{\"t\":{}", nesting.repeat(100_000));
        let bytes = [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat();
        reader.refuse("deep nesting", &bytes, "header");
    }
    assert!(reader.refused > 1000, "{} refused, {} read", reader.refused, reader.read);
}

#[test]
fn safetensors_whose_headers_lie() {
    let mut reader = Reader::new("w.safetensors");
    let good = written("w.safetensors");
    reader.refuse("one byte too many", &[&good[..], &[0]].concat(), "");
    let entry = |dtype: &str, shape: &str, offsets: &str| {
        format!("{{\"t\":{{\"dtype\":\"{dtype}\",\"shape\":{shape},\"data_offsets\":{offsets}}}}}")
    };
    let max = u64::MAX;
    let mut headers = vec![
        "".to_string(),
        "null".into(),
        "[]".into(),
        "{".into(),
        "{\"t\":1}".into(),
        "{\"__metadata__\":{\"a\":1}}".into(),
        "[".repeat(100_000),
        entry("F33", "[2]", "[0,8]"),
        // Two tensors in one place, and a hole between two.
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},\
          \"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}"
            .into(),
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]},\
          \"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}"
            .into(),
    ];
    for shape in ["[0]", "[1]", "[3]", "[-1]", "[2.5]", "2", "[2,1000000000000000000]", "[1e18]"] {
        headers.push(entry("F32", shape, "[0,8]"));
    }
    headers.push(entry("F32", &format!("[{max},{max}]"), "[0,8]"));
    headers.push(entry("F32", &format!("[{max}]"), &format!("[0,{max}]")));
    for offsets in ["[0,0]", "[0,1]", "[8,0]", "[8,16]", "[-8,0]", "[0]", "[0,1000000000000000000]"] {
        headers.push(entry("F32", "[2]", offsets));
    }
    for header in headers {
        let bytes = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &[0; 8]].concat();
        reader.refuse(&header.chars().take(100).collect::<String>(), &bytes, "w.safetensors: ");
    }
    assert_eq!(reader.read, 0);
}

#[test]
fn npz_with_a_lie_in_every_place() {
    let mut reader = Reader::new("w.npz");
    reader.damage(&written("w.npz"), &WORDS);
    let stored = reader.refused;
    assert!(stored > 2000, "{stored} refused, {} read", reader.read);
    let good = of_shape("(2, 3)", &[7; 24]);
    let bytes = archive(&[("a.npy", &good), ("b.npy", &good)], CompressionMethod::Deflated);
    reader.damage(&bytes, &WORDS);
    assert!(reader.refused > stored + 500, "{} refused, {} read", reader.refused, reader.read);
}

#[test]
fn npz_whose_arrays_lie() {
    let mut reader = Reader::new("w.npz");
    let deep = ["(".repeat(100_000), format!("({}", "(".repeat(50_000)), format!("({})", "1,".repeat(3000))];
    let shapes = [
        "(3,)",
        "(1, 1)",
        "(-2,)",
        "(2.0,)",
        "2",
        "()",
        "[2]",
        "(1000000000000,)",
        "(4611686018427387905,)",
        "(18446744073709551615,)",
        "(99999999999999999999999,)",
        "(0,)",
        "(0, 18446744073709551615, 2)",
        "(4294967296, 4294967296)",
        "(None,)",
        "(2,)) ",
        "('2',)",
        "(True,)",
        "(0x2,)",
        "(2,,)",
        "(2;)",
    ];
    for shape in shapes.into_iter().chain(deep.iter().map(String::as_str)) {
        let bytes = archive(&[("x/y.npy", &of_shape(shape, &[0; 8]))], CompressionMethod::Stored);
        reader.refuse(&shape[..shape.len().min(60)], &bytes, "w.npz: x/y.npy: ");
    }
    for descr in ["<f3", "|O", "O", "<f16", "<c8", "<U2", "<M8[s]", "|V8", "=f4", "", "f4", "<", "\\n"] {
        let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': (2,)}}");
        let bytes = archive(&[("a.npy", &array(&text, &[0; 8]))], CompressionMethod::Deflated);
        reader.refuse(descr, &bytes, "a.npy: ");
    }
    for text in [
        "",
        "{",
        "}",
        "{}",
        "None",
        "{'shape': (2,)}",
        "__import__('os').system('true')",
        "{'descr': [('a', '<f4')]}",
    ] {
        let bytes = archive(&[("a.npy", &array(text, &[0; 8]))], CompressionMethod::Stored);
        reader.refuse(text, &bytes, "a.npy: ");
    }
    for length in [0, 1, 100, 70_000, u32::MAX] {
        let mut good = of_shape("(2,)", &[0; 8]);
        good[8..12].copy_from_slice(&length.to_le_bytes());
        reader.refuse("length", &archive(&[("a.npy", &good)], CompressionMethod::Stored), "a.npy: ");
    }
    for version in (0..=255).filter(|version| *version != 2 && *version != 3) {
        let mut good = of_shape("(2,)", &[0; 8]);
        good[6] = version;
        reader.refuse("version", &archive(&[("a.npy", &good)], CompressionMethod::Stored), "a.npy: ");
    }
    let notes = format!("{{\"a\":{}", "[".repeat(100_000));
    let notes = [notes.as_str(), "", "[]", "{\"a\":1}", "{\"a\":\"b\"", "\u{0}"];
    for notes in notes {
        let text = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({},)}}", notes.len());
        let entry = array(&text, notes.as_bytes());
        let bytes = archive(&[("__metadata__.npy", &entry)], CompressionMethod::Deflated);
        reader.refuse("notes", &bytes, "__metadata__.npy: ");
    }
    let wrong_type = archive(&[("__metadata__.npy", &of_shape("(2,)", &[0; 8]))], CompressionMethod::Stored);
    reader.refuse("notes of floats", &wrong_type, "__metadata__.npy: ");
    assert_eq!(reader.read, 0);
}

/// Puts `value` in the place of every 32-bit `old` of `bytes`.
fn replace(bytes: &mut [u8], old: u32, value: u32) -> usize {
    let places: Vec<usize> =
        bytes.windows(4).enumerate().filter(|(_, b)| **b == old.to_le_bytes()).map(|(at, _)| at).collect();
    for &at in &places {
        bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }
    places.len()
}

#[test]
fn compressed_archives_are_not_unpacked_beyond_what_they_say() {
    let mut reader = Reader::new("w.npz");
    // 64 MB of zeros after an array of two numbers.
    let bomb = of_shape("(2,)", &vec![0; 64 << 20]);
    reader.refuse(
        "more than the shape",
        &archive(&[("a.npy", &bomb)], CompressionMethod::Deflated),
        "needs 8 bytes",
    );
    // A shape and a size that agree on 200 MB, of which nothing is there.
    let claimed = 50_000_000;
    let header = of_shape(&format!("({claimed},)"), &[1, 2, 3]);
    let size = header.len() as u32;
    for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
        let mut bytes = archive(&[("a.npy", &header)], method);
        assert!(replace(&mut bytes, size, size - 3 + claimed * 4) >= 2);
        reader.refuse("nothing behind the claim", &bytes, "w.npz: ");
    }
    // Four arrays that together would take more than any archive of this length may.
    let entry = of_shape("(100,)", &[0; 400]);
    let mut bytes = archive(
        &[("a.npy", &entry), ("b.npy", &entry), ("c.npy", &entry), ("d.npy", &entry)],
        CompressionMethod::Deflated,
    );
    replace(&mut bytes, entry.len() as u32, 100 << 20);
    reader.refuse("too much together", &bytes, "expected at most");
}

#[test]
fn archives_that_are_no_arrays() {
    let mut reader = Reader::new("w.npz");
    let good = of_shape("(2,)", &[0; 8]);
    let mut twice = archive(&[("aa.npy", &good), ("ab.npy", &good)], CompressionMethod::Stored);
    for at in 0..twice.len() - 6 {
        if &twice[at..at + 6] == b"ab.npy" {
            twice[at + 1] = b'a';
        }
    }
    reader.refuse("twice", &twice, "same name");
    let mut encrypted = archive(&[("a.npy", &good)], CompressionMethod::Stored);
    for (signature, flags) in [(&b"PK\x03\x04"[..], 6), (b"PK\x01\x02", 8)] {
        let at = encrypted.windows(4).position(|word| word == signature).unwrap();
        encrypted[at + flags] |= 1;
    }
    reader.refuse("encrypted", &encrypted, "encrypted");
    let mut other = archive(&[("a.npy", &good)], CompressionMethod::Stored);
    for (signature, method) in [(&b"PK\x03\x04"[..], 8), (b"PK\x01\x02", 10)] {
        let at = other.windows(4).position(|word| word == signature).unwrap();
        other[at + method] = 12;
    }
    reader.refuse("bzip2", &other, "stored or deflated");
    for name in ["readme.txt", "folder/", "a.NPY", ""] {
        reader.refuse(name, &archive(&[(name, b"x")], CompressionMethod::Stored), ".npy");
    }
    // Names are only names.
    for name in ["../../a.npy", "/etc/passwd.npy", "C:\\a.npy", "a\u{1b}[31m.npy", "a\n.npy", ".npy"] {
        assert_eq!(
            reader.try_read(name, &archive(&[(name, &good)], CompressionMethod::Stored)),
            None,
            "{name}"
        );
    }
    assert!(!Path::new("/etc/passwd.npy").exists());
    // A 64-bit end record that claims more entries than there is room for, after a megabyte of nothing.
    let mut bytes = vec![0; 1 << 20];
    bytes[..4].copy_from_slice(b"PK\x03\x04");
    let mut end = b"PK\x06\x06".to_vec();
    end.extend(44u64.to_le_bytes());
    end.extend([45, 0, 45, 0]);
    end.extend([0; 8]);
    for value in [1u64 << 19, 1 << 19, 1 << 40, 1 << 20] {
        end.extend(value.to_le_bytes());
    }
    end.extend(b"PK\x06\x07\0\0\0\0");
    end.extend((1u64 << 20).to_le_bytes());
    end.extend(1u32.to_le_bytes());
    end.extend(b"PK\x05\x06\0\0\0\0\xff\xff\xff\xff");
    end.extend([0xff; 8]);
    end.extend([0, 0]);
    bytes.extend(end);
    reader.refuse("many entries", &bytes, "zip");
}
