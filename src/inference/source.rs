//! The data that a network is run on: options that name and divide it, completed by what its weights record
//! of their own data.

use super::lineage::{Lineage, PastRun};
use super::messages::{Messages, quoted};
use super::preprocess::{image_shape, wanted};
use super::text;
use super::weights::geometry;
use crate::data::{self, Division, Fingerprint, InputRange, Kind, Pool, Request, Splits};
use crate::error::{Error, Result, printable};
use crate::interchange::File;
use crate::model::Spec;
use crate::view::Rules;
use serde::{Deserialize, Serialize};

/// The network where neither a network nor data is named.
pub const DEFAULT_MODEL: &str = "alexnet-mini";

/// Which data to open, and how to divide and read it. The default is the data that the recipe names, else the set that
/// ships, whole.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct DataOptions {
    /// A folder, a file or the name of a built-in set.
    pub path: Option<String>,
    #[serde(with = "text")]
    pub kind: Kind,
    /// What the numbers of a table or of `f32` tensors are.
    pub input_range: Option<InputRange>,
    /// The column that holds the images, where samples are rows: its name, in lists also its number from 1. In tar files, the
    /// end of the images' names.
    pub image_column: Option<String>,
    /// The column that holds the labels, where samples are rows: its name, in CSV files and lists also its number from 1. In
    /// tar files, a field of `.json`.
    pub label_column: Option<String>,
    /// The folder that the file names of a list are relative to.
    pub image_root: Option<String>,
    /// Whether height and width of images in memory change places.
    pub transpose: Option<bool>,
    /// Share of the training samples that is held out for validation, where the data has no validation part.
    pub val_split: Option<f32>,
    /// Train on the first samples and validate on the next, of all that there are.
    pub split: Option<[usize; 2]>,
    /// Use only so many training samples.
    pub limit_train: Option<usize>,
    /// Use only so many validation samples.
    pub limit_val: Option<usize>,
    /// Ignore the orientation in EXIF metadata.
    pub ignore_exif: bool,
}

impl DataOptions {
    /// The data at `path`: a folder, a file or the name of a built-in set.
    pub fn at(path: impl Into<String>) -> DataOptions {
        DataOptions { path: Some(path.into()), ..DataOptions::default() }
    }

    /// The same, with at most `train` training and `val` validation samples.
    pub fn with_limits(mut self, train: Option<usize>, val: Option<usize>) -> DataOptions {
        (self.limit_train, self.limit_val) = (train, val);
        self
    }

    /// The same, read as `kind`.
    pub fn with_kind(mut self, kind: Kind) -> DataOptions {
        self.kind = kind;
        self
    }

    /// The same, with the share `share` of the training samples held out, where there is no validation part.
    pub fn with_val_split(mut self, share: f32) -> DataOptions {
        self.val_split = Some(share);
        self
    }

    /// Whether the options say how samples are divided.
    pub fn divides(&self) -> bool {
        self.val_split.is_some() || self.split.is_some()
    }

    /// Whether the options say which data is meant.
    pub fn is_named(&self) -> bool {
        self.path.is_some() || self.kind != Kind::Auto
    }

    /// Where the data lies that `spec` is run on; `None` for the set that ships.
    pub fn place<'a>(&'a self, spec: &'a Spec) -> Option<&'a str> {
        self.path.as_deref().or(spec.recipe.data.as_deref())
    }

    /// What to open for `spec`; with `follow_classes` there may be more named classes than the network has outputs.
    pub fn request(&self, spec: &Spec, seed: u64, follow_classes: bool) -> Result<Request> {
        Ok(Request {
            path: self.place(spec).map(String::from),
            kind: self.kind,
            val_split: self.val_split,
            counts: self.split,
            limit_train: self.limit_train,
            limit_val: self.limit_val,
            seed,
            image_shape: image_shape(spec),
            ignore_exif: self.ignore_exif || spec.geometry.ignore_exif,
            model: Some(wanted(spec, follow_classes)?),
            has_preprocess: spec.has_preprocess(),
            input_range: self.input_range,
            presumed_range: None,
            image_column: self.image_column.clone(),
            label_column: self.label_column.clone(),
            image_root: self.image_root.clone(),
            transpose: self.transpose,
            transposed_run: None,
            for_training: false,
        })
    }

    /// An error if the weights were trained on other data than the one that is taken where none is named.
    pub(crate) fn expect_named(
        &self,
        lineage: &Lineage,
        found: &Fingerprint,
        messages: &dyn Messages,
    ) -> Result<()> {
        match lineage.runs().first() {
            Some(run) if !self.is_named() => Err(Error::Usage(format!(
                "{}: the weights were trained on {}, which {} is not; name the data to use",
                messages.option("data-path"),
                run.name(),
                found.name
            ))),
            _ => Ok(()),
        }
    }

    /// `error` of opening data. If the data was not named, the error says that weights that were trained on other data need
    /// it named.
    pub(crate) fn unnamed(&self, lineage: &Lineage, error: Error, messages: &dyn Messages) -> Error {
        match lineage.runs().first() {
            Some(run) if !self.is_named() && matches!(error, Error::Data { .. }) => Error::Usage(format!(
                "{}: the weights were trained on {}; name the data to use (the data taken without it does not fit: {error})",
                messages.option("data-path"),
                run.name()
            )),
            _ => error,
        }
    }

