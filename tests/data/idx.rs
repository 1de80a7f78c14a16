//! IDX files: MNIST's names, gzip, and files that do not fit together. Damaged ones are in `tests/untrusted`.

use crate::{assert_clear, bytes, classes, request};
use flate2::{Compression, write::GzEncoder};
use std::io::Write;
use std::path::Path;
use striate::data::open;

/// Three images of 2 x 4 pixels, and labels 2, 0, 1.
fn images() -> Vec<u8> {
    idx(&[3, 2, 4], &(0..24).map(|i| i * 10).collect::<Vec<u8>>())
}

fn labels() -> Vec<u8> {
    idx(&[3], &[2, 0, 1])
}

fn idx(sizes: &[u32], data: &[u8]) -> Vec<u8> {
    let mut file = vec![0, 0, 8, sizes.len() as u8];
    file.extend(sizes.iter().flat_map(|size| size.to_be_bytes()));
    file.extend(data);
    file
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn write_all(folder: &Path, files: &[(&str, &[u8])]) {
    std::fs::create_dir_all(folder).unwrap();
    for (name, content) in files {
        std::fs::write(folder.join(name), content).unwrap();
    }
}

#[test]
fn plain_gzipped_and_nested_files_read_alike() {
    let root = tempfile::tempdir().unwrap();
    let (images, labels) = (images(), labels());
    let val_images = idx(&[1, 2, 4], &[7; 8]);
    let val_labels = idx(&[1], &[1]);
    let plain = root.path().join("plain");
    write_all(
        &plain,
        &[
            ("train-images-idx3-ubyte", &images),
            ("train-labels-idx1-ubyte", &labels),
            ("t10k-images-idx3-ubyte", &val_images),
            ("t10k-labels-idx1-ubyte", &val_labels),
        ],
    );
    let zipped = root.path().join("zipped");
    write_all(
        &zipped.join("raw"),
        &[
            ("train-images-idx3-ubyte.gz", &gzip(&images)),
            ("train-labels-idx1-ubyte.gz", &gzip(&labels)),
            ("t10k-images-idx3-ubyte.gz", &gzip(&val_images)),
            ("t10k-labels-idx1-ubyte.gz", &gzip(&val_labels)),
        ],
    );
    let dotted = root.path().join("dotted");
    write_all(
        &dotted,
        &[
            ("train-images.idx3-ubyte", &images),
            ("train-labels.idx1-ubyte", &labels),
            ("t10k-images.idx3-ubyte", &val_images),
            ("t10k-labels.idx1-ubyte", &val_labels),
        ],
    );
    for folder in [&plain, &zipped, &dotted, &plain.join("t10k-labels-idx1-ubyte")] {
        let splits = open(&request(folder, [1, 2, 4], 3)).unwrap();
        assert_eq!(bytes(&splits.train), &images[16..]);
        assert_eq!(classes(&splits.train), [2, 0, 1]);
        assert_eq!(bytes(&splits.val), [7; 8]);
        assert_eq!(classes(&splits.val), [1]);
        assert_eq!(splits.train.class_names, ["0", "1", "2"]);
        assert_eq!(splits.val.classes, 3, "one numbering for both parts");
    }
}

#[test]
fn images_and_a_row_of_their_pixels_are_the_same_numbers() {
    let root = tempfile::tempdir().unwrap();
    write_all(root.path(), &[("train-images-idx3-ubyte", &images()), ("train-labels-idx1-ubyte", &labels())]);
    let splits = open(&request(root.path(), [8, 1, 1], 3)).unwrap();
    assert_eq!(splits.train.shape, [8, 1, 1]);
    let error = open(&request(root.path(), [1, 4, 2], 3)).unwrap_err();
    assert_clear(&error, root.path(), "another shape");
    assert!(
        error.to_string().contains("expected images of 1x4x2 as the model takes them, found 1x2x4"),
        "{error}"
    );
}

#[test]
fn a_label_without_an_output_is_named_with_file_and_index() {
    let root = tempfile::tempdir().unwrap();
    write_all(root.path(), &[("train-images-idx3-ubyte", &images()), ("train-labels-idx1-ubyte", &labels())]);
    let message = open(&request(root.path(), [1, 2, 4], 2)).unwrap_err().to_string();
    assert!(message.contains("train-labels-idx1-ubyte: label 0: expected a class below 2"), "{message}");
    assert!(message.ends_with("found 2"), "{message}");

    std::fs::write(root.path().join("classes.txt"), "cat\ndog\n").unwrap();
    let message = open(&request(root.path(), [1, 2, 4], 3)).unwrap_err().to_string();
    assert!(message.contains("expected a class below 2 (the number of class names), found 2"), "{message}");

    std::fs::write(root.path().join("classes.txt"), "cat\ndog\n\nhorse\nhen\n").unwrap();
    let message = open(&request(root.path(), [1, 2, 4], 3)).unwrap_err().to_string();
    assert!(
        message.contains("classes.txt: expected at most 3 classes (the model's outputs), found 4"),
        "{message}"
    );
    let splits = open(&request(root.path(), [1, 2, 4], 4)).unwrap();
    assert_eq!(splits.train.class_names, ["cat", "dog", "horse", "hen"]);
}

#[test]
fn missing_partners_are_named() {
    let root = tempfile::tempdir().unwrap();
    write_all(root.path(), &[("train-images-idx3-ubyte", &images())]);
    let error = open(&request(root.path(), [1, 2, 4], 3)).unwrap_err();
    assert_clear(&error, root.path(), "no labels");
    assert!(error.to_string().contains("train-labels-idx1-ubyte"), "{error}");
    std::fs::rename(root.path().join("train-images-idx3-ubyte"), root.path().join("t10k-images-idx3-ubyte"))
        .unwrap();
    write_all(root.path(), &[("t10k-labels-idx1-ubyte", &labels())]);
    let error = open(&request(root.path(), [1, 2, 4], 3)).unwrap_err();
    assert!(error.to_string().contains("expected train-images-idx3-ubyte"), "{error}");
}
