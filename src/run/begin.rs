//! The first half of opening a run: everything that can be rejected before a device is needed. In order: weights, network,
//! recipe, the checkpoint to resume, data, the classes of the weights, and whether the checkpoint belongs to this run.

use super::checkpoint::Checkpoint;
use super::default_model::with_model;
use super::environment::Environment;
use super::folder::RunFolder;
use super::options::RunOptions;
use super::preview;
use crate::data::{Labels, Sampler, Sheet, Splits};
use crate::device::Device;
use crate::error::{Error, Result, printable_path};
use crate::inference::{self, DEFAULT_MODEL};
use crate::interchange::{self, File};
use crate::model::{ClassWeights, Spec};
use crate::tensor::Tensor;
use crate::train::{self, Options};
use crate::view::{Geometry, Rules};
use std::fmt;
use std::path::{Path, PathBuf};

/// Where a run starts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Resume {
    /// Step 0 of a new run.
    No,
    /// The newest run of its name that has a checkpoint; a new run if there is none.
    Latest,
    /// A run's folder, or one of its checkpoints.
    From(PathBuf),
}

impl Resume {
    /// True unless resuming is mandatory (a given folder or checkpoint).
    pub fn may_be_new(&self) -> bool {
        !matches!(self, Resume::From(_))
    }
}

/// The values that parameters have before the first step.
#[derive(Debug)]
pub(super) enum Initial {
    /// Drawn from the seed.
    Seed,
    /// Read from a file; the layer of this name keeps the values drawn from the seed.
    File(Box<File>, Option<String>),
    /// Values of buffers, by name; missing ones are drawn from the seed.
    Values(Vec<(String, Tensor)>),
}

/// A run whose network and data are open, ready to train.
pub struct Run<'a> {
    pub(super) options: RunOptions,
    pub(super) training: Options,
    pub(super) environment: &'a dyn Environment,
    pub(super) spec: Spec,
    pub(super) data: Splits,
    pub(super) initial: Initial,
    pub(super) resumed: Option<(Checkpoint, RunFolder)>,
    pub(super) force: bool,
}

impl fmt::Debug for Run<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run")
            .field("spec", &self.spec.name)
            .field("data", &self.data.train.name)
            .field("options", &self.options)
            .field("resumed", &self.resumed.as_ref().map(|(checkpoint, _)| &checkpoint.path))
            .finish_non_exhaustive()
    }
}

impl<'a> Run<'a> {
    /// Opens a new run: weights, network, recipe, data.
    ///
    /// # Errors
    /// [`Error::Usage`] names the option, [`Error::Data`] the file. Nothing has been written.
    pub fn begin(options: RunOptions, environment: &'a dyn Environment) -> Result<Run<'a>> {
        Run::open(options, &Resume::No, false, environment)
    }

    /// Opens the run in the folder `from`, or at one of its checkpoints, with the options in its `args.toml`.
    ///
    /// # Errors
    /// As [`Run::begin`]; also if the folder has no whole checkpoint, or another process writes to it.
    pub fn resume(from: impl AsRef<Path>, environment: &'a dyn Environment) -> Result<Run<'a>> {
        let from = from.as_ref();
        let (folder, _) = Checkpoint::find(from)?;
        let options = RunOptions::of_folder(&folder)?.ok_or_else(|| {
            Error::data(folder.join("args.toml"), "expected the table [options] of a run, found none")
        })?;
        Run::resume_with(options, from, false, environment)
    }

    /// As [`Run::resume`], with these options, which must define the same run: the same recipe, network and data. How long it
    /// continues may differ (epochs, patience, steps, what the learning rate does in epochs to come), and so may what changes no
    /// weight: checkpoints, reports, threads. With `force` a run that differs is resumed as far as it fits.
    pub fn resume_with(
        options: RunOptions,
        from: impl AsRef<Path>,
        force: bool,
        environment: &'a dyn Environment,
    ) -> Result<Run<'a>> {
        Run::open(options, &Resume::From(from.as_ref().to_path_buf()), force, environment)
    }

    /// Opens a run that starts where `resume` says.
    pub fn open(
        options: RunOptions,
        resume: &Resume,
        force: bool,
        environment: &'a dyn Environment,
    ) -> Result<Run<'a>> {
        check(&options, resume)?;
        let options = if resume.may_be_new() { with_model(options, environment)? } else { options };
        let (mut spec, mut weights) = network(&options, resume, environment)?;
        let before = spec.recipe.clone();
        options.recipe.apply(&mut spec)?;
        let replaced = options.num_classes.map(|classes| spec.replace_outputs(classes)).transpose()?;
        train::scale_rates(&mut spec, &options.lr_mult)?;
        check_spec(&options, &spec)?;
        environment.network_read(&spec, &options)?;
        // Before anything that takes long: a run that cannot be resumed is rejected at once.
        let resumed = checkpoint(&options, resume, &spec.name, environment)?;
        if resumed.is_none() {
            if options.model.is_some() {
                spec.check_effects()?;
            }
            options.recipe.check_effects(&spec.recipe, environment)?;
        }
        if let Some(change) = options.recipe.optimizer_change(&before, &spec.recipe) {
            environment.note(&change);
        }
        // A resumed run keeps the image rules that it started with; a new run uses the current ones, regardless of the rules
        // that its weights were trained with.
        spec.geometry = Geometry {
            rules: resumed.as_ref().map_or(Rules::default(), |(checkpoint, _)| checkpoint.rules()),
            ignore_exif: options.data.ignore_exif,
        };
        let opening = super::data::Opening {
            options: &options,
            is_replaced: replaced.is_some(),
            checkpoint: resumed.as_ref().map(|(checkpoint, _)| checkpoint),
            environment,
        };
        let data = opening.open(&mut spec, weights.as_mut())?;
        check_classes(&spec, &data, &options, environment)?;
        if resumed.is_none() {
            note_imbalance(&spec, &data, &options, environment);
        }
        let initial = match weights.filter(|_| resumed.is_none()) {
            Some(file) => Initial::File(Box::new(file), replaced),
            None => Initial::Seed,
        };
        let training = options.training();
        Ok(Run { options, training, environment, spec, data, initial, resumed, force })
    }

