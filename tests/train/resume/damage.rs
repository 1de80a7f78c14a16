//! Damaged checkpoints are named, and the one before is taken. Every bit and every cut is in `tests/reliability`.

use super::*;

/// A folder with two checkpoints, and the bytes of the newest.
fn saved() -> (tempfile::TempDir, PathBuf, Vec<u8>) {
    let parent = tempfile::tempdir().unwrap();
    let options = options().with_checkpoint_every(Some(3)).with_max_steps(Some(10));
    let (_, folder) = Part::new(&network(), &pictures(), &options).run(parent.path()).unwrap();
    let bytes = std::fs::read(folder.join("checkpoint.safetensors")).unwrap();
    (parent, folder, bytes)
}

#[test]
fn a_damaged_tensor_is_named_and_the_run_goes_on_from_the_one_before() {
    let (spec, data) = (network(), pictures());
    let parent = tempfile::tempdir().unwrap();
    let (_, reference) = Part::new(&spec, &data, &options()).run(parent.path()).unwrap();
    let (_kept, folder, mut bytes) = saved();
    // The last byte belongs to the last tensor in name order.
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(folder.join("checkpoint.safetensors"), &bytes).unwrap();
    let warnings = std::cell::RefCell::new(Vec::new());
    let watch = |event: &Event, _: &AtomicBool, _: &AtomicBool| {
        if let Event::Warning(text) = event {
            warnings.borrow_mut().push(text.clone());
        }
    };
    let part = Part { from: Some(&folder), watch: &watch, ..Part::new(&spec, &data, &options()) };
    part.run(parent.path()).unwrap();
    let warnings = warnings.into_inner();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0].contains("checkpoint.safetensors: tensor ") && warnings[0].contains("momentum.linear"),
        "{warnings:?}"
    );
    assert_eq!((lines(&folder), weights(&folder)), (lines(&reference), weights(&reference)));
    // The damaged file is not kept as the one before.
    let (_, all) = Checkpoint::find(&folder).unwrap();
    assert_eq!(all.len(), 2);
    all.iter().for_each(|path| assert!(Checkpoint::read(path).is_ok(), "{}", path.display()));
}

#[test]
fn without_a_whole_checkpoint_the_error_is_one_line_and_of_kind_4() {
    let (_parent, folder, bytes) = saved();
    for name in ["checkpoint.safetensors", "checkpoint-1.safetensors"] {
        std::fs::write(folder.join(name), &bytes[..bytes.len() - 1]).unwrap();
    }
    let (_, all) = Checkpoint::find(&folder).unwrap();
    let error = Checkpoint::read_first(&all).unwrap_err();
    assert_eq!(error.exit_code(), 4);
    let text = error.to_string();
    assert!(
        text.contains("checkpoint.safetensors: ") && text.contains("nor is any of the 1 before"),
        "{text}"
    );
    assert!(!text.contains('\n'));
    // Weights alone are no checkpoint, and neither is an empty folder.
    let error = Checkpoint::read(&folder.join("last.safetensors")).unwrap_err();
    assert!(error.exit_code() == 4 && error.to_string().contains("expected a checkpoint"), "{error}");
    let empty = tempfile::tempdir().unwrap();
    assert_eq!(Checkpoint::find(empty.path()).unwrap_err().exit_code(), 4);
    assert_eq!(Checkpoint::find(&empty.path().join("x")).unwrap_err().exit_code(), 4);
}

#[test]
fn a_changed_note_is_found_and_a_later_version_is_refused_in_one_line() {
    let (_parent, folder, _) = saved();
    let path = folder.join("checkpoint.safetensors");
    let mut file = striate::interchange::safetensors::read(&path).unwrap();
    assert_eq!(file.metadata.insert("checkpoint".into(), "3".into()).as_deref(), Some("2"));
    let tensors: Vec<_> = file.tensors.into_iter().collect();
    striate::interchange::safetensors::write(&path, &tensors, &file.metadata).unwrap();
    // A changed note has another hash.
    let error = Checkpoint::read(&path).unwrap_err().to_string();
    assert!(error.contains("metadata: expected the hash"), "{error}");
    // A later version would write the right one: of the length and the text of each key and value.
    let mut hash = xxhash_rust::xxh3::Xxh3::new();
    file.metadata.remove("notes_xxh3").unwrap();
    for text in file.metadata.iter().flat_map(|(key, value)| [key, value]) {
        hash.update(&(text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    }
    file.metadata.insert("notes_xxh3".into(), format!("{:032x}", hash.digest128()));
    striate::interchange::safetensors::write(&path, &tensors, &file.metadata).unwrap();
    let error = Checkpoint::read(&path).unwrap_err();
    assert_eq!(error.exit_code(), 4);
    assert!(error.to_string().ends_with("checkpoint: expected version 1 or 2, found 3"), "{error}");
}
