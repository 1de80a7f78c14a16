//! A survey of a data set before training: statistics of the pixels, samples per class, duplicate images.

use super::dataset::{Dataset, Labels};
use super::scan::{Scan, ScanObserver, with_threads};
use super::splits::Splits;
use super::statistics::{Moments, Statistics};
use crate::error::{Error, Result};
use std::sync::Arc;

/// Pairs of equal images that are named; of the others only the number is reported.
const NAMED: usize = 20;

/// The results of a survey.
#[derive(Clone, Debug)]
pub struct Survey {
    /// Of the training pixels.
    pub statistics: Statistics,
    /// Training and validation images of each class, unreadable ones left out.
    pub classes: Vec<[usize; 2]>,
    /// Images that cannot be read.
    pub unreadable: usize,
    /// Training images equal to an earlier training image.
    pub repeated: Copies,
    /// Validation images equal to a training image, so that they measure what was learnt by heart.
    pub leaked: Copies,
}

/// Equal images, pixel by pixel (by XXH3-64 of their bytes).
#[derive(Clone, Debug, Default)]
pub struct Copies {
    pub count: usize,
    /// How many of them have another class than the image that they equal.
    pub of_another_class: usize,
    /// The first 20.
    pub pairs: Vec<Pair>,
}

/// Two equal images: files, or places in their parts of the data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    pub image: String,
    pub equals: String,
}

impl Survey {
    /// Images that could be read: training, validation.
    pub fn counts(&self) -> [usize; 2] {
        self.classes.iter().fold([0; 2], |[train, val], class| [train + class[0], val + class[1]])
    }
}

/// Reads every image of `splits` with `workers` threads (0: those of the program). `watch` decides about images
/// that cannot be read. If both parts are the same data set, it counts as training part.
///
/// Errors: images that are not pixels of 1 or 3 channels, labels that are not classes.
pub fn survey(splits: &Splits, workers: usize, watch: &mut dyn ScanObserver) -> Result<Survey> {
    let mut parts = vec![splits.train.as_ref()];
    if !Arc::ptr_eq(&splits.train, &splits.val) {
        parts.push(&splits.val);
    }
    let mut moments = Moments::default();
    let mut classes = vec![[0; 2]; splits.train.classes];
    let mut images: [Vec<(u64, u32)>; 2] = Default::default();
    let mut pass = Scan::new(watch, parts.iter().map(|part| part.len()).sum());
    for (number, (dataset, images)) in parts.iter().zip(&mut images).enumerate() {
        let labels = labels(dataset)?;
        let samples: Vec<u32> = (0..dataset.len() as u32).collect();
        with_threads(workers, || {
            pass.scan(dataset, &samples, |image| {
                images.push((image.hash, image.sample as u32));
                if let Some(class) = classes.get_mut(labels[image.sample] as usize) {
                    class[number] += 1;
                }
                if number == 0 {
                    moments.add(image.moments);
                }
                Ok(())
            })
        })?;
    }
    let unreadable = pass.skipped;
    let [mut train, val] = images;
    // Equal images lie side by side, the first of them first.
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
        repeated: Copies::of(&repeated, &splits.train, &splits.train, "training image")?,
        leaked: Copies::of(&leaked, &splits.val, &splits.train, "validation image")?,
    })
}

impl Copies {
    /// `pairs` of a sample of `from` and the training sample that it equals.
    fn of(pairs: &[(u32, u32)], from: &Dataset, train: &Dataset, what: &str) -> Result<Copies> {
        let (copies, originals) = (labels(from)?, labels(train)?);
        let differ = |&&(a, b): &&(u32, u32)| copies[a as usize] != originals[b as usize];
        let name = |dataset: &Dataset, sample: u32, what: &str| {
            dataset.sample_name(sample as usize).unwrap_or_else(|| format!("{what} {sample}"))
        };
        let named = pairs.iter().take(NAMED).map(|&(copy, original)| Pair {
            image: name(from, copy, what),
            equals: name(train, original, "training image"),
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
