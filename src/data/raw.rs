//! What a reader returns: samples with their files. They are then compared with a model.

use super::augment::{check_kind, check_size};
use super::dataset::{Dataset, Labels, check_labels, shape_text};
use super::framing::Fit;
use super::request::ModelShape;
use crate::error::{Error, Result};
use std::path::PathBuf;

/// The two parts of a data set as a reader returns them; classes have no names yet.
pub(super) struct RawSplits {
    pub train: RawSplit,
    pub val: Option<RawSplit>,
}

/// Samples with the files that they come from, for error messages.
pub(super) struct RawSplit {
    pub dataset: Dataset,
    pub images_path: PathBuf,
    pub labels_path: PathBuf,
}

impl RawSplit {
    pub fn largest_class(&self) -> Option<u32> {
        match &self.dataset.labels {
            Labels::Classes(classes) => classes.iter().copied().max(),
            Labels::Values { .. } => None,
        }
    }

    /// Checks the samples against the model's input and outputs.
    pub fn fit(&mut self, ModelShape { input: wanted, outputs, resize, fit, .. }: ModelShape) -> Result<()> {
        let found = self.dataset.shape;
        // A row of features and an image with the same number of pixels are the same numbers in the same order.
        let flat = |shape: [usize; 3]| shape[1] == 1 && shape[2] == 1;
        let same_numbers = found.iter().product::<usize>() == wanted.iter().product::<usize>();
        if self.dataset.has_pixels() && check_kind(found, wanted).is_ok() && resize.is_some() {
            // Only views cannot show images that are much too large.
            if fit == Fit::Covered {
                check_size(found, wanted, resize).map_err(|what| Error::data(&self.images_path, what))?;
            }
        } else if found == wanted || (same_numbers && (flat(found) || flat(wanted))) {
            self.dataset.shape = wanted;
        } else if self.dataset.framing().is_none()
            && (!self.dataset.has_pixels() || check_size(found, wanted, resize).is_err())
        {
            let [height, width, channels] = found;
            let hint = match [channels, height, width] == wanted {
                true => ", which looks like height x width x channels",
                false => "",
            };
            return Err(Error::data(
                &self.images_path,
                format!(
                    "expected images of {} as the model takes them, found {}{hint}",
                    shape_text(wanted),
                    shape_text(found)
                ),
            ));
        }
        self.fit_labels(outputs)
    }

    fn fit_labels(&self, outputs: usize) -> Result<()> {
        match &self.dataset.labels {
            Labels::Values { width, .. } if *width != outputs => Err(Error::data(
                &self.labels_path,
                format!("expected {outputs} values per label (the model's outputs), found {width}"),
            )),
            _ => self.fit_classes(outputs, "the model's outputs"),
        }
    }

    pub fn fit_classes(&self, classes: usize, whose: &str) -> Result<()> {
        match &self.dataset.labels {
            Labels::Classes(labels) => check_labels(labels, classes, whose, &self.labels_path),
            Labels::Values { .. } => Ok(()),
        }
    }

    /// Gives classes their names; values have none.
    pub fn name_classes(&mut self, names: &[String]) -> Result<()> {
        if let Labels::Classes(labels) = &self.dataset.labels {
            check_labels(labels, names.len(), "class names", &self.labels_path)?;
            self.dataset.classes = names.len();
            self.dataset.class_names = names.to_vec();
        }
        Ok(())
    }
}
