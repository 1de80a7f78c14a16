//! Data sets as safetensors files: `images` (`f32` NCHW, or `u8` NCHW, which are pixels; or `[samples, features]` of
//! either) and `labels` (`i64`, `i32` or `u8` classes, or `f32` rows). What `f32` images for a model with `[preprocess]` are,
//! pixels 0..255, pixels divided by 255 or network input, is given by the request or by `input_range` in the metadata.
//!
//! The reference implementation checks the header: offsets without holes or overlaps, sizes without overflow,
//! the last byte of the file the last byte of a tensor.

use super::dataset::{Dataset, Images, Labels};
use super::diagnostics::Diagnostics;
use super::numbers::{Numbers, settle};
use super::parts::validation_files;
use super::range::{InputRange, check_bytes};
use super::raw::{RawSplit, RawSplits};
use super::request::Request;
use crate::error::{Error, Result, printable_path};
use crate::json;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use std::path::Path;

/// Longest header that is read, in bytes; two tensors need a few hundred.
const HEADER_LIMIT: u64 = 1 << 20;

/// Metadata of a file that say what its `f32` images are.
const RANGE: &str = "input_range";

/// Reads the file `path`, or in the folder `path` `train.safetensors` and, if it is there, a file of validation samples.
pub(super) fn open(
    path: &Path,
    name: &str,
    request: &Request,
    diagnostics: &mut Diagnostics,
) -> Result<RawSplits> {
    let mut parts = Vec::new();
    if path.is_dir() {
        parts.push(read(&path.join("train.safetensors"), name)?);
        let (val, others) = validation_files(path, "safetensors");
        if let Some(val) = val {
            let file = |path: &Path| printable_path(Path::new(path.file_name().unwrap_or_default()));
            for other in others {
                diagnostics.add(format!(
                    "{} is left alone: the validation samples are those of {}",
                    file(&other),
                    file(&val)
                ));
            }
            parts.push(read(&val, name)?);
        }
    } else {
        parts.push(read(path, name)?);
    }
    for (part, _) in &parts {
        let [height, width, channels] = part.dataset.shape;
        let is_last = [1, 3].contains(&channels) && ![1, 3].contains(&height) && height.min(width) > 4;
        if is_last && request.model.is_none_or(|wanted| wanted.input != part.dataset.shape) {
            diagnostics.warn(format!(
                "images of {height}x{width}x{channels} look like height x width x channels; they are read as channels x height x \
                 width"
            ));
        }
    }
    let noted = parts[0].1;
    if let Some((part, other)) = parts.iter().find(|(_, range)| *range != noted) {
        let words = |range: &Option<InputRange>| range.map_or("none".into(), |range| range.to_string());
        let what =
            format!("metadata {RANGE}: expected {} as in train, found {}", words(&noted), words(other));
        return Err(Error::data(&part.images_path, what));
    }
    let mut numbers = Vec::new();
    for (part, _) in &mut parts {
        match std::mem::replace(&mut part.dataset.images, Images::F32(Vec::new())) {
            Images::F32(values) => {
                let width = part.dataset.image_len();
                let place = Box::new(move |at: usize| format!("images: image {}", at / width.max(1)));
                numbers.push(Numbers { path: &part.images_path, values, width, place });
            }
            images => {
                check_bytes(request.input_range.or(noted), &part.images_path)?;
                part.dataset.images = images;
            }
        }
    }
    let settled = settle(numbers, noted, false, request, diagnostics)?;
    let floats = parts.iter_mut().filter(|(part, _)| matches!(part.dataset.images, Images::F32(_)));
    for ((part, _), images) in floats.zip(settled) {
        part.dataset.images = images;
    }
    let mut parts = parts.into_iter().map(|(part, _)| part);
    match (parts.next(), parts.next()) {
        (Some(train), val) => Ok(RawSplits { train, val }),
        _ => Err(Error::Internal("a data set of tensors without a part".into())),
    }
}

