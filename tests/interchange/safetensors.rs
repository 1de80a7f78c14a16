//! Safetensors files: what is written is read back, by us and by the reference implementation; damaged files
//! are one clear line each; a file is never left half written.

use std::collections::BTreeMap;
use std::path::Path;
use striate::interchange::safetensors::{read, write};
use striate::interchange::{match_tensors, weights_sha256};
use striate::tensor::{Shape, Tensor};
use striate::{atomic, interchange};

fn tensor(shape: &[usize], start: f32) -> Tensor {
    let count = shape.iter().product::<usize>();
    Tensor::new(shape.to_vec(), (0..count).map(|i| start + i as f32 * 0.25).collect()).unwrap()
}

fn model() -> Vec<(String, Tensor)> {
    vec![
        ("features.0.weight".into(), tensor(&[2, 3, 5, 1], -3.0)),
        ("classifier.weight".into(), tensor(&[4, 7], 1e-40)),
        ("features.0.bias".into(), tensor(&[2], f32::MAX)),
        ("scalar".into(), tensor(&[], 7.0)),
        ("empty".into(), tensor(&[0, 3], 0.0)),
    ]
}

fn metadata() -> BTreeMap<String, String> {
    BTreeMap::from([("arch".into(), "tiny".into()), ("classes".into(), "[\"T-shirt/top\"]".into())])
}

/// A file of the given header and tensor bytes, with the right length of the header.
fn file_of(header: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

fn read_bytes(folder: &Path, bytes: &[u8]) -> striate::Result<striate::interchange::File> {
    let path = folder.join("made.safetensors");
    std::fs::write(&path, bytes).unwrap();
    read(&path)
}

#[test]
fn what_is_written_is_read_back_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    write(&path, &model(), &metadata()).unwrap();
    let file = read(&path).unwrap();
    assert_eq!(file.tensors, model().into_iter().collect());
    assert_eq!(file.metadata["format"], "pt");
    assert_eq!(file.metadata["classes"], "[\"T-shirt/top\"]");

    let mut reversed = model();
    reversed.reverse();
    let again = folder.path().join("again.safetensors");
    write(&again, &reversed, &metadata()).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), std::fs::read(&again).unwrap(), "same content, same bytes");
}

#[test]
fn the_reference_implementation_reads_what_we_write() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    write(&path, &model(), &metadata()).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap());
    assert_eq!(header % 8, 0, "tensors are aligned to 8 bytes");
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(file.len(), model().len());
    for (name, tensor) in model() {
        let view = file.tensor(&name).unwrap();
        assert_eq!(view.shape(), tensor.shape().dims(), "{name}");
        let expected: Vec<u8> = tensor.data().iter().flat_map(|value| value.to_le_bytes()).collect();
        assert_eq!(view.data(), expected, "{name}");
    }
    let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    assert_eq!(header.metadata().as_ref().unwrap()["arch"], "tiny");
}

#[test]
fn other_number_types_become_f32() {
    let folder = tempfile::tempdir().unwrap();
    let case = |dtype: &str, data: &[u8]| {
        let header =
            format!("{{\"t\":{{\"dtype\":\"{dtype}\",\"shape\":[2],\"data_offsets\":[0,{}]}}}}", data.len());
        read_bytes(folder.path(), &file_of(&header, data)).map(|file| file.tensors["t"].data().to_vec())
    };
    // 1.5 and -2 in binary16 (bias 15) and bfloat16 (the upper half of an f32).
    assert_eq!(case("F16", &[0x00, 0x3e, 0x00, 0xc0]).unwrap(), [1.5, -2.0]);
    assert_eq!(case("BF16", &[0xc0, 0x3f, 0x00, 0xc0]).unwrap(), [1.5, -2.0]);
    let doubles: Vec<u8> = [0.1f64, -1e300].iter().flat_map(|value| value.to_le_bytes()).collect();
    assert_eq!(case("F64", &doubles).unwrap(), [0.1, f32::NEG_INFINITY]);
    let counters: Vec<u8> = [16_777_216i64, -3].iter().flat_map(|value| value.to_le_bytes()).collect();
    assert_eq!(case("I64", &counters).unwrap(), [16_777_216.0, -3.0]);
    let too_large: Vec<u8> = [16_777_217i64, 0].iter().flat_map(|value| value.to_le_bytes()).collect();
    let message = case("I64", &too_large).unwrap_err().to_string();
    assert!(message.contains("tensor t") && message.contains("found 16777217"), "{message}");
    let message = case("U64", &[0; 16]).unwrap_err().to_string();
    assert!(message.contains("tensor t") && message.contains("found U64"), "{message}");
}

