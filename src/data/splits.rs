//! The training and validation samples of a run.

use super::augment::check_kind;
use super::dataset::{Dataset, shape_text};
use super::division::Division;
use super::origin::Origin;
use crate::error::{Error, Result};
use std::sync::Arc;

/// The two parts of a data set.
#[derive(Clone, Debug)]
pub struct Splits {
    pub train: Arc<Dataset>,
    pub val: Arc<Dataset>,
    /// The origin of the samples; `None` for samples that come from no file.
    pub origin: Option<Arc<Origin>>,
}

impl Splits {
    /// Samples for training and validation that come from no file.
    pub fn new(train: Arc<Dataset>, val: Arc<Dataset>) -> Splits {
        Splits { train, val, origin: None }
    }

    /// The same samples for training and validation.
    pub fn of(samples: Arc<Dataset>) -> Splits {
        Splits::new(Arc::clone(&samples), samples)
    }

    /// Whether the validation samples are the training samples.
    pub fn validates_on_training(&self) -> bool {
        let is_all = |origin: &Arc<Origin>| origin.provenance.division == Division::All;
        Arc::ptr_eq(&self.train, &self.val) || self.origin.as_ref().is_some_and(is_all)
    }

    /// An error if a program for `input` cannot read both parts; without views, both must have its shape.
    pub(super) fn check_shapes(&self, input: [usize; 3]) -> Result<()> {
        if self.pixels(input).is_some() || (self.train.shape == input && self.val.shape == input) {
            return Ok(());
        }
        let (train, val) = (shape_text(self.train.shape), shape_text(self.val.shape));
        let what =
            format!("expected training and validation images of one size and kind, found {train} and {val}");
        Err(Error::data(&self.train.name, what))
    }

    /// Channels, height and width of the stored images if all are 8-bit images that views can turn into an input of `input`;
    /// otherwise the host computes the input.
    pub fn pixels(&self, input: [usize; 3]) -> Option<[usize; 3]> {
        let of = |dataset: &Dataset| {
            (dataset.has_pixels() && check_kind(dataset.shape, input).is_ok()).then_some(dataset.shape)
        };
        of(&self.train).filter(|shape| of(&self.val) == Some(*shape))
    }
}
