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

/// A string of Python 2, in protocol 2.
fn string(text: &[u8]) -> Vec<u8> {
    [&b"T"[..], &(text.len() as u32).to_le_bytes(), text].concat()
}

/// The dictionary that Python 2 and NumPy of 2009 pickled: labels called `key`, and images of these rows.
fn batch(key: &str, labels: &[u8], pixels: &[u8]) -> Vec<u8> {
    let labels: Vec<u8> =
        [b']'].into_iter().chain(labels.iter().flat_map(|&label| [b'K', label, b'a'])).collect();
    let rows = (pixels.len() / 3072) as u8;
    [
        b"\x80\x02}q\x01(",
        &string(b"batch_label")[..],
        &string(b"training batch 1 of 5"),
        &string(key.as_bytes()),
        &labels,
        &string(b"data"),
        b"cnumpy.core.multiarray\n_reconstruct\nq\x07cnumpy\nndarray\nq\x08K\x00\x85q\x09U\x01bq\x0a\x87Rq\x0b(K\x01K",
        &[rows],
        b"M\x00\x0c\x86q\x0ccnumpy\ndtype\nq\x0dU\x02u1q\x0eK\x00K\x01\x87Rq\x0f(K\x03U\x01|q\x10NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89",
        &string(pixels),
        b"tbu.",
    ]
    .concat()
}

/// Pixels of the rows of the binary version.
fn pixels_of(rows: &[u8], row: usize) -> Vec<u8> {
    rows.chunks(row).flat_map(|row| row[row.len() - 3072..].to_vec()).collect()
}

#[test]
fn the_python_version_is_the_binary_one() {
    let folder = tempfile::tempdir().unwrap();
    let names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];
    let [binary, python] = ["b", "p/cifar-10-batches-py"].map(|name| folder.path().join(name));
    write_cifar10(&binary);
    fs::write(binary.join("batches.meta.txt"), names.join("\n")).unwrap();
    fs::create_dir_all(&python).unwrap();
    for number in 1..=5 {
        let rows = rows(&[&[number], &[9]], 10 * number);
        fs::write(
            python.join(format!("data_batch_{number}")),
            batch("labels", &[number, 9], &pixels_of(&rows, 3073)),
        )
        .unwrap();
    }
    fs::write(python.join("test_batch"), batch("labels", &[3], &pixels_of(&rows(&[&[3]], 77), 3073)))
        .unwrap();
    let list: Vec<u8> =
        names.iter().flat_map(|name| [string(name.as_bytes()), b"a".to_vec()].concat()).collect();
    fs::write(
        python.join("batches.meta"),
        [&b"\x80\x02}("[..], &string(b"label_names"), b"]", &list, b"u."].concat(),
    )
    .unwrap();
    let expected = open(&request(&binary, INPUT, 10)).unwrap();
    for path in [&python, &folder.path().join("p")] {
        let found = open(&request(path, INPUT, 10)).unwrap();
        for (found, expected) in [(&found.train, &expected.train), (&found.val, &expected.val)] {
            assert_eq!(bytes(found), bytes(expected));
            assert_eq!((classes(found), &found.class_names), (classes(expected), &expected.class_names));
        }
        // A run on one is a run on the other.
        let data = |splits: &striate::data::Splits| splits.origin.as_ref().unwrap().provenance.data.clone();
        let (found, expected) = (data(&found), data(&expected));
        assert_eq!(
            (found.kind, found.labels, found.images),
            (expected.kind, expected.labels, expected.images)
        );
    }
}

#[test]
fn the_python_version_of_cifar100_has_fine_labels() {
    let folder = tempfile::tempdir().unwrap();
    let rows = rows(&[&[1, 99], &[2, 0]], 5);
    let mut train = batch("fine_labels", &[99, 0], &pixels_of(&rows, 3074));
    train.truncate(train.len() - 2);
    train.extend([&string(b"coarse_labels")[..], b"]K\x01aK\x02au."].concat());
    fs::write(folder.path().join("train"), train).unwrap();
    fs::write(folder.path().join("test"), batch("fine_labels", &[50], &[6; 3072])).unwrap();
    let names: Vec<u8> =
        (0..100).flat_map(|n| [string(format!("n{n}").as_bytes()), b"a".to_vec()].concat()).collect();
    let meta = [&b"\x80\x02}("[..], &string(b"fine_label_names"), b"]", &names, b"u."].concat();
    // The names say little, so that a folder with some of them is none.
    assert!(open(&request(folder.path(), INPUT, 100)).is_err());
    fs::write(folder.path().join("meta"), meta).unwrap();
    let splits = open(&request(folder.path(), INPUT, 100)).unwrap();
    assert_eq!((classes(&splits.train), classes(&splits.val)), (&[99, 0][..], &[50][..]));
    assert_eq!(
        (bytes(&splits.train)[0], bytes(&splits.val)[9], splits.train.class_names[99].as_str()),
        (5, 6, "n99")
    );
}

/// A folder of five training files and a test file, all of these bytes.
fn all_of(folder: &Path, content: &[u8]) {
    for number in 1..=5 {
        fs::write(folder.join(format!("data_batch_{number}")), content).unwrap();
    }
    fs::write(folder.join("test_batch"), content).unwrap();
}

#[test]
fn batches_that_python_3_has_pickled_are_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/cifar");
    let image: Vec<u8> = (0..3072).map(|at| (at * 7 % 256) as u8).collect();
    for name in ["protocol-2", "protocol-3", "protocol-4", "protocol-5", "arrays"] {
        all_of(folder.path(), &fs::read(fixtures.join(name)).unwrap());
        let splits =
            open(&request(folder.path(), INPUT, 10)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((classes(&splits.train), bytes(&splits.val)), (&[3; 5][..], &image[..]), "{name}");
    }
}

#[test]
fn batches_that_are_not_whole_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/cifar");
    let wrong = |case: &str, content: &[u8], part: &str| {
        all_of(folder.path(), content);
        let error = open(&request(folder.path(), INPUT, 10)).unwrap_err();
        assert_clear(&error, &folder.path().join("data_batch_1"), case);
        assert!(error.to_string().contains(part), "{case}: {error}");
    };
    let sound = batch("labels", &[1, 9], &[5; 2 * 3072]);
    for name in ["by-column", "wide"] {
        let part = if name == "wide" { "expected bytes (u1), found u2" } else { "row by row" };
        wrong(name, &fs::read(fixtures.join(name)).unwrap(), part);
    }
    wrong("a label too many", &batch("labels", &[1, 9, 2], &[5; 2 * 3072]), "found 3 and 2");
    wrong(
        "a class too many",
        &batch("labels", &[1, 10], &[5; 2 * 3072]),
        "\"labels\" 1: expected a class below 10, found 10",
    );
    wrong(
        "other labels",
        &batch("fine_labels", &[1, 9], &[5; 2 * 3072]),
        "expected a dictionary with \"labels\"",
    );
    wrong("nothing", b"", "");
    wrong("no dictionary", b"\x80\x02K\x01.", "expected a pickled dictionary, found an integer");
    wrong("a call", b"\x80\x02}(U\x04datacos\nsystem\n(U\x04truetRU\x06labels]K\x01au.", "found os.system");
    for length in (0..sound.len()).step_by(97).chain(sound.len() - 40..sound.len()) {
        wrong(&format!("cut at {length}"), &sound[..length], "");
    }
}
