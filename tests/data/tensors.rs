//! Data sets in safetensors files, made with the reference implementation.

use crate::{assert_clear, bytes, classes, floats, request};
use safetensors::tensor::{Dtype, TensorView};
use std::path::Path;
use striate::data::{Labels, Splits, open};

type Given<'a> = (&'a str, Dtype, &'a [usize], &'a [u8]);

fn save(path: &Path, tensors: &[Given]) {
    let views = tensors
        .iter()
        .map(|&(name, dtype, shape, data)| (name, TensorView::new(dtype, shape.to_vec(), data).unwrap()));
    std::fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

fn little_endian<const N: usize, T: Copy>(values: &[T], bytes: impl Fn(T) -> [u8; N]) -> Vec<u8> {
    values.iter().flat_map(|&value| bytes(value)).collect()
}

fn open_tensors(folder: &Path, tensors: &[Given], outputs: usize) -> striate::Result<Splits> {
    let path = folder.join("set.safetensors");
    save(&path, tensors);
    let mut request = request(&path, [2, 1, 2], outputs);
    request.val_split = Some(0.0);
    // Of a model without [preprocess].
    request.has_preprocess = false;
    open(&request)
}

const PIXELS: [u8; 8] = [0, 1, 2, 3, 4, 5, 6, 255];

#[test]
fn images_and_labels_of_every_type() {
    let folder = tempfile::tempdir().unwrap();
    let pixels: Given = ("images", Dtype::U8, &[2, 2, 1, 2], &PIXELS);
    let long = little_endian(&[1i64, 0], i64::to_le_bytes);
    let int = little_endian(&[1i32, 0], i32::to_le_bytes);
    for labels in [
        ("labels", Dtype::I64, &[2][..], &long[..]),
        ("labels", Dtype::I32, &[2], &int),
        ("labels", Dtype::U8, &[2], &[1, 0]),
    ] {
        let splits = open_tensors(folder.path(), &[pixels, labels], 3).unwrap();
        assert_eq!(bytes(&splits.train), PIXELS);
        assert_eq!(classes(&splits.train), [1, 0]);
        assert_eq!((splits.train.name.as_str(), splits.train.classes), ("set", 2));
    }
    let values: Vec<f32> = (0..8).map(|i| i as f32 * 0.5 - 1.0).collect();
    let data = little_endian(&values, f32::to_le_bytes);
    let rows = little_endian(&[0.25f32, 0.5, 0.75, 1.0], f32::to_le_bytes);
    let splits = open_tensors(
        folder.path(),
        &[("images", Dtype::F32, &[2, 4], &data), ("labels", Dtype::F32, &[2, 2], &rows)],
        2,
    )
    .unwrap();
    assert_eq!(floats(&splits.train), values);
    assert_eq!(splits.train.shape, [2, 1, 2], "four features are a picture of four numbers");
    assert_eq!(splits.train.labels, Labels::Values { width: 2, values: vec![0.25, 0.5, 0.75, 1.0] });
}

#[test]
fn a_folder_has_its_validation_samples_apart() {
    let folder = tempfile::tempdir().unwrap();
    let labels: Given = ("labels", Dtype::U8, &[2], &[1, 0]);
    save(&folder.path().join("train.safetensors"), &[("images", Dtype::U8, &[2, 2, 1, 2], &PIXELS), labels]);
    save(&folder.path().join("val.safetensors"), &[("images", Dtype::U8, &[2, 2, 1, 2], &[9; 8]), labels]);
    let splits = open(&request(folder.path(), [2, 1, 2], 2)).unwrap();
    assert_eq!((bytes(&splits.train), bytes(&splits.val)), (&PIXELS[..], &[9u8; 8][..]));

    let rows = little_endian(&[0.0f32, 1.0, 1.0, 0.0], f32::to_le_bytes);
    let values: Given = ("labels", Dtype::F32, &[2, 2], &rows);
    save(&folder.path().join("val.safetensors"), &[("images", Dtype::U8, &[2, 2, 1, 2], &[9; 8]), values]);
    let error = open(&request(folder.path(), [2, 1, 2], 2)).unwrap_err();
    assert_clear(&error, folder.path(), "classes and values");
}

#[test]
fn what_does_not_fit_is_one_clear_line() {
    let folder = tempfile::tempdir().unwrap();
    let images: Given = ("images", Dtype::U8, &[2, 2, 1, 2], &PIXELS);
    let labels: Given = ("labels", Dtype::U8, &[2], &[1, 0]);
    let nan = little_endian(&[0.0f32, 0.0, 0.0, 0.0, 0.0, f32::NAN, 0.0, 0.0], f32::to_le_bytes);
    let negative = little_endian(&[1i64, -1], i64::to_le_bytes);
    let huge = little_endian(&[1i64, i64::from(u32::MAX)], i64::to_le_bytes);
    let larger = little_endian(&[1i64, i64::MAX], i64::to_le_bytes);
    let double = little_endian(&[0.0f64; 8], f64::to_le_bytes);
    let row = little_endian(&[0.0f32, 1.0], f32::to_le_bytes);
    let cases: [(&[Given], &str); 13] = [
        (&[images], "expected tensors images and labels, found [images]"),
        (&[], "expected tensors images and labels, found []"),
        (
            &[("images", Dtype::U8, &[8], &PIXELS), labels],
            "images: expected [samples, channels, height, width]",
        ),
        (
            &[("images", Dtype::U8, &[0, 2, 1, 2], &[]), labels],
            "images: expected sizes above 0, found [0, 2, 1, 2]",
        ),
        (&[("images", Dtype::F64, &[2, 2, 1, 2], &double), labels], "images: expected F32 or U8, found F64"),
        (
            &[("images", Dtype::F32, &[2, 2, 1, 2], &nan), labels],
            "images: image 1: expected finite numbers, found NaN",
        ),
        (&[images, ("labels", Dtype::U8, &[3], &[0, 1, 0])], "expected 2 labels, one per image, found 3"),
        (&[images, ("labels", Dtype::U8, &[2, 1], &[0, 1])], "labels: expected I64, I32 or U8 [samples]"),
        (&[images, ("labels", Dtype::I64, &[2], &negative)], "labels: label 1: expected a class, found -1"),
        (
            &[images, ("labels", Dtype::I64, &[2], &larger)],
            "labels: label 1: expected a class, found 9223372036854775807",
        ),
        (&[images, ("labels", Dtype::I64, &[2], &huge)], "label 1: expected a class below 2"),
        (
            &[images, ("labels", Dtype::F32, &[2], &row)],
            "expected 2 values per label (the model's outputs), found 1",
        ),
        (
            &[("images", Dtype::U8, &[2, 1, 2, 2], &PIXELS), labels],
            "expected images of 2x1x2 as the model takes them, found 1x2x2",
        ),
    ];
    for (tensors, expected) in cases {
        let error = open_tensors(folder.path(), tensors, 2).expect_err(expected);
        assert_clear(&error, folder.path(), expected);
        assert!(error.to_string().contains(expected), "{expected}: {error}");
    }
}

#[test]
fn channels_that_come_last_are_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("set.safetensors");
    let pixels: Vec<u8> = (0..2 * 6 * 5 * 3).map(|n| n as u8).collect();
    save(&path, &[("images", Dtype::U8, &[2, 6, 5, 3], &pixels), ("labels", Dtype::U8, &[2], &[0, 1])]);
    let open =
        |input| striate::data::open_with_diagnostics(&request(&path, input, 2).with_val_split(Some(0.0)));
    let error = open([3, 6, 5]).unwrap_err().to_string();
    assert!(error.ends_with("found 6x5x3, which looks like height x width x channels"), "{error}");
    // The same numbers in another order: a network of rows takes them.
    let (_, notes) = open([90, 1, 1]).unwrap();
    assert!(
        notes.lines[0].starts_with("warning: images of 6x5x3 look like height x width x channels"),
        "{notes:?}"
    );
    assert!(open([6, 5, 3]).unwrap().1.lines.is_empty());
    save(&path, &[("images", Dtype::U8, &[2, 6, 15], &pixels), ("labels", Dtype::U8, &[2], &[0, 1])]);
    assert!(open([1, 6, 15]).unwrap_err().to_string().contains("(grey images have 1 channel)"));
}