#[test]
fn a_missing_file_is_bad_input() {
    let error = read("no/such/file.safetensors").unwrap_err();
    assert_eq!(error.exit_code(), 4);
    assert!(error.to_string().contains("no/such/file.safetensors"), "{error}");
}

#[test]
fn tensors_are_matched_by_name_and_every_problem_is_listed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let mut tensors = model();
    tensors.push(("bn.num_batches_tracked".into(), tensor(&[], 3.0)));
    write(&path, &tensors, &metadata()).unwrap();
    let expected: Vec<(String, Shape)> =
        model().into_iter().map(|(name, tensor)| (name, tensor.shape().clone())).collect();
    let matched = match_tensors(read(&path).unwrap(), "x", &expected).unwrap();
    assert_eq!(matched, model().into_iter().map(|(_, tensor)| tensor).collect::<Vec<_>>());

    let wrong = vec![
        ("scalar".to_string(), Shape::from([1])),
        ("classifier.weight".to_string(), Shape::from([4, 7])),
        ("classifier.bias".to_string(), Shape::from([4])),
    ];
    let error = match_tensors(read(&path).unwrap(), "x", &wrong).unwrap_err();
    assert_eq!(error.exit_code(), 4);
    let message = error.to_string();
    assert!(message.contains("missing: classifier.bias"), "{message}");
    assert!(message.contains("scalar expected [1] found []"), "{message}");
    assert!(message.contains("not in the model: empty, features.0.bias, features.0.weight"), "{message}");
    assert!(!message.contains('\n') && !message.contains("classifier.weight"), "{message}");
}

/// `module.` is what PyTorch's data-parallel wrappers put before every name, `_orig_mod.` what torch.compile does.
#[test]
fn names_lose_what_wrappers_have_put_before_all_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let wrapped = |prefix: &str| -> Vec<(String, Tensor)> {
        let more = ("bn.num_batches_tracked".to_string(), tensor(&[], 3.0));
        let all = model().into_iter().chain([more]);
        all.map(|(name, tensor)| (format!("{prefix}{name}"), tensor)).collect()
    };
    let expected: Vec<(String, Shape)> =
        model().into_iter().map(|(name, tensor)| (name, tensor.shape().clone())).collect();
    let values: Vec<Tensor> = model().into_iter().map(|(_, tensor)| tensor).collect();
    for prefix in ["module.", "_orig_mod.", "_orig_mod.module.", "module._orig_mod."] {
        write(&path, &wrapped(prefix), &metadata()).unwrap();
        assert_eq!(match_tensors(read(&path).unwrap(), "x", &expected).unwrap(), values, "{prefix}");
    }
    // One tensor without it: the names are what they are.
    let mut mixed = wrapped("module.");
    mixed[0].0 = model()[0].0.clone();
    write(&path, &mixed, &metadata()).unwrap();
    let message = match_tensors(read(&path).unwrap(), "x", &expected).unwrap_err().to_string();
    assert!(message.contains("4 missing: ") && message.contains("module.scalar"), "{message}");
    // A network whose own layers are called so.
    write(&path, &wrapped("module."), &metadata()).unwrap();
    let own: Vec<(String, Shape)> =
        expected.iter().map(|(name, shape)| (format!("module.{name}"), shape.clone())).collect();
    assert_eq!(match_tensors(read(&path).unwrap(), "x", &own).unwrap(), values);
}

