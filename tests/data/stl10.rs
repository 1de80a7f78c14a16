//! STL-10's binary files: columns become rows, labels begin at 0, and a set that is not whole is one line.

use crate::{assert_clear, bytes, classes, request};
use std::fs;
use std::path::Path;
use striate::data::{Kind, open};

const INPUT: [usize; 3] = [3, 96, 96];

/// An image whose pixel (y, x) of plane c is a number of its own, column by column.
fn image(first: usize) -> Vec<u8> {
    (0..3 * 96 * 96).map(|at| value(first, at / 9216, at % 96, at / 96 % 96)).collect()
}

fn value(first: usize, c: usize, y: usize, x: usize) -> u8 {
    ((first + 50 * c + 3 * y + 7 * x) % 251) as u8
}

fn write(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join("train_X.bin"), [image(1), image(2)].concat()).unwrap();
    fs::write(folder.join("train_y.bin"), [10, 1]).unwrap();
    fs::write(folder.join("test_X.bin"), image(3)).unwrap();
    fs::write(folder.join("test_y.bin"), [4]).unwrap();
}

#[test]
fn columns_become_rows_and_labels_begin_at_zero() {
    let folder = tempfile::tempdir().unwrap();
    // Where the archive unpacks to.
    let inner = folder.path().join("stl10_binary");
    write(&inner);
    let names = ["airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck"];
    for has_names in [false, true] {
        if has_names {
            fs::write(inner.join("class_names.txt"), names.join("\n") + "\n").unwrap();
            fs::write(inner.join("unlabeled_X.bin"), "not read").unwrap();
        }
        for path in [folder.path(), &inner] {
            let splits = open(&request(path, INPUT, 10)).unwrap();
            assert_eq!((classes(&splits.train), classes(&splits.val)), (&[9, 0][..], &[3][..]));
            assert_eq!(splits.train.class_names[9], if has_names { "truck" } else { "10" });
            for (number, pixels) in bytes(&splits.train).chunks(3 * 9216).enumerate() {
                for (at, &pixel) in pixels.iter().enumerate() {
                    assert_eq!(pixel, value(number + 1, at / 9216, at / 96 % 96, at % 96), "{at}");
                }
            }
            assert_eq!(bytes(&splits.val).len(), 3 * 9216);
        }
    }
}

#[test]
fn sets_that_are_not_whole_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let wrong = |file: &str, content: &[u8], part: &str| {
        write(root);
        fs::write(root.join(file), content).unwrap();
        let error = open(&request(root, INPUT, 10).with_kind(Kind::Stl10)).unwrap_err();
        assert_clear(&error, &root.join(file), part);
        assert!(error.to_string().contains(part), "{part}: {error}");
        fs::remove_file(root.join(file)).unwrap();
    };
    wrong(
        "train_X.bin",
        &image(1),
        "expected 55296 bytes (2 images of 3x96x96, one for each label), found 27648",
    );
    wrong("test_y.bin", &[], "expected a byte for each image, found 0");
    wrong("train_y.bin", &[1, 0], "row 1: expected a label from 1 to 10, found 0");
    wrong("train_y.bin", &[11, 1], "row 0: expected a label from 1 to 10, found 11");
    wrong("class_names.txt", b"cat\ndog\n", "expected 10 class names, one per line, found 2");
    write(root);
    fs::remove_file(root.join("test_X.bin")).unwrap();
    let error = open(&request(root, INPUT, 10)).unwrap_err().to_string();
    assert!(error.ends_with("expected test_X.bin, found no such file"), "{error}");
}