/// The samples of one file, and the input range that its metadata declares.
fn read(path: &Path, name: &str) -> Result<(RawSplit, Option<InputRange>)> {
    // Before it is opened: opening a pipe would wait for its other end.
    if !std::fs::metadata(path).map_err(|error| Error::io(path, error))?.is_file() {
        return Err(Error::data(path, "expected a safetensors file, found a folder, a pipe or a device"));
    }
    let bytes = std::fs::read(path).map_err(|error| Error::io(path, error))?;
    let header = bytes.first_chunk().map_or(0, |&length| u64::from_le_bytes(length));
    if header > HEADER_LIMIT {
        return Err(Error::data(
            path,
            format!(
                "expected a safetensors header of at most {HEADER_LIMIT} bytes, found a claim of {header}"
            ),
        ));
    }
    let file = SafeTensors::deserialize(&bytes)
        .map_err(|error| Error::data(path, format!("not a whole safetensors file: {error}")))?;
    json::check_keys(&bytes[8..8 + header as usize])
        .map_err(|error| Error::data(path, format!("the header: {error}")))?;
    let tensor = |name: &str| {
        file.tensor(name).map_err(|_| {
            let mut names = file.names();
            names.sort_unstable();
            Error::data(path, format!("expected tensors images and labels, found [{}]", names.join(", ")))
        })
    };
    let (count, shape, images) = read_images(path, &tensor("images")?)?;
    let (labels_count, labels) = read_labels(path, &tensor("labels")?)?;
    if count != labels_count {
        return Err(Error::data(
            path,
            format!("expected {count} labels, one per image, found {labels_count}"),
        ));
    }
    let dataset =
        Dataset { name: name.to_string(), shape, classes: 0, class_names: Vec::new(), images, labels };
    let part = RawSplit { dataset, images_path: path.to_path_buf(), labels_path: path.to_path_buf() };
    Ok((part, range_of(path, &bytes)?))
}

/// What the metadata of the file `bytes` say that its images are.
fn range_of(path: &Path, bytes: &[u8]) -> Result<Option<InputRange>> {
    let (_, header) = SafeTensors::read_metadata(bytes)
        .map_err(|error| Error::data(path, format!("not a whole safetensors file: {error}")))?;
    let text = header.metadata().as_ref().and_then(|metadata| metadata.get(RANGE));
    text.map(|text| {
        text.parse().map_err(|_| {
            Error::data(path, format!("metadata {RANGE}: expected 0..255, 0..1 or ready, found {text:?}"))
        })
    })
    .transpose()
}

fn read_images(path: &Path, tensor: &TensorView) -> Result<(usize, [usize; 3], Images)> {
    let (count, shape) = match *tensor.shape() {
        [count, channels, height, width] => (count, [channels, height, width]),
        [count, features] => (count, [features, 1, 1]),
        ref other => {
            return Err(Error::data(
                path,
                format!(
                    "images: expected [samples, channels, height, width] or [samples, features], found {other:?}{}",
                    if other.len() == 3 { " (grey images have 1 channel)" } else { "" }
                ),
            ));
        }
    };
    if count == 0 || shape.contains(&0) {
        return Err(Error::data(path, format!("images: expected sizes above 0, found {:?}", tensor.shape())));
    }
    let images = match tensor.dtype() {
        Dtype::U8 => Images::U8(tensor.data().to_vec()),
        Dtype::F32 => {
            let values = floats(tensor.data());
            check_finite(path, "images: image", &values, shape.iter().product())?;
            Images::F32(values)
        }
        other => return Err(Error::data(path, format!("images: expected F32 or U8, found {other}"))),
    };
    Ok((count, shape, images))
}

fn read_labels(path: &Path, tensor: &TensorView) -> Result<(usize, Labels)> {
    let data = tensor.data();
    match (tensor.dtype(), tensor.shape()) {
        (Dtype::F32, &[count, width]) if width > 0 => {
            let values = floats(data);
            check_finite(path, "labels: row", &values, width)?;
            Ok((count, Labels::Values { width, values }))
        }
        (Dtype::F32, &[count]) => {
            let values = floats(data);
            check_finite(path, "labels: row", &values, 1)?;
            Ok((count, Labels::Values { width: 1, values }))
        }
        (Dtype::I64, &[count]) => Ok((count, classes(path, data, i64::from_le_bytes)?)),
        (Dtype::I32, &[count]) => Ok((count, classes(path, data, |bytes| i32::from_le_bytes(bytes).into())?)),
        (Dtype::U8, &[count]) => Ok((count, classes(path, data, |[byte]| byte.into())?)),
        (dtype, shape) => Err(Error::data(
            path,
            format!(
                "labels: expected I64, I32 or U8 [samples], or F32 [samples, outputs], found {dtype} {shape:?}"
            ),
        )),
    }
}

fn classes<const N: usize>(path: &Path, data: &[u8], one: impl Fn([u8; N]) -> i64) -> Result<Labels> {
    let (elements, _) = data.as_chunks::<N>();
    let class = |(index, &bytes): (usize, &[u8; N])| {
        let value = one(bytes);
        u32::try_from(value)
            .map_err(|_| Error::data(path, format!("labels: label {index}: expected a class, found {value}")))
    };
    Ok(Labels::Classes(elements.iter().enumerate().map(class).collect::<Result<_>>()?))
}

fn floats(data: &[u8]) -> Vec<f32> {
    let (elements, _) = data.as_chunks::<4>();
    elements.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
}

fn check_finite(path: &Path, what: &str, values: &[f32], width: usize) -> Result<()> {
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(index) => Err(Error::data(
            path,
            format!("{what} {}: expected finite numbers, found {}", index / width, values[index]),
        )),
    }
}
