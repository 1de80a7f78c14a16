//! A request to open a data set for a model.

use super::division::Division;
use super::framing::{Fit, Frame, Framing};
use super::kind::Kind;
use super::origin::Fingerprint;
use super::range::InputRange;

/// Default share of the training samples that is held out for validation if the data set has no validation part.
pub const VAL_SPLIT: f32 = 0.1;

/// Most classes of a data set that is opened without a model, so that their names fit into memory.
pub(super) const MOST_CLASSES: usize = 1 << 20;

/// A request to open a data set, with the model that it is for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Request {
    /// A file, a folder, or the name of a shipped data set; `None` is the shipped Fashion-MNIST.
    pub path: Option<String>,
    pub kind: Kind,
    /// Share of the training samples to hold back for validation, 0 to below 1 (default 0.1), where the set has no
    /// validation samples. 0 validates on the training samples themselves.
    pub val_split: Option<f32>,
    /// Numbers of samples to train on and to validate on, taken in the data's own order: training files, then validation
    /// files.
    pub counts: Option<[usize; 2]>,
    /// Use at most this number of training samples: the first, or evenly spread ones of images that are read one by one, which
    /// are sorted by class.
    pub limit_train: Option<usize>,
    /// The same for validation samples.
    pub limit_val: Option<usize>,
    pub seed: u64,
    /// Channels, height and width to which image files are fitted (with [`Fit::Input`], they are fitted to the model's input
    /// instead) and in which synthetic data is generated. Other formats have their own shape.
    pub image_shape: [usize; 3],
    /// Whether the orientation in the EXIF metadata of image files is ignored; otherwise images are turned upright.
    pub ignore_exif: bool,
    /// The model that the data is for; `None` only inspects the data.
    pub model: Option<ModelShape>,
    /// Whether that model's file has a table `[preprocess]`. Then `f32` images have to be declared by `input_range`, and whole
    /// numbers 0 to 255 of a table are pixels. Otherwise, numbers without a declared range are used as they are.
    pub has_preprocess: bool,
    /// The range of the numbers of a table or of `f32` images, if the file does not declare it.
    pub input_range: Option<InputRange>,
    /// The range that the weights were trained with, used if neither `input_range` nor the file declares one.
    pub presumed_range: Option<InputRange>,
    /// Name, or number from 1 in a list, of the column that holds the images, in formats whose samples are rows with an image or
    /// the name of its file. In tar files, the end of the images' names.
    pub image_column: Option<String>,
    /// The folder that the file names of a list are relative to, if it is another than the list's.
    pub image_root: Option<String>,
    /// Whether height and width of images in memory change places, as EMNIST's have to; `None` is not given.
    pub transpose: Option<bool>,
    /// The data of the weights' run, if that run had its images transposed: the same data is, if `transpose` is `None`.
    pub(crate) transposed_run: Option<Fingerprint>,
    /// Name, or number from 1 in a CSV file or list, of the column that holds the labels. In tar files, a field of `.json`.
    pub label_column: Option<String>,
    /// Whether the samples are for training, in which a single class is an error.
    pub for_training: bool,
}

/// The input and output of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelShape {
    /// Channels, height and width.
    pub input: [usize; 3],
    /// Number of outputs.
    pub outputs: usize,
    /// Length to which the model resizes the shorter side of images; if given, images may have any size.
    pub resize: Option<usize>,
    /// When images are resized and cropped.
    pub fit: Fit,
    /// Whether the number of outputs may still follow the number of named classes in the data.
    pub follow_classes: bool,
}

impl ModelShape {
    /// How images of any size are fitted to the input when they are read ([`Fit::Input`]).
    fn frame(&self) -> Frame {
        Frame { shape: self.input, framing: Framing::Centre { resize: self.resize } }
    }
}

impl Request {
    setters! {
        with_path(path: Option<String>);
        with_kind(kind: Kind);
        with_val_split(val_split: Option<f32>);
        with_counts(counts: Option<[usize; 2]>);
        with_limit_train(limit_train: Option<usize>);
        with_limit_val(limit_val: Option<usize>);
        with_seed(seed: u64);
        with_image_shape(image_shape: [usize; 3]);
        with_ignore_exif(ignore_exif: bool);
        with_model(model: Option<ModelShape>);
        with_has_preprocess(has_preprocess: bool);
        with_input_range(input_range: Option<InputRange>);
        with_presumed_range(presumed_range: Option<InputRange>);
        with_image_column(image_column: Option<String>);
        with_label_column(label_column: Option<String>);
        with_image_root(image_root: Option<String>);
        with_transpose(transpose: Option<bool>);
        with_for_training(for_training: bool);
    }

    /// A request for the whole shipped data set, for a model with images of `input` and `outputs` outputs. A model with more
    /// than one pixel is assumed to have a `[preprocess]`.
    pub fn new(input: [usize; 3], outputs: usize) -> Request {
        Request {
            path: None,
            kind: Kind::Auto,
            val_split: None,
            counts: None,
            limit_train: None,
            limit_val: None,
            seed: 0,
            image_shape: input,
            ignore_exif: false,
            model: Some(ModelShape {
                input,
                outputs,
                resize: None,
                fit: Fit::default(),
                follow_classes: false,
            }),
            has_preprocess: input[1].saturating_mul(input[2]) > 1,
            input_range: None,
            presumed_range: None,
            image_column: None,
            label_column: None,
            image_root: None,
            transpose: None,
            transposed_run: None,
            for_training: false,
        }
    }

    /// How images of any size are read.
    pub(super) fn frame(&self) -> Frame {
        let square = Frame { shape: self.image_shape, framing: Framing::Square };
        match self.model {
            None | Some(ModelShape { fit: Fit::Square, .. }) => square,
            Some(ModelShape { fit: Fit::Covered, .. }) => Frame { framing: Framing::Covered, ..square },
            Some(wanted) => wanted.frame(),
        }
    }

    /// How the samples are divided unless something else decides it; `has_validation` says whether the data has its own
    /// validation samples.
    pub fn division(&self, has_validation: bool) -> Division {
        match (self.counts, self.val_split.unwrap_or(VAL_SPLIT)) {
            (Some([train, val]), _) => Division::Counts { train, val },
            (None, _) if has_validation => Division::Validation,
            (None, 0.0) => Division::All,
            (None, share) => Division::HeldOut { share, seed: self.seed, version: Division::VERSION },
        }
    }

    /// Number of classes that labels may have: the model's outputs, or [`MOST_CLASSES`] without a model.
    pub(super) fn outputs(&self) -> usize {
        self.model.map_or(MOST_CLASSES, |wanted| wanted.outputs)
    }
}
