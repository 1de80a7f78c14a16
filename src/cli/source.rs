//! The flags that select data, shared by every verb that reads data.

use super::output::Output;
use super::outputs::Outputs;
use crate::data::{self, Dataset, Diagnostics, Division, InputRange, Kind, OnBadFile, Request, Splits};
use crate::error::{Error, Result};
use crate::inference::{self, DataOptions, Lineage, Messages, quoted};
use crate::interchange::{self, File};
use crate::model::Spec;
use crate::view::Rules;
use clap::Args;
use serde_json::{Value, json};
use std::path::Path;
use std::str::FromStr;

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Data")]
pub(crate) struct SourceArgs {
    /// Read a folder, a file or a built-in set
    ///
    /// A folder of images has train/<class> and val/<class>, or <class>, in it. (--data is the same flag.) [default: that of the
    /// recipe, else fashion-mnist]
    #[arg(long, alias = "data", value_name = "DATA")]
    pub data_path: Option<String>,
    /// Set the kind of data
    ///
    /// KIND is auto, image-folder, idx, cifar10, cifar100, stl10, packed, tensors, csv, parquet,
    /// npz, tar, list or synthetic
    #[arg(long, default_value = "auto", value_name = "KIND", value_parser = kind)]
    pub dataset: Kind,
    /// Declare what the numbers of images are
    ///
    /// The numbers of a table, of f32 tensors or of floating-point arrays in NPZ files are 0..255 (pixels), 0..1 (pixels
    /// divided by 255) or ready (network input) [default: what the file says; with a [preprocess] pixels, where a table has
    /// whole numbers 0 to 255; without one ready]
    #[arg(long, value_name = "0..255|0..1|ready", value_parser = input_range)]
    pub input_range: Option<InputRange>,
    /// Take the images from this column
    ///
    /// Where samples are rows: its name, in lists also its number from 1; in tar files the
    /// end of the images' names, such as jpg [default: as in the weights' run on data of the same kind, else the column
    /// called image, img or the like]
    #[arg(long, value_name = "NAME|NUMBER")]
    pub image_column: Option<String>,
    /// Take the labels from this column
    ///
    /// Where samples are rows: its name, in CSV files and lists also its number from 1; in
    /// tar files a field of .json [default: as in the weights' run on data of the same kind, else the column called label,
    /// class, target, y or the like; in a table of numbers else the last; in tar files .cls]
    #[arg(long, value_name = "NAME|NUMBER")]
    pub label_column: Option<String>,
    /// Look for the image files of a list in this folder
    ///
    /// [default: that of the list, or a folder in it]
    #[arg(long, value_name = "DIR")]
    pub image_root: Option<String>,
    /// Swap height and width of each image
    ///
    /// For IDX files, tensors and tables, as EMNIST needs. [default: as in the weights' run if the data is the same, else false]
    #[arg(long, value_name = "true|false", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub transpose: Option<bool>,
    /// Validate on this share of the samples
    ///
    /// It is held out of the training samples, where the data has no validation set of its own. [default: 0.1]
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true)]
    pub val_split: Option<f32>,
    /// Train on the first TRAIN samples, validate on the next VAL
    ///
    /// Samples are numbered through training and validation files.
    #[arg(long, value_name = "TRAIN/VAL", value_parser = counts, conflicts_with = "val_split")]
    pub split: Option<[usize; 2]>,
    /// Use only N training samples
    ///
    /// They are the first N, or spread evenly where images are read from files.
    #[arg(long, value_name = "N")]
    pub limit_train: Option<usize>,
    /// Use only N validation samples, in the same way
    #[arg(long, value_name = "N")]
    pub limit_val: Option<usize>,
    /// Prepare batches with N threads [default: up to 4]
    #[arg(short = 'j', long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub workers: Option<u16>,
    /// Ignore the orientation in EXIF metadata
    ///
    /// torchvision ignores it; by default images are turned upright.
    #[arg(long)]
    pub ignore_exif: bool,
    /// Skip unreadable samples, or fail at the first
    ///
    /// skip leaves them out and names each once.
    #[arg(long, default_value = "skip", value_name = "skip|fail", value_parser = on_bad_file)]
    pub on_bad_file: OnBadFile,
}

