//! What numbers in tables and tensors are: pixels, pixels divided by 255, or network input; and that the same images are the
//! same network input, from any file.

use crate::{bytes, floats, request};
use safetensors::tensor::{Dtype, TensorView};
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use striate::data::{
    BadFiles, Diagnostics, Images, InputRange, InputTransform, Loader, LoaderOptions, OnBadFile, Request,
    Splits, Transform, Workers, open_with_diagnostics,
};

/// Six images of 2 x 3 pixels that have every kind of byte.
const PIXELS: [u8; 36] = [
    0, 255, 1, 254, 2, 253, 17, 34, 51, 68, 85, 102, 119, 136, 153, 170, 187, 204, 3, 5, 7, 11, 13, 19, 23,
    29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71,
];

fn csv(folder: &Path, number: impl Fn(u8) -> String) -> PathBuf {
    let path = folder.join("digits.csv");
    let mut text = "label,p0,p1,p2,p3,p4,p5\n".to_string();
    for (n, row) in PIXELS.chunks(6).enumerate() {
        let row: Vec<String> = row.iter().map(|&pixel| number(pixel)).collect();
        text.push_str(&format!("{},{}\n", n % 2, row.join(",")));
    }
    fs::write(&path, text).unwrap();
    path
}

fn tensors(folder: &Path, number: impl Fn(u8) -> f32, noted: Option<&str>) -> PathBuf {
    let path = folder.join("digits.safetensors");
    let data: Vec<u8> = PIXELS.iter().flat_map(|&pixel| number(pixel).to_le_bytes()).collect();
    let labels = [0, 1, 0, 1, 0, 1];
    let views = [
        ("images", TensorView::new(Dtype::F32, vec![6, 1, 2, 3], &data).unwrap()),
        ("labels", TensorView::new(Dtype::U8, vec![6], &labels).unwrap()),
    ];
    let noted = noted.map(|text| HashMap::from([("input_range".to_string(), text.to_string())]));
    fs::write(&path, safetensors::serialize(views, noted).unwrap()).unwrap();
    path
}

fn read(
    path: &Path,
    range: Option<InputRange>,
    has_preprocess: bool,
) -> striate::Result<(Splits, Diagnostics)> {
    open_with_diagnostics(
        &request(path, [1, 2, 3], 2)
            .with_val_split(Some(0.0))
            .with_input_range(range)
            .with_has_preprocess(has_preprocess),
    )
}

/// The network input of all six, as a model with a mean and a standard deviation has it.
fn inputs(splits: &Splits) -> Vec<u32> {
    let transform = Transform::default().with_mean(vec![0.2860]).with_std(vec![0.3530]);
    let options = LoaderOptions::new(6, InputTransform::OnHost(transform))
        .with_workers(Workers::new(1))
        .with_bad(BadFiles::new(OnBadFile::Fail));
    let batch = Loader::new(Arc::clone(&splits.train), options).next().unwrap().unwrap();
    batch.input.values().iter().map(|value| value.to_bits()).collect()
}

fn expected() -> Vec<u32> {
    PIXELS.iter().map(|&pixel| ((f32::from(pixel) * (1.0 / 255.0) - 0.2860) / 0.3530).to_bits()).collect()
}

#[test]
fn whole_numbers_of_a_table_are_pixels() {
    let folder = tempfile::tempdir().unwrap();
    let path = csv(folder.path(), |pixel| pixel.to_string());
    for range in [None, Some(InputRange::Pixels)] {
        let (splits, notes) = read(&path, range, true).unwrap();
        assert_eq!((bytes(&splits.train), splits.train.shape), (&PIXELS[..], [1, 2, 3]));
        assert_eq!(inputs(&splits), expected());
        assert_eq!(notes.lines.len(), usize::from(range.is_none()), "{notes:?}");
    }
    let (splits, _) = read(&path, Some(InputRange::Ready), true).unwrap();
    assert_eq!(floats(&splits.train)[..3], [0.0, 255.0, 1.0]);
    // Without [preprocess] they are used as they are, and images of bytes would not be.
    let (splits, notes) = read(&path, None, false).unwrap();
    assert_eq!(floats(&splits.train)[..3], [0.0, 255.0, 1.0]);
    assert!(
        notes.lines[0].starts_with("warning: digits.csv: whole numbers 0 to 255 are used as they are"),
        "{notes:?}"
    );
    assert_eq!(bytes(&read(&path, Some(InputRange::Pixels), false).unwrap().0.train), PIXELS);
}