    pub(crate) fn note_unused(&self, division: &Division, messages: &dyn Messages) {
        if self.val_split.is_some() && *division == Division::Validation {
            let option = messages.option("val-split");
            messages.note(&format!("note: {option} is not used: the data has its own validation part"));
        }
    }
}

/// Completes `request` with what the newest run of `lineage` recorded about such data.
pub(crate) fn remember(request: &mut Request, lineage: &Lineage, messages: &dyn Messages) {
    let Some(PastRun::Known(run)) = lineage.runs().first() else { return };
    // Opening the data says what is wrong with its place.
    let Ok(place) = data::find(request.path.as_deref(), request.kind) else { return };
    // A column of one format (a number, a field of `.json`) means nothing in another.
    let is_same_kind = run.data.kind == place.kind.to_string();
    for (has_one, name, what, wanted, recorded) in [
        (
            place.kind.has_image_column(),
            "image-column",
            "image",
            &mut request.image_column,
            &run.image_column,
        ),
        (
            place.kind.has_label_column(),
            "label-column",
            "label",
            &mut request.label_column,
            &run.label_column,
        ),
    ] {
        if let (true, None, Some(column)) = (is_same_kind && has_one, &wanted, recorded) {
            let option = messages.option(name);
            messages
                .note(&format!("data: the {what} is {option} {}, as in the weights' run", quoted(column)));
            *wanted = Some(column.clone());
        }
    }
    if place.kind.has_transpose() && run.transpose {
        request.transposed_run = Some(run.data.clone());
    } else if run.transpose {
        messages.note(&format!(
            "note: the weights' run had the images of {} transposed; data of the format {} is taken as it lies",
            printable(&run.data.name),
            place.kind
        ));
    }
    if place.kind.may_have_numbers() && request.input_range.is_none() {
        request.presumed_range = run.input_range;
    }
}

/// A usage error if the weights in `file` are of a version that took the numbers of tables as they are, and those of
/// `splits` were taken for pixels without a declaration.
pub(crate) fn check_old_numbers(
    file: &File,
    lineage: &Lineage,
    splits: &Splits,
    messages: &dyn Messages,
) -> Result<()> {
    let had_numbers = match lineage.runs().first() {
        Some(PastRun::Known(run)) => {
            [Kind::Csv, Kind::Tensors].iter().any(|kind| run.data.kind == kind.to_string())
        }
        // They do not say what they were trained on.
        Some(PastRun::Named { .. }) | None => true,
    };
    let is_old = geometry(file)?.rules == Rules::Covered;
    if !is_old || !had_numbers || !assumes_pixels(splits) {
        return Ok(());
    }
    Err(Error::Usage(format!(
        "{}: weights of Striate 0.1.0 were trained on a table's numbers as they are; pass ready for such weights, \
         0..255 for pixels",
        messages.option("input-range")
    )))
}

/// Whether the numbers of `splits` were taken for pixels without a declaration.
pub(crate) fn assumes_pixels(splits: &Splits) -> bool {
    splits.origin.as_ref().is_some_and(|origin| origin.assumes_pixels(&splits.train))
}

/// A remark where the division of a run's samples is assumed.
pub(crate) fn assumed_division(run: &PastRun) -> Option<String> {
    let PastRun::Named { name, .. } = run else { return None };
    Some(format!(
        "note: the weights do not say how {name} was divided; assuming the default of their version"
    ))
}

/// How many of `numbers` are among `trained`, which rise.
pub(crate) fn overlap(trained: &[u32], numbers: &[u32]) -> usize {
    numbers.iter().filter(|number| trained.binary_search(number).is_ok()).count()
}

/// The division of a run that is resumed: its own, unless options say how to divide; drawn in the way that it was drawn.
pub(crate) fn resumed_division(
    own: Option<&PastRun>,
    usual: Division,
    is_asked: bool,
    pool: &Pool<'_>,
) -> Division {
    let known = match own {
        Some(PastRun::Known(provenance)) => Some(provenance),
        _ => None,
    };
    if let Some(provenance) = known.filter(|known| !is_asked && known.data.is_same(pool.data())) {
        return provenance.division.clone();
    }
    let drawn = match known.map(|known| &known.division) {
        Some(&Division::HeldOut { version, .. }) => version,
        Some(_) => Division::VERSION,
        None => 1,
    };
    match usual {
        Division::HeldOut { share, seed, .. } => Division::HeldOut { share, seed, version: drawn },
        usual => usual,
    }
}

/// A division in words.
pub fn describe_division(division: &Division) -> String {
    match division {
        Division::Validation => "its own validation part".into(),
        Division::HeldOut { share, seed, .. } => format!("{} drawn with seed {seed}", percent(*share)),
        Division::Counts { train, val } => format!("split {train}/{val}"),
        Division::All => "nothing is held out".into(),
    }
}

/// A share as people write it.
fn percent(share: f32) -> String {
    // Through its decimal digits, so that 0.07 is not 7.0000003.
    let share: f64 = share.to_string().parse().unwrap_or(f64::from(share));
    format!("{} %", (share * 1e8).round() / 1e6)
}
