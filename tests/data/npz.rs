//! Data sets in NPZ files, written by NumPy (`tests/fixtures/shards/make.py`): as MedMNIST and Keras lay them out.

use crate::{assert_clear, classes, floats, request};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use striate::data::{Dataset, InputRange, Request, open, open_with_diagnostics};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/shards/npz").join(name)
}

fn wanted(name: &str, input: [usize; 3]) -> Request {
    request(&fixture(name), input, 3)
}

fn pixels(dataset: &Dataset, sample: usize) -> Vec<u8> {
    let mut pixels = vec![0; dataset.image_len()];
    dataset.read_pixels(sample, &mut pixels).unwrap();
    pixels
}

#[test]
fn medmnist_has_colour_channels_last_and_two_parts_beside_the_training_part() {
    let (splits, diagnostics) = open_with_diagnostics(&wanted("medmnist.npz", [3, 9, 7])).unwrap();
    assert_eq!(
        diagnostics.lines,
        ["test_images is left alone: the validation samples are those of val_images"]
    );
    assert_eq!((splits.train.len(), splits.val.len(), splits.train.shape), (12, 6, [3, 9, 7]));
    assert_eq!(classes(&splits.train), [0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2]);
    // Of the generator in make.py: the first pixels of image 4 (class 1), red plane and blue plane.
    let image = pixels(&splits.train, 4);
    assert_eq!(image.len(), 3 * 9 * 7);
    assert!(image.iter().all(|&pixel| (60..140).contains(&pixel)), "{image:?}");
    // The same arrays uncompressed in Fortran order.
    let fortran = open(&wanted("fortran.npz", [3, 9, 7])).unwrap();
    for sample in 0..12 {
        assert_eq!(pixels(&fortran.train, sample), pixels(&splits.train, sample), "{sample}");
    }
    assert_ne!(pixels(&splits.train, 4), pixels(&splits.train, 5));
    // Each channel is a plane: of noise around one value, no two are equal.
    let planes: Vec<&[u8]> = image.chunks(63).collect();
    assert!(planes[0] != planes[1] && planes[1] != planes[2]);
}

#[test]
fn keras_and_grey_medmnist_are_read_in_place() {
    let keras = open(&wanted("keras.npz", [1, 9, 7])).unwrap();
    assert_eq!((keras.train.len(), keras.val.len()), (12, 6));
    let grey = open(&wanted("grey.npz", [1, 9, 7])).unwrap();
    // make.py draws both from the same generator, but for val.
    assert_eq!(pixels(&keras.train, 7), pixels(&grey.train, 7));
    let floating = |range: Option<InputRange>| {
        open(&wanted("floats.npz", [1, 9, 7]).with_input_range(range)).map(|splits| splits.train)
    };
    let unit = floating(Some(InputRange::Unit)).unwrap();
    let ready = floating(Some(InputRange::Ready)).unwrap();
    let expected: Vec<f32> = pixels(&keras.train, 0).iter().map(|&pixel| f32::from(pixel) / 255.0).collect();
    assert_eq!(&floats(&ready)[..63], expected);
    assert_eq!(classes(&unit), classes(&keras.train));
    // What numbers are, has to be said.
    assert_clear(&floating(None).unwrap_err(), &fixture(""), "no range");
    let error = open(&wanted("keras.npz", [1, 9, 7]).with_input_range(Some(InputRange::Unit))).unwrap_err();
    assert_clear(&error, &fixture(""), "a range of bytes");
}

