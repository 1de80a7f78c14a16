//! IDX files of several data sets in one folder: the file that is named decides which are read.

use crate::{assert_clear, bytes, classes, request};
use flate2::{Compression, write::GzEncoder};
use std::fs;
use std::io::Write;
use std::path::Path;
use striate::data::{Diagnostics, Splits, open_with_diagnostics};

/// Two images of one pixel, `first` and the next, and their labels 0 and 1.
fn write(folder: &Path, name: &str, first: u8) {
    let images = [&[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1][..], &[first, first + 1]].concat();
    fs::write(folder.join(name), images).unwrap();
    let labels = name.replace("images", "labels").replace("idx3", "idx1");
    fs::write(folder.join(labels), [0, 0, 8, 1, 0, 0, 0, 2, 0, 1]).unwrap();
}

fn read(path: &Path) -> striate::Result<(Splits, Diagnostics)> {
    open_with_diagnostics(&request(path, [1, 1, 1], 2))
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_named_file_takes_its_own_family() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for (name, first) in [
        ("train-images-idx3-ubyte", 10),
        ("t10k-images-idx3-ubyte", 20),
        ("emnist-letters-train-images-idx3-ubyte", 30),
        ("emnist-letters-test-images-idx3-ubyte", 40),
        ("emnist-digits-train-images-idx3-ubyte", 50),
    ] {
        write(root, name, first);
    }
    for (name, train, val) in [
        ("train-images-idx3-ubyte", 10, 20),
        ("t10k-labels-idx1-ubyte", 10, 20),
        ("emnist-letters-train-images-idx3-ubyte", 30, 40),
        ("emnist-letters-test-labels-idx1-ubyte", 30, 40),
    ] {
        let (splits, notes) = read(&root.join(name)).unwrap();
        assert_eq!(
            (bytes(&splits.train), bytes(&splits.val)),
            (&[train, train + 1][..], &[val, val + 1][..]),
            "{name}"
        );
        assert_eq!(notes.lines.len(), usize::from(name.starts_with("emnist")), "{notes:?}");
        assert_eq!(classes(&splits.val), [0, 1]);
    }
    let (splits, _) = read(&root.join("emnist-digits-train-labels-idx1-ubyte")).unwrap();
    assert_eq!((splits.train.name.as_str(), splits.train.len() + splits.val.len()), ("emnist-digits", 2));
    // The folder is MNIST's, and a note says so.
    let (splits, notes) = read(root).unwrap();
    assert_eq!(bytes(&splits.train), [10, 11]);
    assert!(notes.lines[0].contains("emnist-letters-train-images-idx3-ubyte"), "{notes:?}");
    for name in [
        "train-images-idx3-ubyte",
        "train-labels-idx1-ubyte",
        "t10k-images-idx3-ubyte",
        "t10k-labels-idx1-ubyte",
    ] {
        fs::remove_file(root.join(name)).unwrap();
    }
    let error = read(root).unwrap_err();
    assert_clear(&error, root, "two families");
    assert!(error.to_string().contains("name one of the files instead of the folder"), "{error}");
    for name in ["emnist-digits-train-images-idx3-ubyte", "emnist-digits-train-labels-idx1-ubyte"] {
        fs::remove_file(root.join(name)).unwrap();
    }
    assert_eq!(bytes(&read(root).unwrap().0.train), [30, 31], "the only one");
}

#[test]
fn a_name_that_says_no_part_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "train-images-idx3-ubyte", 10);
    for name in ["my-images-idx3-ubyte", "xtrain-images-idx3-ubyte", "train-images-idx2-ubyte"] {
        fs::write(folder.path().join(name), "x").unwrap();
        let error = read(&folder.path().join(name)).unwrap_err();
        assert_clear(&error, &folder.path().join(name), name);
        assert!(error.to_string().contains("expected a name such as train-images-idx3-ubyte"), "{error}");
    }
    write(folder.path(), "kuzushiji-t10k-images-idx3-ubyte", 10);
    let error = read(&folder.path().join("kuzushiji-t10k-images-idx3-ubyte")).unwrap_err();
    assert!(error.to_string().contains("expected kuzushiji-train-images-idx3-ubyte"), "{error}");
}

#[test]
fn a_dot_in_the_name_is_read_as_a_dash() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "train-images.idx3-ubyte", 10);
    write(folder.path(), "t10k-images.idx3-ubyte", 20);
    for name in ["", "train-images.idx3-ubyte", "t10k-labels.idx1-ubyte"] {
        let (splits, _) = read(&folder.path().join(name)).unwrap();
        assert_eq!((bytes(&splits.train)[0], bytes(&splits.val)[0]), (10, 20), "{name}");
    }
}

#[test]
fn compressed_and_plain_files_of_one_name_must_agree() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write(root, "train-images-idx3-ubyte", 10);
    let plain = fs::read(root.join("train-images-idx3-ubyte")).unwrap();
    fs::write(root.join("train-images-idx3-ubyte.gz"), gzip(&plain)).unwrap();
    read(&root.join("train-images-idx3-ubyte.gz")).unwrap();
    let mut other = plain.clone();
    *other.last_mut().unwrap() ^= 1;
    for bytes in [gzip(&other), gzip(&plain[..15]), b"x".to_vec()] {
        fs::write(root.join("train-images-idx3-ubyte.gz"), bytes).unwrap();
        for path in [root.to_path_buf(), root.join("train-images-idx3-ubyte.gz")] {
            let error = read(&path).unwrap_err();
            assert_clear(&error, &root.join("train-images-idx3-ubyte"), "twins");
            assert!(error.to_string().contains("remove one of the two"), "{error}");
        }
    }
}
