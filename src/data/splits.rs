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
    /// Where the samples come from; `None` for samples that no file holds.
    pub origin: Option<Arc<Origin>>,
}

impl Splits {
    /// Samples to train on and to validate on that come from no file.
    pub fn new(train: Arc<Dataset>, val: Arc<Dataset>) -> Splits {
        Splits { train, val, origin: None }
    }

    /// Samples that are trained and validated on alike.
    pub fn of(samples: Arc<Dataset>) -> Splits {
        Splits::new(Arc::clone(&samples), samples)
    }

    /// Whether the samples that validate are those that are trained on.
    pub fn validates_on_training(&self) -> bool {
        let is_all = |origin: &Arc<Origin>| origin.provenance.division == Division::All;
        Arc::ptr_eq(&self.train, &self.val) || self.origin.as_ref().is_some_and(is_all)
    }

    /// An error if a program for an input of `input` cannot take both parts: without views, both have its size.
    pub(super) fn check_shapes(&self, input: [usize; 3]) -> Result<()> {
        if self.pixels(input).is_some() || (self.train.shape == input && self.val.shape == input) {
            return Ok(());
        }
        let (train, val) = (shape_text(self.train.shape), shape_text(self.val.shape));
        let what = format!(
            "expected training and validation pictures of one size and kind, found {train} and {val}"
        );
        Err(Error::data(&self.train.name, what))
    }

    /// Size of the stored pictures, channels, height and width, if all are pixels that can be looked at through views as
    /// an input of `input`; else the host makes the input.
    pub fn pixels(&self, input: [usize; 3]) -> Option<[usize; 3]> {
        let of = |dataset: &Dataset| {
            (dataset.has_pixels() && check_kind(dataset.shape, input).is_ok()).then_some(dataset.shape)
        };
        of(&self.train).filter(|shape| of(&self.val) == Some(*shape))
    }
}
