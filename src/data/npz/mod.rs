//! Data sets in one NPZ file, NumPy's archive of arrays: `train_images`, `train_labels` and so on as MedMNIST has them, or `x_train`,
//! `y_train` as the data sets of Keras.
//!
//! Images are `[samples, height, width]` or `[samples, height, width, channels]`. Bytes are pixels; they stay in the file, or are
//! decompressed into a temporary file, and are read when they are needed. Every array is read once when the data is opened, which
//! checks its checksum. Floating-point images are numbers whose range has to be known; they are held in memory.

mod archive;
mod store;
mod wrong;

use super::dataset::{Dataset, Images, Labels, Stored};
use super::diagnostics::{Diagnostics, some};
use super::locate::Location;
use super::numbers::{Numbers, settle};
use super::range::check_bytes;
use super::raw::{RawSplit, RawSplits};
use super::request::Request;
use crate::error::{Error, Result};
use archive::{Archive, Pixels};
use std::path::Path;
use std::sync::Arc;
use store::{ArrayStore, StoredPart};

/// The parts of a data set, as names of arrays have them.
const PARTS: [&str; 3] = ["train", "val", "test"];

/// Names of the arrays of a part: images, labels.
const PAIRS: [[&str; 2]; 4] =
    [["{}_images", "{}_labels"], ["x_{}", "y_{}"], ["{}_x", "{}_y"], ["{}_data", "{}_targets"]];

/// Names of the arrays of a file with one part.
const SINGLE: [[&str; 2]; 3] = [["images", "labels"], ["x", "y"], ["data", "targets"]];

/// The names of the arrays of a part.
#[derive(Debug)]
struct Pair {
    part: &'static str,
    images: String,
    labels: String,
}

/// Opens the file that `place` names.
pub(super) fn open(place: &Location, request: &Request, diagnostics: &mut Diagnostics) -> Result<RawSplits> {
    let path = &place.path;
    let bad = |what: String| Error::data(path, what);
    let mut archive = Archive::open(path)?;
    let mut pairs = pairs(&archive.names()).map_err(bad)?;
    for left in pairs.split_off(pairs.len().min(2)) {
        diagnostics.add(format!(
            "{} is left alone: the validation samples are those of {}",
            left.images, pairs[1].images
        ));
    }
    let (mut shape, mut labels, mut numbers, mut bytes) = (None, Vec::new(), Vec::new(), Vec::new());
    for pair in &pairs {
        let found = archive.labels(&pair.labels)?;
        let images = archive.images(&pair.images)?;
        if images.count != found.len() {
            let what = format!(
                "{}: expected {} labels, one per image, found {}",
                pair.labels,
                images.count,
                found.len()
            );
            return Err(bad(what));
        }
        let first = *shape.get_or_insert(images.shape);
        if images.shape != first {
            let words = |[c, h, w]: [usize; 3]| format!("{h}x{w} with {c} channels");
            let what = format!(
                "{}: expected images of {} as in {}, found {}",
                pair.images,
                words(first),
                pairs[0].images,
                words(images.shape)
            );
            return Err(bad(what));
        }
        labels.push(found);
        match images.pixels {
            Pixels::Stored(stored) => bytes.push(stored),
            Pixels::Numbers(values) => numbers.push(values),
        }
    }
    let shape = shape.ok_or_else(|| bad("expected arrays of images, found none".into()))?;
    let images = match (bytes.len(), numbers.len()) {
        (_, 0) => {
            check_bytes(request.input_range, path)?;
            stored(path, shape, bytes)
        }
        (0, _) => in_memory(path, shape, numbers, &pairs, request, diagnostics)?,
        _ => return Err(bad("expected images of one type in all parts, found bytes and numbers".into())),
    };
    let mut parts = images.into_iter().zip(labels).map(|(images, labels)| {
        let labels = Labels::Classes(labels);
        let (name, class_names) = (place.name.clone(), Vec::new());
        let dataset = Dataset { name, shape, classes: 0, class_names, images, labels };
        RawSplit { dataset, images_path: path.clone(), labels_path: path.clone() }
    });
    match (parts.next(), parts.next()) {
        (Some(train), val) => Ok(RawSplits { train, val }),
        _ => Err(Error::Internal("an NPZ file without a part".into())),
    }
}

