//! Opening a data set: where it is, which reader takes it, whether it fits the model, which samples are held
//! back for validation.

use super::augment::check_kind;
use super::dataset::Dataset;
use super::diagnostics::Notes;
use super::framing::{Fit, Frame, Framing};
use super::kind::Kind;
use super::origin::{Fingerprint, Origin, Provenance};
use super::range::{InputRange, check_bytes};
use super::raw::{Found, Part};
use super::split::{self, Division, Pool};
use super::{cifar, csv, idx, image_folder, locate, occupied, packed, synthetic, tensors};
use crate::error::{Error, Result, printable, printable_path};
use std::path::Path;
use std::sync::Arc;

/// Share of the training samples that is held out for validation where the data has no validation part and nothing else is
/// asked for.
pub const VAL_SPLIT: f32 = 0.1;

/// Most classes of data that is for no model: their names fit into any memory.
pub(super) const MOST_CLASSES: usize = 1 << 20;

/// What to open, and the model that it is for.
#[derive(Clone, Debug)]
pub struct Request {
    /// A file, a folder, or the name of a shipped set; none is the shipped Fashion-MNIST.
    pub path: Option<String>,
    pub kind: Kind,
    /// Part of the training samples to hold back for validation, 0 to below 1 (default 0.1), where the set has no
    /// validation samples of its own. 0 validates on the training samples themselves.
    pub val_split: Option<f32>,
    /// Train on the first so many samples and validate on so many next, of all there are in the data's own order:
    /// training files, then validation files.
    pub counts: Option<[usize; 2]>,
    /// Use only so many training samples: the first, or, of pictures that are read one by one and lie class by
    /// class, so many evenly spread.
    pub limit_train: Option<usize>,
    /// The same for validation samples.
    pub limit_val: Option<usize>,
    pub seed: u64,
    /// Channels, height and width to which picture files are brought (with [`Fit::Input`] they are brought to the model's
    /// input instead), and in which synthetic data is made. Other formats have their own.
    pub picture: [usize; 3],
    /// Whether picture files stay as they are stored, whatever orientation their EXIF metadata name; otherwise they are
    /// turned upright.
    pub ignore_exif: bool,
    /// The model that the data is for; none looks at data for its own sake.
    pub wanted: Option<Wanted>,
    /// Whether that model's file has a table `[preprocess]`. Then `f32` images have to be declared by `input_range`, and whole
    /// numbers 0 to 255 of a table are pixels. Otherwise undeclared numbers are used as they are.
    pub has_preprocess: bool,
    /// What the numbers of a table or of `f32` images are, where the file does not say it.
    pub input_range: Option<InputRange>,
    /// What the weights' run took such numbers for: it holds where neither `input_range` nor the file says anything.
    pub presumed_range: Option<InputRange>,
    /// Name, or number from 1 on, of the column of a table that is the label.
    pub label_column: Option<String>,
    /// Whether the samples are to be learnt from; a single class is an error then.
    pub for_training: bool,
}

/// What a model takes and answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Channels, height and width.
    pub input: [usize; 3],
    /// Number of outputs.
    pub outputs: usize,
    /// Length that the model has the shorter side of pictures resized to; with it, pictures of any size will do.
    pub resize: Option<usize>,
    /// Where the geometry of its pictures is settled.
    pub fit: Fit,
    /// Whether the model's outputs can still be made as many as the data has classes, where it names them.
    pub follow_classes: bool,
}

impl Wanted {
    /// How pictures of any size are brought to the input when they are read ([`Fit::Input`]).
    fn frame(&self) -> Frame {
        Frame { shape: self.input, framing: Framing::Centre { resize: self.resize } }
    }
}

impl Request {
    /// A request for the shipped set, whole, for a model that takes images of `input` and has `outputs` outputs. A model of
    /// more than one pixel is taken to have a `[preprocess]`.
    pub fn new(input: [usize; 3], outputs: usize) -> Request {
        Request {
            path: None,
            kind: Kind::Auto,
            val_split: None,
            counts: None,
            limit_train: None,
            limit_val: None,
            seed: 0,
            picture: input,
            ignore_exif: false,
            wanted: Some(Wanted { input, outputs, resize: None, fit: Fit::default(), follow_classes: false }),
            has_preprocess: input[1].saturating_mul(input[2]) > 1,
            input_range: None,
            presumed_range: None,
            label_column: None,
            for_training: false,
        }
    }