#[test]
fn the_hash_of_weights_is_over_values_in_name_order() {
    // printf of the little-endian bytes of 1, 2 and -0.5, through coreutils' sha256sum.
    let expected = "1ffe038578726b0db1430093131187306c7d4859c5dfbbabac87a9637825787c";
    let (a, b) = ([1.0f32, 2.0], [-0.5f32]);
    let in_order = weights_sha256(&[("a".into(), &a[..]), ("b".into(), &b[..])]);
    assert_eq!(in_order, expected);
    assert_eq!(weights_sha256(&[("b".into(), &b[..]), ("a".into(), &a[..])]), expected);
    assert_ne!(weights_sha256(&[("b".into(), &a[..]), ("a".into(), &b[..])]), expected);
}

#[test]
fn a_failed_write_leaves_the_old_file_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metrics.csv");
    atomic::write(&path, |out| out.write_all(b"old")).unwrap();
    let error = atomic::write(&path, |out| {
        out.write_all(&[b'x'; 5_000_000])?;
        Err(std::io::Error::other("disk full"))
    })
    .unwrap_err();
    assert!(error.to_string().contains("metrics.csv: disk full"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), b"old");
    let panicked = std::panic::catch_unwind(|| atomic::write(&path, |_| panic!("in the middle")));
    assert!(panicked.is_err());
    atomic::write(&path, |out| out.write_all(b"new")).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"new");
    let names: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["metrics.csv"]);
    assert!(atomic::write(folder.path().join("no/such/folder.txt"), |_| Ok(())).is_err());
    assert!(atomic::write(folder.path(), |_| Ok(())).is_err(), "a folder is not replaced");
}

#[test]
fn files_that_belong_together_are_replaced_together_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let [weights, fresh, model] = ["a.safetensors", "b.txt", "c.toml"].map(|name| folder.path().join(name));
    std::fs::write(&weights, b"old weights").unwrap();
    std::fs::write(&model, b"old model").unwrap();
    let stage = |path: &Path| atomic::stage(path, |out| out.write_all(b"new")).unwrap();
    let staged = [stage(&weights), stage(&fresh), stage(&model)];
    // What comes last can no longer be replaced.
    std::fs::remove_file(&model).unwrap();
    std::fs::create_dir(&model).unwrap();
    let error = atomic::commit_all(staged).unwrap_err();
    assert!(error.to_string().contains("c.toml"), "{error}");
    assert_eq!(std::fs::read(&weights).unwrap(), b"old weights");
    assert!(!fresh.exists());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);

    std::fs::remove_dir(&model).unwrap();
    atomic::commit_all([stage(&weights), stage(&fresh), stage(&model)]).unwrap();
    for path in [&weights, &fresh, &model] {
        assert_eq!(std::fs::read(path).unwrap(), b"new");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
}

#[cfg(unix)]
#[test]
fn what_is_no_file_is_not_replaced_by_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let _socket = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let error = atomic::write(&path, |_| Ok(())).unwrap_err();
    assert!(error.to_string().contains("socket: expected the name of a file"), "{error}");
}

/// Pipes can be read only once, and opening one waits for its other end.
#[cfg(unix)]
#[test]
fn weights_are_read_from_files_only() {
    for path in ["/dev/null", "/dev/zero"] {
        let error = interchange::format(path).unwrap_err();
        assert_eq!(error.exit_code(), 4);
        assert!(error.to_string().contains("found a pipe or a device"), "{error}");
    }
}

/// Lengths in an ONNX file may be the byte with which the header of a safetensors file begins.
#[test]
fn a_brace_alone_does_not_make_safetensors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.onnx");
    std::fs::write(&path, [8, 8, 0x3a, 0x80, 0x80, 0x80, 1, 10, b'{', 10]).unwrap();
    assert_eq!(interchange::format(&path).unwrap(), interchange::Format::Onnx);
}

#[test]
fn threads_that_write_one_file_leave_one_of_their_versions() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("last.safetensors");
    std::thread::scope(|scope| {
        for thread in 0..4u8 {
            let path = &path;
            scope.spawn(move || {
                for _ in 0..5 {
                    atomic::write(path, |out| out.write_all(&[thread; 10_000])).unwrap();
                }
            });
        }
    });
    let bytes = std::fs::read(&path).unwrap();
    assert!(bytes.len() == 10_000 && bytes.iter().all(|&byte| byte == bytes[0]));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}