#[test]
fn pixels_divided_by_255_are_the_same_pixels() {
    let folder = tempfile::tempdir().unwrap();
    let unit = |pixel: u8| f32::from(pixel) / 255.0;
    for path in [csv(folder.path(), |pixel| unit(pixel).to_string()), tensors(folder.path(), unit, None)] {
        let (splits, _) = read(&path, Some(InputRange::Unit), true).unwrap();
        assert_eq!(bytes(&splits.train), PIXELS);
        assert_eq!(inputs(&splits), expected());
        let error = read(&path, None, true).unwrap_err();
        assert_eq!(error.exit_code(), 4);
        let text = error.to_string();
        assert!(
            text.contains("found numbers 0 to 1: say what they are with --input-range 0..255 (pixels), 0..1"),
            "{text}"
        );
        assert!(text.contains("or ready (preprocessed already)"), "{text}");
    }
}

#[test]
fn numbers_between_pixels_are_preprocessed_as_pixels_are() {
    let folder = tempfile::tempdir().unwrap();
    let half = |pixel: u8| f32::from(pixel) * 0.5;
    let path = tensors(folder.path(), half, None);
    let (splits, _) = read(&path, Some(InputRange::Pixels), true).unwrap();
    assert!(matches!(&splits.train.images, Images::Levels(values) if values[1] == 127.5));
    assert!(!splits.train.has_pixels());
    let found = inputs(&splits);
    for (&found, pixel) in found.iter().zip(PIXELS) {
        let wanted = (half(pixel) * (1.0 / 255.0) - 0.2860) / 0.3530;
        assert_eq!(found, wanted.to_bits());
    }
}

#[test]
fn what_a_file_says_of_itself_needs_no_flag() {
    let folder = tempfile::tempdir().unwrap();
    let path = tensors(folder.path(), |pixel| f32::from(pixel) / 255.0, Some("0..1"));
    assert_eq!(bytes(&read(&path, None, true).unwrap().0.train), PIXELS);
    let error = read(&path, Some(InputRange::Ready), true).unwrap_err();
    assert!(
        error.to_string().contains("its metadata say input_range 0..1, found --input-range ready"),
        "{error}"
    );
    let path = tensors(folder.path(), |pixel| f32::from(pixel) - 9.0, Some("ready"));
    assert_eq!(floats(&read(&path, None, true).unwrap().0.train)[0], -9.0);
    let path = tensors(folder.path(), f32::from, Some("0..256"));
    let error = read(&path, None, true).unwrap_err();
    assert!(error.to_string().contains("metadata input_range: expected 0..255, 0..1 or ready"), "{error}");
}

#[test]
fn numbers_outside_the_range_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let one = |pixel: u8| if pixel == 254 { 256.0 } else { f32::from(pixel) };
    let path = csv(folder.path(), |pixel| one(pixel).to_string());
    let text = read(&path, Some(InputRange::Pixels), true).unwrap_err().to_string();
    assert!(
        text.ends_with("line 2, column 5: expected a number of the input range 0..255, found 256"),
        "{text}"
    );
    let path = tensors(folder.path(), |pixel| if pixel == 119 { -0.5 } else { 0.5 }, None);
    let text = read(&path, Some(InputRange::Unit), true).unwrap_err().to_string();
    assert!(
        text.ends_with("images: image 2: expected a number of the input range 0..1, found -0.5"),
        "{text}"
    );
    // Zeros and ones are pixels, or divided pixels.
    let path = csv(folder.path(), |pixel| (pixel % 2).to_string());
    assert!(read(&path, None, true).unwrap_err().to_string().contains("--input-range"));
    let (_, notes) = read(&path, Some(InputRange::Pixels), true).unwrap();
    assert!(notes.lines[0].contains("no value is above 1"), "{notes:?}");
}

#[test]
fn bytes_are_pixels_whatever_is_said() {
    for range in [InputRange::Unit, InputRange::Ready] {
        let request = Request::new([1, 28, 28], 10).with_input_range(Some(range)).with_limit_train(Some(4));
        let error = open_with_diagnostics(&request).unwrap_err();
        assert_eq!(error.exit_code(), 4);
        assert!(error.to_string().contains("found bytes, which are pixels 0..255"), "{error}");
    }
    assert_eq!("0..2".parse::<InputRange>().unwrap_err().exit_code(), 2);
    for (range, name) in InputRange::NAMES {
        assert_eq!((name.parse::<InputRange>().unwrap(), range.to_string()), (range, name.to_string()));
    }
}

#[test]
fn a_table_of_pixels_can_be_looked_at_and_packed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("squares.csv");
    fs::write(&path, "label,a,b,c,d\n0,1,2,3,4\n1,5,6,7,250\n").unwrap();
    let open = |range| {
        let request =
            request(&path, [1; 3], 1).with_model(None).with_input_range(range).with_val_split(Some(0.0));
        open_with_diagnostics(&request).unwrap().0.train
    };
    assert_eq!(
        (open(Some(InputRange::Pixels)).shape, bytes(&open(Some(InputRange::Pixels))).len()),
        ([1, 2, 2], 8)
    );
    assert_eq!(open(None).shape, [4, 1, 1]);
}