    /// How pictures of any size are read.
    fn frame(&self) -> Frame {
        let square = Frame { shape: self.picture, framing: Framing::Square };
        match self.wanted {
            None | Some(Wanted { fit: Fit::Square, .. }) => square,
            Some(Wanted { fit: Fit::Covered, .. }) => Frame { framing: Framing::Covered, ..square },
            Some(wanted) => wanted.frame(),
        }
    }

    /// How the samples are divided where nothing else is known of them.
    pub fn division(&self, pool: &Pool<'_>) -> Division {
        match (self.counts, self.val_split.unwrap_or(VAL_SPLIT)) {
            (Some([train, val]), _) => Division::Counts { train, val },
            (None, _) if pool.has_validation() => Division::Validation,
            (None, 0.0) => Division::All,
            (None, share) => Division::HeldOut { share, seed: self.seed, version: Division::VERSION },
        }
    }

    /// Classes that a label may name: the model's outputs; any number if the data is for no model.
    pub(super) fn outputs(&self) -> usize {
        self.wanted.map_or(MOST_CLASSES, |wanted| wanted.outputs)
    }
}

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
    fn check_shapes(&self, input: [usize; 3]) -> Result<()> {
        if self.pixels(input).is_some() || (self.train.shape == input && self.val.shape == input) {
            return Ok(());
        }
        let (train, val) = (size(self.train.shape), size(self.val.shape));
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

/// Reads the data set that `request` names and fits it to the model. What its user should know goes to the log, as
/// warnings; [`open_noting`] returns it.
///
/// Errors, each one line: the path (with the places looked at), the file that is damaged and where, images of
/// another size than the model takes, classes or values that the model has no output for, files that may mean more than one
/// thing, a single class to train on.
pub fn open(request: &Request) -> Result<Splits> {
    let (splits, notes) = open_noting(request)?;
    notes.lines.iter().for_each(|line| log::warn!("{}: {}", splits.train.name, printable(line)));
    Ok(splits)
}

/// As [`open`], with what was found out on the way.
pub fn open_noting(request: &Request) -> Result<(Splits, Notes)> {
    open_with(request, &mut |pool| Ok(request.division(pool)))
}

/// As [`open_noting`], but `decide` says how the samples are divided, once they are known. Of `request` only the limits count
/// then.
pub fn open_with(
    request: &Request,
    decide: &mut dyn FnMut(&Pool<'_>) -> Result<Division>,
) -> Result<(Splits, Notes)> {
    check(request)?;
    let mut notes = Notes::default();
    let place = locate::find(request.path.as_deref(), request.kind)?;
    let Found { mut train, mut val } = match place.kind {
        Kind::Idx => idx::open(&place.path, place.file.as_deref(), &place.name, &mut notes)?,
        Kind::ImageFolder => {
            let frame = request.frame();
            image_folder::open(&place.path, &place.name, frame, request.ignore_exif, &mut notes)?
        }
        Kind::Cifar10 => cifar::CIFAR10.open(&place.path, &place.name)?,
        Kind::Cifar100 => cifar::CIFAR100.open(&place.path, &place.name)?,
        Kind::Packed => packed::open(&place.path, request.wanted.map(|_| request.frame()))?,
        Kind::Tensors => tensors::open(&place.path, &place.name, request, &mut notes)?,
        Kind::Csv => csv::open(&place.path, &place.name, request, &mut notes)?,
        Kind::Synthetic => synthetic::open(request)?,
        Kind::Auto => return Err(Error::Internal("the format of the data was not found out".into())),
    };
    if place.kind != Kind::Csv && request.label_column.is_some() {
        let what = format!("label-column: expected a table (csv), found data of the format {}", place.kind);
        return Err(Error::Usage(what));
    }
    if ![Kind::Csv, Kind::Tensors].contains(&place.kind) {
        check_bytes(request.input_range, &train.images_path)?;
    }
    let classes = train.largest_class().max(val.as_ref().and_then(Part::largest_class));
    let own = std::mem::take(&mut train.dataset.class_names);
    let (names, names_path) = if own.is_empty() {
        (read_class_names(&place.path)?, place.path.join("classes.txt"))
    } else {
        (Some(own), place.path.clone())
    };
    let names = names.filter(|_| classes.is_some());
    // Names are compared with the model's outputs before any label is.
    let outputs = match (&names, request.wanted) {
        (Some(names), Some(Wanted { follow_classes: true, .. })) => names.len(),
        _ => request.outputs(),
    };
    if let Some(names) = names.as_ref().filter(|names| names.len() > outputs) {
        let found = names.len();
        let what = format!("expected at most {outputs} classes (the model's outputs), found {found}");
        return Err(Error::data(&names_path, what));
    }
    for part in [Some(&mut train), val.as_mut()].into_iter().flatten() {
        match request.wanted {
            Some(wanted) => part.fit(Wanted { outputs, ..wanted })?,
            None => part.fit_classes(MOST_CLASSES, "classes that can be told apart")?,
        }
    }
    // From here on every class is below the number of outputs.
    occupied::check(
        &train,
        names.as_deref(),
        request.for_training && place.kind != Kind::Synthetic,
        &mut notes,
    )?;
    let names = names.unwrap_or_else(|| {
        (0..classes.map_or(0, |class| class + 1)).map(|class| class.to_string()).collect()
    });
    // They are printed in tables: no name may do things to a terminal.
    let names: Vec<_> = names.iter().map(|name| printable(name).into_owned()).collect();
    for part in [Some(&mut train), val.as_mut()].into_iter().flatten() {
        part.name_classes(&names)?;
    }
    let val = match val {
        Some(val)
            if std::mem::discriminant(&val.dataset.labels)
                != std::mem::discriminant(&train.dataset.labels) =>
        {
            return Err(Error::data(
                &val.labels_path,
                format!(
                    "expected labels of the kind in {}, found another",
                    printable_path(&train.labels_path)
                ),
            ));
        }
        Some(val) => Some(val.dataset),
        None => None,
    };
    let data = match place.kind {
        Kind::Synthetic => Fingerprint::made_up(&train.dataset, place.kind.to_string()),
        _ => Fingerprint::of(&train.dataset, val.as_ref(), place.kind.to_string()),
    };
    let pool = Pool { train: &train, val: val.as_ref(), data: &data };
    let division = decide(&pool)?;
    let numbers = pool.divide(&division, [request.limit_train, request.limit_val])?;
    let (labels_path, had) = (train.labels_path.clone(), train.dataset.classes);
    let [train, val] = split::select(train, val, &division, &numbers)?;
    if request.for_training && request.limit_train.is_none() && place.kind != Kind::Synthetic {
        occupied::check_left(&train, had, &labels_path)?;
    }
    let has_numbers = [Kind::Csv, Kind::Tensors].contains(&place.kind);
    let provenance = Provenance {
        data,
        division,
        limit_train: request.limit_train,
        label_column: request.label_column.clone(),
        input_range: request.input_range.or(request.presumed_range).filter(|_| has_numbers),
    };
    let origin = Origin { provenance, before: Vec::new(), numbers: numbers.map(Arc::new) };
    let splits = Splits { train, val, origin: Some(Arc::new(origin)) };
    let Some(wanted) = request.wanted else { return Ok((splits, notes)) };
    let splits = splits.fitted(&wanted)?;
    splits.check_shapes(wanted.input)?;
    Ok((splits, notes))
}

fn check(request: &Request) -> Result<()> {
    if let Some(part) = request.val_split.filter(|part| !(0.0..1.0).contains(part)) {
        return Err(Error::Usage(format!("val-split: expected 0 to below 1, found {part}")));
    }
    if request.counts.is_some() && request.val_split.is_some() {
        return Err(Error::Usage("split: it says what val-split would say; give one of them".into()));
    }
    let [train, val] = request.counts.map_or([None; 2], |counts| counts.map(Some));
    for (flag, limit) in [
        ("split", train),
        ("split", val),
        ("limit-train", request.limit_train),
        ("limit-val", request.limit_val),
    ] {
        if limit == Some(0) {
            return Err(Error::Usage(format!("{flag}: expected at least 1, found 0")));
        }
    }
    Ok(())
}

/// The lines of `classes.txt`, if a data set is a folder that has one.
fn read_class_names(place: &Path) -> Result<Option<Vec<String>>> {
    let path = place.join("classes.txt");
    if !place.is_dir() || !path.is_file() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(&path).map_err(|error| Error::io(&path, error))?;
    let names: Vec<_> =
        text.lines().map(str::trim).filter(|line| !line.is_empty()).map(String::from).collect();
    if names.is_empty() {
        return Err(Error::data(&path, "expected one class name per line, found none"));
    }
    Ok(Some(names))
}

/// A shape as people write it: 3x224x224.
pub(super) fn size([channels, height, width]: [usize; 3]) -> String {
    format!("{channels}x{height}x{width}")
}