/// An NPZ file of these arrays: name, type, shape as Python writes it, bytes.
fn npz(path: &Path, arrays: &[(&str, &str, &str, Vec<u8>)]) {
    let mut zip = ZipWriter::new(fs::File::create(path).unwrap());
    for (name, descr, shape, bytes) in arrays {
        let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
        zip.start_file(format!("{name}.npy"), SimpleFileOptions::default()).unwrap();
        zip.write_all(b"\x93NUMPY\x01\x00").unwrap();
        zip.write_all(&(text.len() as u16).to_le_bytes()).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap();
}

#[test]
fn an_archive_is_not_unpacked_beyond_its_bound() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npz");
    // 400 kB that hardly compress claim to be 400 MB: Deflate could do it, but the whole archive may not be more than 256 MiB and
    // 64 times its length.
    let mut state = 1u32;
    let noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    });
    let noise: Vec<u8> = noise.take(400_000).collect();
    for (name, descr) in [("x_train", "|u1"), ("x_train", "<f4"), ("unused", "|u1")] {
        npz(&path, &[(name, descr, "(400000000,)", noise.clone()), ("y_train", "|u1", "(2,)", vec![0, 1])]);
        let mut bytes = fs::read(&path).unwrap();
        // The uncompressed size before the entry and in the directory at the end.
        bytes[22..26].copy_from_slice(&400_000_000u32.to_le_bytes());
        let at = bytes.windows(4).position(|word| word == b"PK\x01\x02").unwrap() + 24;
        bytes[at..at + 4].copy_from_slice(&400_000_000u32.to_le_bytes());
        fs::write(&path, bytes).unwrap();
        let error = open(&request(&path, [1, 2, 3], 2)).unwrap_err();
        assert_clear(&error, folder.path(), name);
        let text = error.to_string();
        assert!(text.contains("expected at most") && text.contains("together"), "{text}");
    }
}

#[test]
fn arrays_that_are_no_data_set_are_refused_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npz");
    let images = || ("x_train", "|u1", "(2, 2, 3)", vec![7; 12]);
    let labels = || ("y_train", "|u1", "(2,)", vec![0, 1]);
    let read = || open(&request(&path, [1, 2, 3], 2).with_val_split(Some(0.0)));
    npz(&path, &[images(), labels()]);
    assert_eq!(pixels(&read().unwrap().train, 1), [7; 6]);
    let big = [0u16, 1].iter().flat_map(|&label| u64::from(label).to_be_bytes()).collect();
    npz(&path, &[images(), ("y_train", ">i8", "(2, 1)", big)]);
    assert_eq!(classes(&read().unwrap().train), [0, 1]);
    for (what, arrays, parts) in [
        ("no labels", vec![images()], &["x_train without its labels"][..]),
        ("nothing", vec![("arr_0", "|u1", "(1,)", vec![1])], &["train_images", "arr_0"]),
        (
            "counts",
            vec![images(), ("y_train", "|u1", "(3,)", vec![0, 1, 0])],
            &["y_train", "2 labels", "found 3"],
        ),
        ("one-hot", vec![images(), ("y_train", "|u1", "(2, 2)", vec![0, 1, 1, 0])], &["y_train", "[2, 2]"]),
        (
            "negative",
            vec![images(), ("y_train", "<i4", "(2,)", vec![0, 0, 0, 0, 255, 255, 255, 255])],
            &["label 1", "-1"],
        ),
        (
            "first",
            vec![("x_train", "|u1", "(2, 3, 2, 2)", vec![7; 24]), labels()],
            &["x_train", "channels come last"],
        ),
        (
            "short",
            vec![("x_train", "|u1", "(2, 2, 3)", vec![7; 11]), labels()],
            &["x_train", "12 bytes, found 11"],
        ),
        (
            "long",
            vec![("x_train", "|u1", "(2, 2, 3)", vec![7; 13]), labels()],
            &["x_train", "12 bytes, found 13"],
        ),
        ("integers", vec![("x_train", "<i4", "(2, 2, 3)", vec![7; 48]), labels()], &["x_train", "uint8"]),
        ("NaN", vec![("x_train", "<f4", "(2, 2, 3)", vec![255; 48]), labels()], &["x_train", "finite"]),
    ] {
        npz(&path, &arrays);
        let error = read().unwrap_err();
        assert_clear(&error, folder.path(), what);
        parts.iter().for_each(|part| assert!(error.to_string().contains(part), "{what}: {error}"));
    }
    // A byte of the pixels is another: only the checksum says so.
    npz(&path, &[images(), labels()]);
    let mut bytes = fs::read(&path).unwrap();
    let zip = bytes.clone();
    let at = zip.windows(4).position(|four| four == [7; 4]).unwrap_or(60);
    bytes[at] ^= 1;
    fs::write(&path, bytes).unwrap();
    assert_clear(&read().unwrap_err(), folder.path(), "a changed byte");
}