pub(crate) fn on_bad_file(text: &str) -> std::result::Result<OnBadFile, String> {
    OnBadFile::from_str(text).map_err(|e| e.to_string())
}

pub(crate) fn input_range(text: &str) -> std::result::Result<InputRange, String> {
    InputRange::from_str(text).map_err(|e| e.to_string())
}

fn counts(text: &str) -> std::result::Result<[usize; 2], String> {
    let number = |text: &str| text.trim().parse::<usize>().ok().filter(|&n| n > 0);
    text.split_once('/')
        .and_then(|(train, val)| Some([number(train)?, number(val)?]))
        .ok_or_else(|| "expected two numbers of samples, such as 30000/30000".into())
}

pub(crate) fn kind(text: &str) -> std::result::Result<Kind, String> {
    Kind::from_str(text).map_err(|e| e.to_string())
}

impl SourceArgs {
    /// Opens the data for `spec` and holds back as little as possible: without a validation part, and without flags that
    /// divide the samples, each sample is in both parts. What the weights in `file` record of such data applies. Diagnostics of
    /// the data go to `out`.
    pub fn open_whole(&self, spec: &Spec, file: Option<&File>, seed: u64, out: &Output) -> Result<Splits> {
        let mut request = self.request(spec, seed, false)?;
        if let Some(file) = file {
            inference::remember(&mut request, &Lineage::of(file)?, out);
        }
        let opened = data::open_with(&request, &mut |pool| {
            let is_asked = self.options().divides() || pool.has_validation();
            Ok(if is_asked { request.division(pool.has_validation()) } else { Division::All })
        })?;
        reported(opened, out)
    }

    /// Whether a flag says which data is meant, or what is in it.
    pub fn is_requested(&self) -> bool {
        let options = self.options();
        let columns = [&options.image_column, &options.label_column, &options.image_root];
        options.is_named() || options.transpose.is_some() || columns.iter().any(|column| column.is_some())
    }

    /// The data that the flags name.
    pub fn options(&self) -> DataOptions {
        let mut options = DataOptions::default();
        options.path.clone_from(&self.data_path);
        options.kind = self.dataset;
        options.input_range = self.input_range;
        options.image_column.clone_from(&self.image_column);
        options.label_column.clone_from(&self.label_column);
        options.image_root.clone_from(&self.image_root);
        options.transpose = self.transpose;
        options.val_split = self.val_split;
        options.split = self.split;
        options.limit_train = self.limit_train;
        options.limit_val = self.limit_val;
        options.ignore_exif = self.ignore_exif;
        options
    }

    /// Provides the data set of a built-in model if it is not on this machine.
    pub fn provide(&self, spec: &Spec, out: &Output) -> Result<()> {
        super::dataset::provide(self.options().place(spec), self.dataset, out)
    }

    /// As [`SourceArgs::provide`], unless the weights in `file` were trained on other data than is taken where none is named.
    pub fn provide_for(&self, spec: &Spec, file: Option<&File>, out: &Output) -> Result<()> {
        let lineage = file.map(Lineage::of).transpose()?.unwrap_or_default();
        let is_named = self.options().is_named() || spec.recipe.data.is_some();
        match lineage.runs().first() {
            Some(run) if !is_named && run.name() != super::dataset::FETCHED => Ok(()),
            _ => self.provide(spec, out),
        }
    }

    /// The request that opens the data for `spec`; with `follow_classes` there may be more named classes than the network has outputs.
    pub fn request(&self, spec: &Spec, seed: u64, follow_classes: bool) -> Result<Request> {
        self.options().request(spec, seed, follow_classes)
    }

    /// The inputs of a verb that is given a network, weights and the data for them.
    pub fn read_by(&self, model: Option<&str>, weights: Option<&Path>, spec: &Spec) -> Outputs {
        Outputs::new().reads(model).reads(weights).reads_data(self.options().place(spec), self.dataset)
    }

    /// Loader threads.
    pub fn workers(&self) -> usize {
        workers(self.workers)
    }
}