/// The parts that arrays called `names` make up, the training part first.
fn pairs(names: &[String]) -> Result<Vec<Pair>, String> {
    let named = |wanted: &str| names.iter().find(|name| name.eq_ignore_ascii_case(wanted)).cloned();
    let expected = "expected arrays train_images and train_labels, x_train and y_train, or images and labels";
    let mut found: Vec<Pair> = Vec::new();
    for part in PARTS {
        for pair in PAIRS {
            let [images, labels] = pair.map(|name| named(&name.replace("{}", part)));
            match (images, labels) {
                (Some(images), Some(labels)) => {
                    if let Some(other) = found.iter().find(|other| other.part == part) {
                        let what = format!("{} and {images}", other.images);
                        return Err(format!("expected one array of {part} images, found {what}"));
                    }
                    found.push(Pair { part, images, labels });
                }
                (Some(images), None) if part == "train" => {
                    return Err(format!("{expected}, found {images} without its labels"));
                }
                _ => {}
            }
        }
    }
    if found.is_empty() {
        for [images, labels] in SINGLE {
            if let (Some(images), Some(labels)) = (named(images), named(labels)) {
                return Ok(vec![Pair { part: "train", images, labels }]);
            }
        }
    }
    match found.first() {
        Some(first) if first.part == "train" => Ok(found),
        _ => Err(format!("{expected}, found {}", if names.is_empty() { "none".into() } else { some(names) })),
    }
}

/// Images of bytes.
fn stored(path: &Path, shape: [usize; 3], parts: Vec<StoredPart>) -> Vec<Images> {
    let counts: Vec<u32> = parts.iter().map(|part| part.count as u32).collect();
    let store = Arc::new(ArrayStore::new(path.to_path_buf(), shape, parts));
    let mut first = 0;
    let part = |count: u32| {
        let indices = (first..first + count).collect();
        first += count;
        let store: Arc<dyn super::dataset::Store> = Arc::<ArrayStore>::clone(&store);
        Images::Stored(Stored { store, indices, framing: None })
    };
    counts.into_iter().map(part).collect()
}

/// Images of numbers, as the request says or they themselves say what they are.
fn in_memory(
    path: &Path,
    shape: [usize; 3],
    parts: Vec<Vec<f32>>,
    pairs: &[Pair],
    request: &Request,
    diagnostics: &mut Diagnostics,
) -> Result<Vec<Images>> {
    let width: usize = shape.iter().product();
    let numbers = parts.into_iter().zip(pairs).map(|(values, pair)| {
        let place = Box::new(move |at: usize| format!("{}: image {}", pair.images, at / width.max(1)));
        Numbers { path, values, width, place }
    });
    settle(numbers.collect(), None, false, request, diagnostics)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(names: &[&str]) -> Result<Vec<(&'static str, String, String)>, String> {
        let names: Vec<String> = names.iter().map(|name| name.to_string()).collect();
        Ok(pairs(&names)?.into_iter().map(|pair| (pair.part, pair.images, pair.labels)).collect())
    }

    #[test]
    fn arrays_are_recognised_by_their_names_in_any_order() {
        let med = ["val_labels", "test_images", "train_labels", "train_images", "val_images", "test_labels"];
        let parts: Vec<&str> = found(&med).unwrap().iter().map(|(part, ..)| *part).collect();
        assert_eq!(parts, ["train", "val", "test"]);
        let keras = found(&["x_test", "x_train", "y_train", "y_test"]).unwrap();
        assert_eq!(keras[1], ("test", "x_test".into(), "y_test".into()));
        assert_eq!(found(&["X_train", "Y_train"]).unwrap()[0].1, "X_train");
        assert_eq!(found(&["images", "labels"]).unwrap().len(), 1);
        for wrong in [&["x_train"][..], &["x_test", "y_test"], &["arr_0", "arr_1"], &[]] {
            assert!(found(wrong).is_err(), "{wrong:?}");
        }
        assert!(found(&["x_train", "y_train", "train_images", "train_labels"]).is_err());
    }
}
