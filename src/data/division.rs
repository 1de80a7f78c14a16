//! How a data set is divided into training and validation samples.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// Which samples are for validation. Samples are numbered through the training files, then the validation files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "part", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Division {
    /// The data's own validation part.
    Validation,
    /// A share of the training files, 0 to 1 (exclusive), drawn by `seed`.
    HeldOut {
        share: f32,
        seed: u64,
        /// How it is drawn: 1 from all samples alike, 2 class by class ([`Division::VERSION`]).
        version: u32,
    },
    /// The first `train` samples are for training, the next `val` for validation.
    Counts { train: usize, val: usize },
    /// Nothing is held out: all samples are for training and for validation.
    All,
}

impl Division {
    /// The version of new divisions. Version 1 ignored the classes.
    pub const VERSION: u32 = 2;

    /// An error that says which field is out of range.
    pub fn check(&self) -> Result<()> {
        match *self {
            Division::HeldOut { share, .. } if !(share > 0.0 && share < 1.0) => {
                Err(Error::Usage(format!("val-split: expected 0 to below 1, found {share}")))
            }
            Division::HeldOut { version, .. } if !(1..=Division::VERSION).contains(&version) => {
                let newest = Division::VERSION;
                Err(Error::Usage(format!("split version: expected 1 to {newest}, found {version}")))
            }
            _ => Ok(()),
        }
    }
}