/// The flags that lead another verb to the same data, with a space before each. How the data was divided, the weights
/// know.
pub(crate) fn flags_of(data: &DataOptions) -> String {
    let mut flags = String::new();
    if let Some(path) = &data.path {
        flags.push_str(&format!(" --data-path {}", quoted(path)));
    }
    if data.kind != Kind::Auto {
        flags.push_str(&format!(" --dataset {}", data.kind));
    }
    if let Some(range) = data.input_range {
        flags.push_str(&format!(" --input-range {range}"));
    }
    if let Some(column) = &data.image_column {
        flags.push_str(&format!(" --image-column {}", quoted(column)));
    }
    if let Some(column) = &data.label_column {
        flags.push_str(&format!(" --label-column {}", quoted(column)));
    }
    if let Some(root) = &data.image_root {
        flags.push_str(&format!(" --image-root {}", quoted(root)));
    }
    match data.transpose {
        Some(true) => flags.push_str(" --transpose"),
        Some(false) => flags.push_str(" --transpose=false"),
        None => {}
    }
    if data.ignore_exif {
        flags.push_str(" --ignore-exif");
    }
    if let Some(count) = data.limit_val {
        flags.push_str(&format!(" --limit-val {count}"));
    }
    flags
}

/// The data, once its diagnostics are reported: on stderr, and as an event where results are JSON.
pub(crate) fn reported((splits, notes): (Splits, Diagnostics), out: &Output) -> Result<Splits> {
    out.data(&splits.train.name, &notes)?;
    Ok(splits)
}

/// Prints the diagnostics of data on stderr.
pub(crate) fn print_diagnostics(notes: &Diagnostics, out: &Output) {
    for line in &notes.lines {
        let prefix = if line.starts_with("warning: ") { "" } else { "data: " };
        out.note(&format!("{prefix}{line}"));
    }
}

/// Adds the diagnostics of data to a JSON object.
pub(crate) fn add_notes(object: &mut Value, notes: &Diagnostics) {
    let files = notes
        .passed_over
        .iter()
        .map(|files| json!({"class": files.class, "extension": files.extension, "count": files.count}));
    object["passed_over"] = files.collect();
    object["notes"] = json!(notes.lines);
}

/// The weights that a verb is given, and the network `model` (a name or a model file), else the one that the weights carry.
pub(crate) fn network(
    weights: Option<&Path>,
    model: Option<&str>,
    out: &Output,
) -> Result<(Option<File>, Spec)> {
    let file = weights.map(interchange::read).transpose()?;
    let spec = match (&file, model) {
        (Some(file), model) => network_of(file, model, out)?,
        (None, Some(name)) => Spec::load(name)?,
        (None, None) => return Err(Error::Usage("expected --weights or --model, found neither".into())),
    };
    Ok((file, spec))
}

/// As [`network`], of weights that were read.
pub(crate) fn network_of(file: &File, model: Option<&str>, out: &Output) -> Result<Spec> {
    note_reading(file, out);
    let spec = inference::spec_of(file, model)?;
    if model.is_some() {
        warn_of_input(file, &spec, out);
    }
    Ok(spec)
}

/// Notes on how `file` was read.
pub(crate) fn note_reading(file: &File, out: &Output) {
    file.notes.iter().for_each(|note| out.note(&format!("note: {note}")));
}

/// A note where images of any size are resized by rules of an earlier version.
pub(crate) fn note_old_rules(spec: &Spec, data: &Dataset, out: &Output) {
    if spec.geometry.rules == Rules::Covered && data.has_sizes() {
        out.note("the weights are from before geometry 2: images are resized and cropped as they were then");
    }
}

/// Warns if the weights were trained on another input than `spec` gives its network.
pub(crate) fn warn_of_input(file: &File, spec: &Spec, out: &Output) {
    if let Some(line) = inference::other_input(file, spec) {
        out.note(&format!("warning: {line}"));
    }
}

/// The number of loader threads that `flag` asks for.
pub(crate) fn workers(flag: Option<u16>) -> usize {
    flag.map_or_else(|| std::thread::available_parallelism().map_or(1, |n| n.get().min(4)), usize::from)
}