    /// A run of an open network on open data, which starts from `values`.
    pub(crate) fn of(
        spec: Spec,
        data: Splits,
        values: Vec<(String, Tensor)>,
        options: RunOptions,
        resume: &Resume,
        force: bool,
        environment: &'a dyn Environment,
    ) -> Result<Run<'a>> {
        check(&options, &Resume::No)?;
        check_spec(&options, &spec)?;
        let resumed = checkpoint(&options, resume, &spec.name, environment)?;
        check_classes(&spec, &data, &options, environment)?;
        let (training, initial) = (options.training(), Initial::Values(values));
        Ok(Run { options, training, environment, spec, data, initial, resumed, force })
    }

    /// The network, with the recipe that it is trained by.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// The number of updates that a resumed run had made.
    pub fn resumed_step(&self) -> Option<usize> {
        self.resumed.as_ref().map(|(checkpoint, _)| checkpoint.step())
    }

    /// The data that it is trained and validated on.
    pub fn data(&self) -> &Splits {
        &self.data
    }

    /// The first samples as the network will see them, without and with augmentation; beside the sheet, one line per sample
    /// that could not be read.
    pub fn preview(&self) -> Result<(Sheet, Vec<String>)> {
        preview(&self.spec, &self.data, &self.training, |program| Device::cpu().executor(program))
    }
}

/// The network, before the recipe's overrides, and the weights to start from.
fn network(
    options: &RunOptions,
    resume: &Resume,
    environment: &dyn Environment,
) -> Result<(Spec, Option<File>)> {
    // A resumed run has its own weights; of the file it may still need the network.
    let needs_weights = resume.may_be_new() || options.model.is_none();
    let weights = options.weights.as_ref().filter(|_| needs_weights);
    let weights = weights.map(interchange::read).transpose()?;
    for note in weights.iter().flat_map(|file| &file.notes) {
        environment.note(&format!("note: {note}"));
    }
    let spec = match (&options.model, &weights) {
        (None, Some(file)) if file.metadata.contains_key("model") => inference::spec_of(file, None)?,
        (model, _) => Spec::load(model.as_deref().unwrap_or(DEFAULT_MODEL))?,
    };
    if let Some(file) = weights.as_ref().filter(|_| options.model.is_some())
        && let Some(line) = inference::other_input(file, &spec)
    {
        environment.note(&format!("warning: {line}"));
    }
    Ok((spec, weights))
}

