//! What there is to know about a data set before training on it: statistics of the pixels, how the classes are filled,
//! which pictures are there twice.

use super::dataset::{Dataset, Labels};
use super::scan::{Scan, ScanObserver, with_threads};
use super::splits::Splits;
use super::statistics::{Moments, Statistics};
use crate::error::{Error, Result, printable_path};
use std::sync::Arc;

/// Pairs of equal pictures that are named; of the others only the number is told.
const NAMED: usize = 20;

/// What was found out.
#[derive(Clone, Debug)]
pub struct Survey {
    /// Of the training pixels.
    pub statistics: Statistics,
    /// Training and validation pictures of each class, unreadable ones left out.
    pub classes: Vec<[usize; 2]>,
    /// Pictures that cannot be read.
    pub unreadable: usize,
    /// Training pictures equal to an earlier training picture.
    pub repeated: Copies,
    /// Validation pictures equal to a training picture, so that they measure what was learnt by heart.
    pub leaked: Copies,
}

/// Equal pictures, pixel by pixel (by XXH3-64 of their bytes).
#[derive(Clone, Debug, Default)]
pub struct Copies {
    pub count: usize,
    /// How many of them have another class than the picture that they equal.
    pub of_another_class: usize,
    /// The first 20.
    pub pairs: Vec<Pair>,
}

/// Two equal pictures: files, or places in their parts of the data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    pub picture: String,
    pub equals: String,
}

impl Survey {
    /// Pictures that could be read: training, validation.
    pub fn counts(&self) -> [usize; 2] {
        self.classes.iter().fold([0; 2], |[train, val], class| [train + class[0], val + class[1]])
    }
}

/// Reads every picture of `splits` with `workers` threads (0: those of the program). `watch` decides about pictures
/// that cannot be read. If both parts are the same data set, it counts as training part.
///
/// Errors: images that are not pixels of 1 or 3 channels, labels that are no classes.
pub fn survey(splits: &Splits, workers: usize, watch: &mut dyn ScanObserver) -> Result<Survey> {
    let mut parts = vec![splits.train.as_ref()];
    if !Arc::ptr_eq(&splits.train, &splits.val) {
        parts.push(&splits.val);
    }
    let mut moments = Moments::default();
    let mut classes = vec![[0; 2]; splits.train.classes];
    let mut pictures: [Vec<(u64, u32)>; 2] = Default::default();
    let mut pass = Scan::new(watch, parts.iter().map(|part| part.len()).sum());
    for (number, (dataset, pictures)) in parts.iter().zip(&mut pictures).enumerate() {
        let labels = labels(dataset)?;
        let samples: Vec<u32> = (0..dataset.len() as u32).collect();
        with_threads(workers, || {
            pass.scan(dataset, &samples, |picture| {
                pictures.push((picture.hash, picture.sample as u32));
                if let Some(class) = classes.get_mut(labels[picture.sample] as usize) {
                    class[number] += 1;
                }
                if number == 0 {
                    moments.add(picture.moments);
                }
                Ok(())
            })
        })?;
    }
    let unreadable = pass.skipped;
    let [mut train, val] = pictures;
    // Equal pictures lie side by side, the first of them first.
    train.sort_unstable();
    let mut repeated: Vec<_> = train
        .chunk_by(|a, b| a.0 == b.0)
        .flat_map(|equal| equal[1..].iter().map(|copy| (copy.1, equal[0].1)))
        .collect();
    repeated.sort_unstable();
    let original = |&(hash, sample): &(u64, u32)| {
        let first = train.partition_point(|known| known.0 < hash);
        train.get(first).filter(|known| known.0 == hash).map(|known| (sample, known.1))
    };
    let leaked: Vec<_> = val.iter().filter_map(original).collect();
    Ok(Survey {
        statistics: moments.statistics(splits.train.shape[0]),
        classes,
        unreadable,
        repeated: Copies::of(&repeated, &splits.train, &splits.train, "training picture")?,
        leaked: Copies::of(&leaked, &splits.val, &splits.train, "validation picture")?,
    })
}

impl Copies {
    /// `pairs` of a sample of `from` and the training sample that it equals.
    fn of(pairs: &[(u32, u32)], from: &Dataset, train: &Dataset, what: &str) -> Result<Copies> {
        let (copies, originals) = (labels(from)?, labels(train)?);
        let differ = |&&(a, b): &&(u32, u32)| copies[a as usize] != originals[b as usize];
        let name = |dataset: &Dataset, sample: u32, what: &str| match dataset.file(sample as usize) {
            Some(path) => printable_path(&path),
            None => format!("{what} {sample}"),
        };
        let named = pairs.iter().take(NAMED).map(|&(copy, original)| Pair {
            picture: name(from, copy, what),
            equals: name(train, original, "training picture"),
        });
        Ok(Copies {
            count: pairs.len(),
            of_another_class: pairs.iter().filter(differ).count(),
            pairs: named.collect(),
        })
    }
}

/// The classes of a data set of pixels.
fn labels(dataset: &Dataset) -> Result<&[u32]> {
    let wrong = |message: String| Err(Error::data(&dataset.name, message));
    match (&dataset.labels, dataset.shape[0]) {
        _ if !dataset.has_pixels() => wrong("expected pixels (bytes), found f32 images".into()),
        (Labels::Values { .. }, _) => wrong("expected classes as labels, found values".into()),
        (Labels::Classes(labels), 1 | 3) => Ok(labels),
        (_, channels) => wrong(format!("expected pixels of 1 or 3 channels, found {channels} channels")),
    }
}
