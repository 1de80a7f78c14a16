//! Opening a data set: where it is, which reader takes it, whether it fits the model, which samples are held
//! back for validation.

use super::augment::{check_kind, check_size};
use super::dataset::{Dataset, Labels, check_labels};
use super::framing::{Fit, Frame, Framing};
use super::kind::Kind;
use super::{cifar, csv, idx, image_folder, locate, packed, split, synthetic, tensors};
use crate::error::{Error, Result, printable, printable_path};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Part of the training samples that is held back where nothing else is said.
const VAL_SPLIT: f32 = 0.1;

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
    /// A request for the shipped set, whole, for a model that takes images of `input` and has `outputs` outputs.
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
}

impl Splits {
    /// Samples that are trained and validated on alike.
    pub fn of(samples: Arc<Dataset>) -> Splits {
        Splits { train: Arc::clone(&samples), val: samples }
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

/// What a reader returns; classes are not named yet.
pub(super) struct Found {
    pub train: Part,
    pub val: Option<Part>,
}

/// Samples with the files they are from, for the errors.
pub(super) struct Part {
    pub dataset: Dataset,
    pub images_path: PathBuf,
    pub labels_path: PathBuf,
}

/// Reads the data set that `request` names and fits it to the model.
///
/// Errors, each one line: the path (with the places looked at), the file that is damaged and where, images of
/// another size than the model takes, classes or values that the model has no output for.
pub fn open(request: &Request) -> Result<Splits> {
    check(request)?;
    let place = locate::find(request.path.as_deref(), request.kind)?;
    let Found { mut train, mut val } = match place.kind {
        Kind::Idx => idx::open(&place.path, &place.name)?,
        Kind::ImageFolder => {
            image_folder::open(&place.path, &place.name, request.frame(), request.ignore_exif)?
        }
        Kind::Cifar10 => cifar::CIFAR10.open(&place.path, &place.name)?,
        Kind::Cifar100 => cifar::CIFAR100.open(&place.path, &place.name)?,
        Kind::Packed => packed::open(&place.path, request.wanted.map(|_| request.frame()))?,
        Kind::Tensors => tensors::open(&place.path, &place.name)?,
        Kind::Csv => csv::open(&place.path, &place.name, request.wanted.map(|wanted| wanted.outputs))?,
        Kind::Synthetic => synthetic::open(request)?,
        Kind::Auto => return Err(Error::Internal("the format of the data was not found out".into())),
    };
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
    let (train, val) = match (request.counts, val) {
        (Some(counts), val) => split::counted(train, val, counts)?,
        (None, Some(val)) => (train.dataset, Some(val)),
        (None, None) => split::drawn(train, request.val_split.unwrap_or(VAL_SPLIT), request.seed)?,
    };
    let limit = |dataset: Dataset, count: Option<usize>| match count {
        Some(count) => Arc::new(dataset.limit(count)),
        None => Arc::new(dataset),
    };
    let train = limit(train, request.limit_train);
    let val = match val {
        Some(val) => limit(val, request.limit_val),
        None if request.limit_val.is_some() => limit(Dataset::clone(&train), request.limit_val),
        None => Arc::clone(&train),
    };
    let splits = Splits { train, val };
    let Some(wanted) = request.wanted else { return Ok(splits) };
    let splits = splits.fitted(&wanted)?;
    splits.check_shapes(wanted.input)?;
    Ok(splits)
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

impl Part {
    fn largest_class(&self) -> Option<u32> {
        match &self.dataset.labels {
            Labels::Classes(classes) => classes.iter().copied().max(),
            Labels::Values { .. } => None,
        }
    }

    /// Checks the samples against the model's input and outputs.
    fn fit(&mut self, Wanted { input: wanted, outputs, resize, fit, .. }: Wanted) -> Result<()> {
        let found = self.dataset.shape;
        // A row of features and a picture of as many pixels are the same numbers in the same order.
        let flat = |shape: [usize; 3]| shape[1] == 1 && shape[2] == 1;
        let same_numbers = found.iter().product::<usize>() == wanted.iter().product::<usize>();
        if self.dataset.has_pixels() && check_kind(found, wanted).is_ok() && resize.is_some() {
            // Only views cannot show pictures that are much too large.
            if fit == Fit::Covered {
                check_size(found, wanted, resize).map_err(|what| Error::data(&self.images_path, what))?;
            }
        } else if found == wanted || (same_numbers && (flat(found) || flat(wanted))) {
            self.dataset.shape = wanted;
        } else if self.dataset.framing().is_none()
            && (!self.dataset.has_pixels() || check_size(found, wanted, resize).is_err())
        {
            return Err(Error::data(
                &self.images_path,
                format!("expected images of {} as the model takes them, found {}", size(wanted), size(found)),
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

    fn fit_classes(&self, classes: usize, whose: &str) -> Result<()> {
        match &self.dataset.labels {
            Labels::Classes(labels) => check_labels(labels, classes, whose, &self.labels_path),
            Labels::Values { .. } => Ok(()),
        }
    }

    /// Gives classes their names; values have none.
    fn name_classes(&mut self, names: &[String]) -> Result<()> {
        if let Labels::Classes(labels) = &self.dataset.labels {
            check_labels(labels, names.len(), "class names", &self.labels_path)?;
            self.dataset.classes = names.len();
            self.dataset.class_names = names.to_vec();
        }
        Ok(())
    }
}
