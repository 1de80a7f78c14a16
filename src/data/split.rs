//! Divides a data set into training and validation samples: the data's own validation part, a share drawn by a seed, or
//! numbers of samples in the data's own order. A division depends only on the labels, so it can be repeated wherever the same
//! data is opened.

use super::dataset::{Dataset, Images, Labels, Stored};
use super::division::Division;
use super::origin::Fingerprint;
use super::raw::RawSplit;
use super::stratify::{drawn_by_class, drawn_evenly};
use crate::error::{Error, Result};
use std::fmt;
use std::sync::Arc;

/// The samples of a data set before they are divided.
pub struct Pool<'a> {
    pub(super) train: &'a RawSplit,
    pub(super) val: Option<&'a Dataset>,
    pub(super) data: &'a Fingerprint,
}

impl fmt::Debug for Pool<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("data", self.data).finish_non_exhaustive()
    }
}

impl Pool<'_> {
    /// Whether the data has its own validation part.
    pub fn has_validation(&self) -> bool {
        self.val.is_some()
    }

    /// Samples of the training files.
    pub fn training_len(&self) -> usize {
        self.train.dataset.len()
    }

    /// The fingerprint by which the data is recognised.
    pub fn data(&self) -> &Fingerprint {
        self.data
    }

    /// The numbers of the training and of the validation samples, at most `limits` of them: the first, or, where images are
    /// read one by one and lie class by class, evenly spread ones.
    ///
    /// An error if there are fewer samples than the division needs.
    pub fn divide(&self, division: &Division, limits: [Option<usize>; 2]) -> Result<[Vec<u32>; 2]> {
        division.check()?;
        let own = self.train.dataset.len();
        let all = own + self.val.map_or(0, Dataset::len);
        let range = |from: usize, to: usize| (from as u32..to as u32).collect::<Vec<_>>();
        let [mut train, mut val] = match *division {
            Division::Validation => [range(0, own), range(own, all)],
            Division::HeldOut { share, seed, version } => self.drawn(share, seed, version)?,
            Division::Counts { train, val } => {
                let fault = |what: String| Error::data(&self.train.labels_path, format!("split: {what}"));
                if matches!(self.train.dataset.images, Images::Stored(_)) {
                    return Err(fault(
                        "expected a format that lies in memory; for images in files use val-split".into(),
                    ));
                }
                let wanted = train.checked_add(val).filter(|&wanted| wanted <= all).ok_or_else(|| {
                    fault(format!("expected at least {train} + {val} samples, found {all}"))
                })?;
                [range(0, train), range(train, wanted)]
            }
            Division::All => [range(0, all), Vec::new()],
        };
        let is_stored = matches!(self.train.dataset.images, Images::Stored(_));
        limit(&mut train, limits[0], is_stored);
        if *division == Division::All {
            val.clone_from(&train);
        }
        limit(&mut val, limits[1], is_stored);
        Ok([train, val])
    }

    fn drawn(&self, share: f32, seed: u64, version: u32) -> Result<[Vec<u32>; 2]> {
        let count = self.train.dataset.len();
        if count < 2 {
            return Err(Error::data(
                &self.train.labels_path,
                format!(
                    "expected at least 2 samples to hold some back for validation, found {count} (or use --val-split 0)"
                ),
            ));
        }
        let held = ((count as f64 * f64::from(share)).round() as usize).clamp(1, count - 1);
        Ok(match &self.train.dataset.labels {
            Labels::Classes(labels) if version > 1 => drawn_by_class(labels, held, seed),
            _ => drawn_evenly(count, held, seed),
        })
    }
}

/// Reduces `samples` to `count`.
fn limit(samples: &mut Vec<u32>, count: Option<usize>, is_spread: bool) {
    let len = samples.len();
    let Some(count) = count.filter(|&count| count < len) else { return };
    if is_spread {
        *samples = (0..count).map(|i| samples[(i as u64 * len as u64 / count as u64) as usize]).collect();
    }
    samples.truncate(count);
}

/// The samples of both parts that `numbers` names, as [`Pool::divide`] gave them.
pub(super) fn select(
    train: RawSplit,
    val: Option<Dataset>,
    division: &Division,
    numbers: &[Vec<u32>; 2],
) -> Result<[Arc<Dataset>; 2]> {
    let fault = |what: &str| Err(Error::data(&train.labels_path, format!("split: {what}")));
    let own = train.dataset.len() as u32;
    let [first, second] = numbers;
    match (division, val) {
        (Division::Validation, None) => fault("expected data with a validation part, found none"),
        (Division::Validation, Some(val)) => {
            let second: Vec<u32> = second.iter().map(|number| number - own).collect();
            Ok([Arc::new(take(train.dataset, first)), Arc::new(take(val, &second))])
        }
        (Division::HeldOut { .. }, _) => {
            let held_back = train.dataset.clone().select(second);
            Ok([Arc::new(take(train.dataset, first)), Arc::new(held_back)])
        }
        (Division::Counts { .. } | Division::All, val) => {
            let all = match val {
                None => train.dataset,
                Some(val) => match joined(train.dataset, val) {
                    Some(all) => all,
                    None => {
                        let what = "expected validation samples of the training samples' kind and size, found others";
                        return Err(Error::data(&train.labels_path, format!("split: {what}")));
                    }
                },
            };
            if first == second {
                let all = Arc::new(take(all, first));
                return Ok([Arc::clone(&all), all]);
            }
            let second = all.clone().select(second);
            Ok([Arc::new(take(all, first)), Arc::new(second)])
        }
    }
}

/// `dataset` with only these samples; nothing is copied where they are its first.
fn take(dataset: Dataset, samples: &[u32]) -> Dataset {
    if samples.iter().enumerate().all(|(place, &sample)| place as u32 == sample) {
        return if samples.len() == dataset.len() { dataset } else { dataset.first(samples.len()) };
    }
    dataset.select(samples)
}

/// The samples of both, if they are alike and lie in memory or in one store.
fn joined(mut first: Dataset, second: Dataset) -> Option<Dataset> {
    match (&mut first.images, second.images) {
        (Images::U8(all), Images::U8(more)) if first.shape == second.shape => all.extend(more),
        (Images::F32(all), Images::F32(more)) | (Images::Levels(all), Images::Levels(more))
            if first.shape == second.shape =>
        {
            all.extend(more);
        }
        (Images::Stored(all), Images::Stored(Stored { store, indices, framing }))
            if first.shape == second.shape && all.framing == framing && Arc::ptr_eq(&all.store, &store) =>
        {
            all.indices.extend(indices);
        }
        _ => return None,
    }
    match (&mut first.labels, second.labels) {
        (Labels::Classes(all), Labels::Classes(more)) => all.extend(more),
        (Labels::Values { width, values }, Labels::Values { width: same, values: more })
            if *width == same =>
        {
            values.extend(more);
        }
        _ => return None,
    }
    Some(first)
}