/// An error that names the first option of training that is out of its range.
fn check(options: &RunOptions, resume: &Resume) -> Result<()> {
    if options.auto_batch && options.recipe.batch_size.is_some() {
        return Err(Error::Usage("batch-size: expected auto or a number, found both".into()));
    }
    // Earlier versions took such names, and made others of them.
    let new_name = options.name.as_ref().filter(|_| resume.may_be_new());
    if let Some(name) = new_name.filter(|name| name.contains(['/', '\\'])) {
        let what = "expected the name of a folder in the output folder, without / and \\";
        return Err(Error::Usage(format!("name: {what}, found {name}")));
    }
    options.train.check().map_err(|what| Error::Usage(what.replacen('_', "-", 1)))
}

/// An error that names the first option of training that means nothing for `spec`, whose batch size may not be chosen yet.
fn check_spec(options: &RunOptions, spec: &Spec) -> Result<()> {
    match options.auto_batch {
        true => options.train.check_network(spec),
        false => options.train.check_spec(spec),
    }
}

/// An error unless labels, class weights and sampler fit the network and the data.
fn check_classes(
    spec: &Spec,
    data: &Splits,
    options: &RunOptions,
    environment: &dyn Environment,
) -> Result<()> {
    let train = &data.train;
    let outputs = inference::outputs(spec)?;
    for part in [train, &data.val] {
        inference::check_outputs(part, outputs)?;
    }
    inference::class_weights(&spec.recipe, train, train.classes)?;
    if let (Sampler::Balanced, Labels::Values { .. }) = (options.train.sampler, &train.labels) {
        let option = environment.option("sampler");
        return Err(Error::Usage(format!(
            "{option} balanced: {}: expected classes as labels, found values",
            train.name
        )));
    }
    Ok(())
}

/// Remarks on training data whose classes differ much in size, unless options see to it, and on two options that do.
fn note_imbalance(spec: &Spec, data: &Splits, options: &RunOptions, environment: &dyn Environment) {
    let is_given = spec.recipe.class_weights != ClassWeights::None
        || options.recipe.class_weights.is_some()
        || options.train.sampler != Sampler::Shuffle;
    if !is_given && let Some(line) = inference::imbalance(&data.train, environment) {
        environment.note(&line);
    }
    if spec.recipe.class_weights != ClassWeights::None && options.train.sampler == Sampler::Balanced {
        environment.note(&format!(
            "note: {} and {} balanced together balance the classes twice",
            environment.option("class-weights"),
            environment.option("sampler")
        ));
    }
}

/// The folder of the newest run that has a checkpoint and the name that `options` say: theirs, else that of the network.
pub fn latest(options: &RunOptions) -> Result<Option<PathBuf>> {
    let name = match &options.name {
        Some(name) => name.clone(),
        None => network(&with_model(options.clone(), &())?, &Resume::Latest, &())?.0.name,
    };
    Ok(RunFolder::latest(options.output_dir.as_deref().unwrap_or(Path::new("runs")), &name))
}

/// The checkpoint to resume, and its folder, locked.
fn checkpoint(
    options: &RunOptions,
    resume: &Resume,
    model: &str,
    environment: &dyn Environment,
) -> Result<Option<(Checkpoint, RunFolder)>> {
    let path = match resume {
        Resume::No => return Ok(None),
        Resume::From(path) => path.clone(),
        Resume::Latest => {
            let name = options.name.as_deref().unwrap_or(model);
            let folder = options.output_dir.as_deref().unwrap_or(Path::new("runs"));
            let Some(path) = RunFolder::latest(folder, name) else {
                let folder = printable_path(folder);
                environment.note(&format!("resume: no checkpoint of {name} in {folder}: a new run"));
                return Ok(None);
            };
            path
        }
    };
    let (folder, all) = Checkpoint::find(&path)?;
    if !folder.join("log.jsonl").exists() {
        // A single file must be whole before a run's files are created beside it.
        Checkpoint::read_first(&all)?;
    }
    let folder = RunFolder::reopen(&folder)?;
    // Once more, now that no other process can change them.
    let (_, all) = Checkpoint::find(&path)?;
    let checkpoint = Checkpoint::read_first(&all)?;
    environment.note(&format!("resume: {}, step {}", printable_path(&checkpoint.path), checkpoint.step()));
    Ok(Some((checkpoint, folder)))
}
