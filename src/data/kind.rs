//! The names of the data set formats.

use crate::error::{Error, Result};
use std::fmt;
use std::str::FromStr;

/// A format of data sets, as `--dataset` names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// Determined by looking at the path.
    #[default]
    Auto,
    ImageFolder,
    Idx,
    Cifar10,
    Cifar100,
    Stl10,
    Packed,
    Tensors,
    Csv,
    Parquet,
    Npz,
    Tar,
    List,
    Synthetic,
}

impl Kind {
    /// Every kind with its name on the command line.
    pub const NAMES: [(Kind, &'static str); 14] = [
        (Kind::Auto, "auto"),
        (Kind::ImageFolder, "image-folder"),
        (Kind::Idx, "idx"),
        (Kind::Cifar10, "cifar10"),
        (Kind::Cifar100, "cifar100"),
        (Kind::Stl10, "stl10"),
        (Kind::Packed, "packed"),
        (Kind::Tensors, "tensors"),
        (Kind::Csv, "csv"),
        (Kind::Parquet, "parquet"),
        (Kind::Npz, "npz"),
        (Kind::Tar, "tar"),
        (Kind::List, "list"),
        (Kind::Synthetic, "synthetic"),
    ];

    /// Whether its samples are rows with a column of images, or of the names of their files, that a request may name.
    pub fn has_image_column(self) -> bool {
        matches!(self, Kind::Parquet | Kind::Tar | Kind::List)
    }

    /// Whether its images may be numbers whose range has to be known.
    pub fn may_have_numbers(self) -> bool {
        matches!(self, Kind::Csv | Kind::Tensors | Kind::Npz)
    }

    /// Whether its images always lie in memory, with sides that a request may have change places.
    pub fn has_transpose(self) -> bool {
        matches!(self, Kind::Idx | Kind::Tensors | Kind::Csv)
    }

    /// Whether it names image files in a folder that a request may name.
    pub fn has_image_root(self) -> bool {
        matches!(self, Kind::List)
    }

    /// Whether its samples are rows with a column of labels that a request may name.
    pub fn has_label_column(self) -> bool {
        matches!(self, Kind::Csv | Kind::Parquet | Kind::Tar | Kind::List)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Kind::NAMES.iter().find(|(kind, _)| kind == self).map_or("", |(_, name)| name);
        f.pad(name)
    }
}

impl FromStr for Kind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Kind> {
        if let Some((kind, _)) = Kind::NAMES.iter().find(|(_, name)| *name == text) {
            return Ok(*kind);
        }
        let names: Vec<_> = Kind::NAMES.iter().map(|(_, name)| *name).collect();
        let nearest = names.iter().max_by(|a, b| {
            let likeness = |name: &str| strsim::jaro_winkler(name, text);
            likeness(a).total_cmp(&likeness(b))
        });
        Err(Error::Usage(format!(
            "dataset: expected one of {}, found \"{text}\" (did you mean \"{}\"?)",
            names.join(", "),
            nearest.unwrap_or(&"auto")
        )))
    }
}
