//! CIFAR's binary files: rows are read as they are, and a set that is not whole is one line.

use crate::{assert_clear, bytes, classes, request};
use std::fs;
use std::path::Path;
use striate::data::{Kind, open};

const INPUT: [usize; 3] = [3, 32, 32];

/// Rows with these labels; row i is filled with `first + i`, its last pixel with 255.
fn rows(labels: &[&[u8]], first: u8) -> Vec<u8> {
    let row = |(i, label): (usize, &&[u8])| [*label, &[first + i as u8; 3071], &[255]].concat();
    labels.iter().enumerate().flat_map(row).collect()
}

fn write_cifar10(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    for batch in 1..=5 {
        fs::write(folder.join(format!("data_batch_{batch}.bin")), rows(&[&[batch], &[9]], 10 * batch))
            .unwrap();
    }
    fs::write(folder.join("test_batch.bin"), rows(&[&[3]], 77)).unwrap();
}

#[test]
fn cifar10_is_its_batches_in_turn() {
    let folder = tempfile::tempdir().unwrap();
    // Where the archive unpacks to.
    let inner = folder.path().join("cifar-10-batches-bin");
    write_cifar10(&inner);
    let names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];
    fs::write(inner.join("batches.meta.txt"), names.join("\n") + "\n\n").unwrap();
    for path in [folder.path(), &inner] {
        let splits = open(&request(path, INPUT, 10)).unwrap();
        assert_eq!(classes(&splits.train), [1, 9, 2, 9, 3, 9, 4, 9, 5, 9]);
        assert_eq!(classes(&splits.val), [3]);
        assert_eq!(
            (splits.train.shape, splits.train.class_names.as_slice()),
            (INPUT, &names.map(String::from)[..])
        );
        let pixels = bytes(&splits.train);
        assert_eq!((pixels.len(), pixels[0], pixels[3071], pixels[3072]), (10 * 3072, 10, 255, 11));
        assert_eq!(bytes(&splits.val)[..2], [77, 77]);
    }
}

#[test]
fn cifar100_has_fine_labels() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("train.bin"), rows(&[&[1, 99], &[2, 0]], 5)).unwrap();
    fs::write(folder.path().join("test.bin"), rows(&[&[19, 50]], 6)).unwrap();
    let splits = open(&request(folder.path(), INPUT, 100)).unwrap();
    assert_eq!((classes(&splits.train), classes(&splits.val)), (&[99, 0][..], &[50][..]));
    assert_eq!((bytes(&splits.train)[0], splits.train.class_names[99].as_str()), (5, "99"));
}

#[test]
fn sets_that_are_not_whole_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let wrong = |case: &str, part: &str| {
        let error = open(&request(root, INPUT, 10).with_kind(Kind::Cifar10)).unwrap_err();
        assert_clear(&error, root, case);
        assert!(error.to_string().contains(part), "{case}: {error}");
    };
    wrong("nothing", "expected data_batch_1.bin, data_batch_2.bin");
    write_cifar10(root);
    fs::remove_file(root.join("data_batch_4.bin")).unwrap();
    fs::remove_file(root.join("test_batch.bin")).unwrap();
    wrong("two files missing", "expected data_batch_4.bin, test_batch.bin, found no such file");
    write_cifar10(root);
    fs::write(root.join("data_batch_2.bin"), &rows(&[&[1]], 0)[..3000]).unwrap();
    wrong("cut short", "data_batch_2.bin: expected rows of 3073 bytes, found 3000 bytes");
    fs::write(root.join("data_batch_2.bin"), "").unwrap();
    wrong("empty", "found 0 bytes");
    fs::write(root.join("data_batch_2.bin"), rows(&[&[1], &[10]], 0)).unwrap();
    wrong("label", "data_batch_2.bin: row 1: expected a class below 10, found 10");
    write_cifar10(root);
    fs::write(root.join("batches.meta.txt"), "cat\ndog\n").unwrap();
    wrong("names", "expected 10 class names, one per line, found 2");
}
