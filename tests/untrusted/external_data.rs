//! ONNX files whose weights lie elsewhere, and ONNX files that nest (row B5): everything that is not a plain file in the folder
//! of the ONNX file is refused, and all of it where external data was not asked for.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use striate::error::Error;
use striate::interchange::onnx::{ImportOptions, decode, read};
use tempfile::TempDir;

/// A number of a message.
fn number(field: u64, value: u64) -> Vec<u8> {
    [varint(field << 3), varint(value)].concat()
}

/// A text, bytes or message within a message.
fn part(field: u64, content: impl AsRef<[u8]>) -> Vec<u8> {
    let content = content.as_ref();
    [&varint(field << 3 | 2), &varint(content.len() as u64), content].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value > 127 {
        bytes.push(value as u8 | 128);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

fn node(kind: &str, inputs: &[&str], output: &str, more: &[u8]) -> Vec<u8> {
    let inputs: Vec<u8> = inputs.iter().flat_map(|input| part(1, input)).collect();
    part(1, [&inputs, &part(2, output), &part(4, kind), more].concat())
}

/// `name` as `f32` of the shape `dims`.
fn value(field: u64, name: &str, dims: &[u64]) -> Vec<u8> {
    let dims: Vec<u8> = dims.iter().flat_map(|&dim| part(1, number(1, dim))).collect();
    let tensor = [number(1, 1), part(2, dims)].concat();
    part(field, [part(1, name), part(2, part(1, tensor))].concat())
}

/// A network that flattens 1x4x4 and multiplies by the tensor `w`, with more fields of the graph and the file.
fn model(w: &[u8], graph: &[u8], file: &[u8]) -> Vec<u8> {
    // transB = 1.
    let transposed = part(5, [part(1, "transB"), number(3, 1), number(20, 2)].concat());
    let content = [
        node("Flatten", &["x"], "f", &[]),
        node("Gemm", &["f", "w"], "y", &transposed),
        part(5, [w, &part(8, "w")].concat()),
        value(11, "x", &[1, 1, 4, 4]),
        value(12, "y", &[1, 3]),
        graph.to_vec(),
    ];
    [&number(1, 8), &part(7, content.concat()), &part(8, number(2, 13)), file].concat()
}

/// Bytes that the weights take.
const BYTES: usize = 3 * 16 * 4;

/// The tensor of these dimensions in another file, with these entries.
fn outside(dims: &[u64], entries: &[(&str, &str)]) -> Vec<u8> {
    let dims: Vec<u8> = dims.iter().flat_map(|&dim| number(1, dim)).collect();
    let entries: Vec<u8> =
        entries.iter().flat_map(|(key, value)| part(13, [part(1, key), part(2, value)].concat())).collect();
    [dims, number(2, 1), entries, number(14, 1)].concat()
}

fn weights() -> Vec<u8> {
    (0..BYTES as u32 / 4).flat_map(|i| (i as f32 / 8.0).to_le_bytes()).collect()
}

/// `in/` with sound weights and everything that leads out of it, beside a secret.
fn place() -> (TempDir, TempDir) {
    // A hard link needs one file system.
    let outer = tempfile::tempdir().unwrap();
    let other = tempfile::tempdir().unwrap();
    let folder = outer.path().join("in");
    fs::create_dir_all(folder.join("sub")).unwrap();
    for path in [folder.join("w.data"), folder.join("sub/w.data"), outer.path().join("secret")] {
        fs::write(path, weights()).unwrap();
    }
    fs::write(folder.join("short.data"), &weights()[..BYTES - 1]).unwrap();
    fs::write(folder.join("empty.data"), []).unwrap();
    fs::write(other.path().join("secret"), weights()).unwrap();
    symlink("../secret", folder.join("link")).unwrap();
    symlink(outer.path().join("secret"), folder.join("absolute-link")).unwrap();
    symlink("link", folder.join("link-to-link")).unwrap();
    symlink("..", folder.join("up")).unwrap();
    symlink(other.path(), folder.join("elsewhere")).unwrap();
    symlink("round", folder.join("round")).unwrap();
    symlink("nowhere", folder.join("dangling")).unwrap();
    symlink("/dev/zero", folder.join("zero")).unwrap();
    symlink("/dev/stdin", folder.join("stdin")).unwrap();
    symlink("/proc/self/fd/0", folder.join("descriptor")).unwrap();
    symlink("/proc/self/mem", folder.join("memory")).unwrap();
    fs::hard_link(outer.path().join("secret"), folder.join("hard")).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(folder.join("pipe")).status().unwrap().success());
    drop(std::os::unix::net::UnixListener::bind(folder.join("socket")).unwrap());
    (outer, other)
}

/// Every hostile tensor with what to call it.
fn cases(outer: &Path) -> Vec<(String, Vec<u8>)> {
    let mut cases = Vec::new();
    let absolute = outer.join("secret");
    let absolute = absolute.to_str().unwrap();
    let long = "a/".repeat(50_000);
    for location in [
        "../secret",
        "..",
        ".",
        "",
        "./../secret",
        "sub/../../secret",
        "sub/..",
        "/etc/passwd",
        absolute,
        "//etc/passwd",
        "w.data\0",
        "w.data/../../secret",
        "w.data/x",
        "..\\secret",
        "sub\\w.data",
        "C:\\secret",
        "C:w.data",
        "\\\\server\\w",
        "file:///etc/passwd",
        "http://localhost/w",
        "link",
        "absolute-link",
        "link-to-link",
        "up/secret",
        "elsewhere/secret",
        "round",
        "dangling",
        "zero",
        "stdin",
        "descriptor",
        "memory",
        "/proc/self/fd/0",
        "/dev/zero",
        "hard",
        "pipe",
        "socket",
        "sub",
        "missing",
        "empty.data",
        "short.data",
        "\u{202e}atad.w",
        "w.data\n",
        &long,
    ] {
        cases.push((
            format!("location {:.40}", location.escape_debug()),
            outside(&[3, 16], &[("location", location)]),
        ));
    }
    let at = |key: &'static str, value: &'static str| {
        let what = format!("{key} {value:?}");
        (what, outside(&[3, 16], &[("location", "w.data"), (key, value)]))
    };
    for offset in [
        "1",
        "18446744073709551615",
        "18446744073709551424",
        "9223372036854775807",
        "-1",
        "1e3",
        "0x1",
        " 0",
        "",
    ] {
        cases.push(at("offset", offset));
    }
    for length in ["0", "191", "193", "18446744073709551615", "-192", "192.0", "18446744073709551808", ""] {
        cases.push(at("length", length));
    }
    let plain = ("location", "w.data");
    cases.push(("no location".into(), outside(&[3, 16], &[("offset", "0")])));
    cases.push(("nothing".into(), outside(&[3, 16], &[])));
    cases.push(("two locations".into(), outside(&[3, 16], &[plain, ("location", "../secret")])));
    cases.push(("two offsets".into(), outside(&[3, 16], &[plain, ("offset", "0"), ("offset", "1")])));
    cases.push(("raw data too".into(), [outside(&[3, 16], &[plain]), part(9, weights())].concat()));
    for dims in [
        &[1 << 62, 1 << 62][..],
        &[(1 << 63) - 1, 2],
        &[1 << 63, 1],
        &[u64::MAX, 16],
        &[1 << 32, 1 << 32],
        &[0, 16],
        &[3, 17],
        &[48],
        &[3, 16, 1 << 40],
    ] {
        cases.push((format!("dims {dims:?}"), outside(dims, &[plain])));
    }
    cases
}

/// `depth` messages within each other, the field `fields` by turns.
fn nested(fields: &[u64], depth: usize) -> Vec<u8> {
    // From the inside, where lengths are known; at the front of one vector it would be a matter of minutes.
    let mut reversed = Vec::new();
    for level in 0..depth {
        let mut start = varint(fields[(depth - 1 - level) % fields.len()] << 3 | 2);
        start.extend(varint(reversed.len() as u64));
        reversed.extend(start.into_iter().rev());
    }
    reversed.reverse();
    reversed
}

#[track_caller]
fn refused(error: Error, path: &Path, case: &str) {
    let text = error.to_string();
    assert_eq!(error.exit_code(), 4, "{case}: {text}");
    assert!(text.starts_with(path.to_str().unwrap()) && !text.contains(char::is_control), "{case}: {text}");
    assert!(text.len() < 2000, "{case}: {} bytes", text.len());
}

#[test]
fn external_data_and_nesting_are_refused() {
    let (outer, _other) = place();
    let onnx = outer.path().join("in/x.onnx");
    let import = |tensor: &[u8], external_data| {
        fs::write(&onnx, model(tensor, &[], &[])).unwrap();
        read(&onnx, &ImportOptions::default().with_external_data(external_data))
    };
    // What is meant by it works.
    for location in ["w.data", "./w.data", "sub/w.data"] {
        let imported = import(&outside(&[3, 16], &[("location", location)]), true).unwrap();
        assert_eq!(imported.tensors[0].1.data()[9], 9.0 / 8.0);
    }
    let cases = cases(outer.path());
    let mut wrong = Vec::new();
    for (case, tensor) in &cases {
        match import(tensor, true) {
            Ok(_) => wrong.push(format!("{case}: was read")),
            Err(error) => {
                println!("{case}: {error}");
                refused(error, &onnx, case);
            }
        }
        let off = import(tensor, false).expect_err(case);
        refused(off, &onnx, case);
    }
    // By their fields: graphs in attributes, functions, types of sequences, groups, training, sparse tensors.
    let depth = 100_000;
    let inner = |fields: &[u64]| nested(fields, depth);
    let attribute = |fields: &[u64]| node("Relu", &["x"], "z", &inner(fields));
    let plain = [number(1, 3), number(1, 16), number(2, 1), part(9, weights())].concat();
    let nests: Vec<(&str, Vec<u8>)> = vec![
        ("graphs in attributes", model(&plain, &attribute(&[5, 6, 1]), &[])),
        ("lists of graphs", model(&plain, &attribute(&[5, 11, 1]), &[])),
        ("types of sequences", model(&plain, &part(11, [part(1, "x"), inner(&[2, 4, 1])].concat()), &[])),
        ("types of maps", model(&plain, &part(13, [part(1, "x"), inner(&[2, 5, 2])].concat()), &[])),
        ("optional types", model(&plain, &part(12, [part(1, "x"), inner(&[2, 9, 1])].concat()), &[])),
        ("groups", model(&plain, &[], &varint(99 << 3 | 3).repeat(depth))),
        ("groups in the graph", model(&plain, &varint(99 << 3 | 3).repeat(depth), &[])),
        (
            "groups in the tensor",
            model(&[plain.clone(), varint(99 << 3 | 3).repeat(depth)].concat(), &[], &[]),
        ),
        ("a graph that is cut", model(&plain, &attribute(&[5, 6, 1])[..5000], &[])),
        ("nothing but graphs", inner(&[7, 1, 5, 6])),
        ("text as messages", part(7, vec![b'A'; 100_000])),
    ];
    let (mut nested, mut passed) = (0, 0);
    for (case, bytes) in &nests {
        // With a stack of the size that threads have.
        let bytes = bytes.clone();
        let result =
            std::thread::spawn(move || decode(bytes, Path::new("x.onnx"), &ImportOptions::default()));
        match result.join().unwrap() {
            // What the reader has no use for it does not look into.
            Ok(_) => {
                passed += usize::from(["lists of graphs", "types of maps", "optional types"].contains(case))
            }
            Err(error) => {
                println!("{case}: {error}");
                refused(error, Path::new("x.onnx"), case);
                nested += 1;
            }
        }
    }
    assert_eq!(nested + passed, nests.len());
    println!(
        "B5: {} of external data refused, also where it is off; {nested} of nesting refused, {passed} more never looked into",
        cases.len()
    );
    assert!(wrong.is_empty() && cases.len() + nested >= 60, "{}", wrong.join("\n"));
}
