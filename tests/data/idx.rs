//! IDX files: MNIST's names, gzip, and every field of the header damaged.

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
fn damaged_files_are_one_clear_line() {
    let mut damaged: Vec<(String, Vec<u8>, Vec<u8>)> = Vec::new();
    let mut add = |case: String, images: Vec<u8>, labels: Vec<u8>| damaged.push((case, images, labels));
    // Every field of both headers: two zero bytes, type, dimensions, sizes.
    for (field, at) in [
        ("zeros", 0..2),
        ("type", 2..3),
        ("dimensions", 3..4),
        ("count", 4..8),
        ("height", 8..12),
        ("width", 12..16),
    ] {
        for (value, byte) in [("0", 0u8), ("1", 0), ("max", 0xff)] {
            let mut wrong = images();
            wrong[at.clone()].fill(byte);
            if value == "1" {
                wrong[at.end - 1] = 1;
            }
            if wrong != images() {
                add(format!("images, {field} {value}"), wrong, labels());
            }
            if at.end <= 8 {
                let mut wrong = labels();
                wrong[at.clone()].fill(byte);
                if value == "1" {
                    wrong[at.end - 1] = 1;
                }
                if wrong != labels() && !(field == "dimensions" && value == "1") {
                    add(format!("labels, {field} {value}"), images(), wrong);
                }
            }
        }
    }
    for kind in [0x09, 0x0b, 0x0c, 0x0d, 0x0e] {
        let mut wrong = images();
        wrong[2] = kind;
        add(format!("type {kind:02x}"), wrong, labels());
    }
    for cut in 0..images().len() {
        add(format!("images cut at {cut}"), images()[..cut].to_vec(), labels());
    }
    for cut in 0..labels().len() {
        add(format!("labels cut at {cut}"), images(), labels()[..cut].to_vec());
    }
    add("all sizes max".into(), idx(&[u32::MAX; 3], &[0; 24]), labels());
    // 10^18 bytes claimed, in a size that does not overflow.
    add("a quintillion".into(), idx(&[1_000_000_000, 1_000_000_000, 1], &[0; 24]), labels());
    add("little-endian".into(), [&images()[..4], &[3, 0, 0, 0], &images()[8..]].concat(), labels());
    add("images too long".into(), [&images()[..], &[0]].concat(), labels());
    add("labels too long".into(), images(), [&labels()[..], &[0]].concat());
    add("fewer labels".into(), images(), idx(&[2], &[2, 0]));
    add("label of no output".into(), images(), idx(&[3], &[2, 0, 3]));
    add("label 255".into(), images(), idx(&[3], &[255, 0, 1]));
    assert!(damaged.len() > 60, "{}", damaged.len());

    let root = tempfile::tempdir().unwrap();
    for (number, (case, images, labels)) in damaged.iter().enumerate() {
        let plain = root.path().join(format!("{number}"));
        write_all(&plain, &[("train-images-idx3-ubyte", images), ("train-labels-idx1-ubyte", labels)]);
        assert_clear(&open(&request(&plain, [1, 2, 4], 3)).expect_err(case), &plain, case);
        let zipped = root.path().join(format!("{number}z"));
        write_all(
            &zipped,
            &[("train-images-idx3-ubyte.gz", &gzip(images)), ("train-labels-idx1-ubyte.gz", &gzip(labels))],
        );
        assert_clear(&open(&request(&zipped, [1, 2, 4], 3)).expect_err(case), &zipped, case);
    }
    assert!(crate::allocations::largest() < 256 << 20, "an allocation of {}", crate::allocations::largest());
}

#[test]
fn a_damaged_gzip_stream_is_noticed_wherever_it_is() {
    let good = gzip(&images());
    let root = tempfile::tempdir().unwrap();
    let check = |case: &str, stream: &[u8]| {
        write_all(
            root.path(),
            &[("train-images-idx3-ubyte.gz", stream), ("train-labels-idx1-ubyte", &labels())],
        );
        open(&request(root.path(), [1, 2, 4], 3)).map_err(|error| assert_clear(&error, root.path(), case))
    };
    assert!(check("whole", &good).is_ok());
    for cut in 0..good.len() {
        assert!(check("cut", &good[..cut]).is_err(), "cut at {cut}");
    }
    // The checksum and the length at the end.
    for at in good.len() - 8..good.len() {
        let mut wrong = good.clone();
        wrong[at] ^= 1;
        assert!(check("trailer", &wrong).is_err(), "byte {at}");
    }
    assert!(check("rubbish behind", &[&good[..], b"rubbish"].concat()).is_err());
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
