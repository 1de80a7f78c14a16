//! What to open, and for which model.

use super::division::Division;
use super::framing::{Fit, Frame, Framing};
use super::kind::Kind;
use super::range::InputRange;

/// Share of the training samples that is held out for validation where the data has no validation part and nothing else is
/// asked for.
pub const VAL_SPLIT: f32 = 0.1;

/// Most classes of data that is for no model: their names fit into any memory.
pub(super) const MOST_CLASSES: usize = 1 << 20;

/// What to open, and the model that it is for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Request {
    /// A file, a folder, or the name of a shipped set; none is the shipped Fashion-MNIST.
    pub path: Option<String>,
    pub kind: Kind,
    /// RawSplit of the training samples to hold back for validation, 0 to below 1 (default 0.1), where the set has no
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
    pub image_shape: [usize; 3],
    /// Whether picture files stay as they are stored, whatever orientation their EXIF metadata name; otherwise they are
    /// turned upright.
    pub ignore_exif: bool,
    /// The model that the data is for; none looks at data for its own sake.
    pub model: Option<ModelShape>,
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
pub struct ModelShape {
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

impl ModelShape {
    /// How pictures of any size are brought to the input when they are read ([`Fit::Input`]).
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
        with_label_column(label_column: Option<String>);
        with_for_training(for_training: bool);
    }

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
            label_column: None,
            for_training: false,
        }
    }

    /// How pictures of any size are read.
    pub(super) fn frame(&self) -> Frame {
        let square = Frame { shape: self.image_shape, framing: Framing::Square };
        match self.model {
            None | Some(ModelShape { fit: Fit::Square, .. }) => square,
            Some(ModelShape { fit: Fit::Covered, .. }) => Frame { framing: Framing::Covered, ..square },
            Some(wanted) => wanted.frame(),
        }
    }

    /// How the samples are divided unless something else decides it; `has_validation` says whether the data has validation
    /// samples of its own.
    pub fn division(&self, has_validation: bool) -> Division {
        match (self.counts, self.val_split.unwrap_or(VAL_SPLIT)) {
            (Some([train, val]), _) => Division::Counts { train, val },
            (None, _) if has_validation => Division::Validation,
            (None, 0.0) => Division::All,
            (None, share) => Division::HeldOut { share, seed: self.seed, version: Division::VERSION },
        }
    }

    /// Classes that a label may name: the model's outputs; any number if the data is for no model.
    pub(super) fn outputs(&self) -> usize {
        self.model.map_or(MOST_CLASSES, |wanted| wanted.outputs)
    }
}
