//! What the numbers of a table or of `f32` tensors are. A model with `[preprocess]` turns pixels into network input, so
//! numbers for it are pixels, pixels in another scale, or network input already; only whole numbers of a table are taken for
//! pixels unless the request says so.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;
use std::str::FromStr;

/// What numbers stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum InputRange {
    /// Pixel values 0 to 255: scale, mean and standard deviation of `[preprocess]` apply.
    #[serde(rename = "0..255")]
    Pixels,
    /// Pixel values divided by 255, 0 to 1: they are multiplied by 255, then `[preprocess]` applies.
    #[serde(rename = "0..1")]
    Unit,
    /// Network input, used unchanged.
    #[serde(rename = "ready")]
    Ready,
}

impl InputRange {
    /// Every range with its name in flags and files.
    pub const NAMES: [(InputRange, &'static str); 3] =
        [(InputRange::Pixels, "0..255"), (InputRange::Unit, "0..1"), (InputRange::Ready, "ready")];
}

impl fmt::Display for InputRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(InputRange::NAMES.iter().find(|(range, _)| range == self).map_or("", |(_, name)| name))
    }
}

impl FromStr for InputRange {
    type Err = Error;

    fn from_str(text: &str) -> Result<InputRange> {
        let found = InputRange::NAMES.iter().find(|(_, name)| *name == text).map(|(range, _)| *range);
        found.ok_or_else(|| {
            Error::Usage(format!("input-range: expected 0..255, 0..1 or ready, found \"{text}\""))
        })
    }
}

/// An error if `range` was declared for images that are bytes, where it could only be pixels.
pub(super) fn check_bytes(range: Option<InputRange>, path: &Path) -> Result<()> {
    match range {
        None | Some(InputRange::Pixels) => Ok(()),
        Some(range) => Err(Error::data(
            path,
            format!("expected numbers for --input-range {range}, found bytes, which are pixels 0..255"),
        )),
    }
}
