//! The second half of opening a run, and training: model, first batches, device, memory, disk, executor, and only then the
//! folder.

use super::begin::{Initial, Run};
use super::environment::Environment;
use super::folder::RunFolder;
use super::options::RunOptions;
use super::recovery::{DeviceExecutor, Finished, PreparedRun, Recovery};
use super::report::RunReport;
use super::space::check_space;
use crate::data::{Dataset, Labels};
use crate::device::Device;
use crate::error::{Error, Result, printable_path};
use crate::inference::{
    BatchSource, assess, check_memory, check_spare_memory, class_weights, has_small_batches, initialise,
    load, outputs, restore_named, target,
};
use crate::model::{BuildOptions, Model, Summary};
use crate::program::{Executor, Program};
use crate::report::Evaluated;
use crate::train::{DeviceId, Done, Ending, Observer, Prefetcher, TrainingTask};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

impl Run<'_> {
    /// Trains to the end. `observer` receives every step and epoch.
    ///
    /// # Errors
    /// [`Error::Usage`] if the checkpoint to resume belongs to a different run; [`Error::Memory`] and [`Error::Io`] before anything is
    /// written, if memory or disk do not suffice; then those of [`crate::train::Trainer::run`] and of a device that is lost.
    pub fn train(self, observer: &mut dyn Observer) -> Result<Done> {
        self.train_to(observer, &mut |_, _| Ok(()))
    }

    /// As [`Run::train`]; `finish` gets the executor with the values that training ended with.
    pub(crate) fn train_to(
        mut self,
        observer: &mut dyn Observer,
        finish: &mut dyn FnMut(&Model, &mut dyn Executor) -> Result<()>,
    ) -> Result<Done> {
        let opened = self.choose_batch()?;
        self.check_identity()?;
        let build = self.build_options()?;
        let Run { options, training, environment, spec, data, initial, resumed, force } = self;
        let model = Model::build(&spec, &build)?;
        // The first batches are made while the device is opened and the weights are drawn.
        let state = resumed.as_ref().map(|(checkpoint, _)| checkpoint.state());
        let start = || Prefetcher::resume(&spec, &model, &data, &training, state);
        let early = if has_small_batches(&spec, &model) { Some(start()?) } else { None };
        let device = opened.map_or_else(|| open_device(&options, environment, None), Ok)?;
        let memory = Summary::new(&model).memory_line();
        // What it is made of, `summary` says.
        environment.note(&format!("memory: {}", memory.split(" (").next().unwrap_or(&memory)));
        check_memory(&device, &spec, &build, &model)?;
        let place = resumed.as_ref().map(|(_, folder)| folder.path()).or(options.output_dir.as_deref());
        place.map_or(Ok(()), |place| check_space(place, &model.program, &training))?;
        let prefetcher = early.map_or_else(start, Ok)?;
        environment.device_opened(&device, &spec, &model)?;
        let description = options.description(&spec, &device, environment);
        let mut was_opened = false;
        let open = || {
            let device = match std::mem::replace(&mut was_opened, true) {
                true => open_device(&options, environment, Some(&device))?,
                false => device.clone(),
            };
            let mut executor = device.executor(Arc::clone(&model.program))?;
            initialise(&model, executor.as_mut(), training.seed)?;
            match &initial {
                Initial::Seed => {}
                Initial::File(file, replaced) => {
                    load(&model, executor.as_mut(), (**file).clone(), replaced.as_deref())?;
                }
                Initial::Values(values) => restore_named(&model, executor.as_mut(), values)?,
            }
            Ok(DeviceExecutor {
                executor: environment.wrap(executor),
                device: DeviceId::new(device.name(), device.key()),
            })
        };
        let mut recovery = Recovery::new(options.on_device_lost, open);
        let device_executor = recovery.open(&mut |text| {
            environment.note(&format!("warning: {text}"));
            Ok(())
        })?;
        environment.starting()?;
        // Files are created only now that everything is open.
        let (checkpoint, folder) = match resumed {
            Some((checkpoint, folder)) => (Some(checkpoint), Some(folder)),
            None => (
                None,
                create(options.output_dir.as_deref(), options.name.as_deref(), &spec.name, &description)?,
            ),
        };
        let path = folder.as_ref().map(|folder| folder.path().to_path_buf());
        let command = folder.as_ref().map(|folder| environment.resume_command(folder.path()));
        let executors = |program: Arc<Program>| {
            check_spare_memory(&program)?;
            Device::cpu().executor(program)
        };
        let rule = || environment.learning_rate();
        let mut recovery = recovery
            .with_resume_command(command.unwrap_or_default())
            .with_executor_factory(&executors)
            .with_learning_rate(&rule);
        if let Some(save) = environment.save() {
            recovery = recovery.with_save_request(save);
        }
        let never = AtomicBool::new(false);
        let task = TrainingTask {
            spec: &spec,
            model: &model,
            data: &data,
            options: &training,
            device: DeviceId::default(),
        };
        let run = PreparedRun {
            task: task.clone(),
            device_executor,
            prefetcher,
            folder,
            checkpoint,
            force,
            args: description,
        };
        let stop = environment.stop().unwrap_or(&never);
        let mut finished = recovery.train_and_return(run, observer, stop)?;
        finish(&model, finished.executor.as_mut())?;
        let done = finished.done.clone();
        if let Some(path) = path.filter(|_| options.report && done.ending != Ending::Interrupted) {
            // The run has its results, whatever becomes of their report.
            match write_report(&path, &task, finished, &options, environment) {
                Ok(page) => environment.note(&format!("report: {}", printable_path(&page))),
                Err(error) => {
                    environment.note(&format!("warning: the run's report was not written: {error}"));
                }
            }
        }
        Ok(done)
    }
}

/// Writes the report of the run in `folder`, which has ended; its path.
fn write_report(
    folder: &Path,
    task: &TrainingTask<'_>,
    finished: Finished,
    options: &RunOptions,
    environment: &dyn Environment,
) -> Result<PathBuf> {
    let TrainingTask { spec, model, data, options: training, .. } = task;
    let Finished { mut executor, assessment, .. } = finished;
    let (report, file) =
        RunReport::of_folder(folder)?.with_command(environment.repeat_command(options)).with_weights();
    let has_classes =
        matches!(data.val.labels, Labels::Classes(_)) && model.classes > 1 && !data.val.is_empty();
    let answers = match (assessment, file) {
        // Its answers are those to a training batch.
        _ if training.overfit_batch => None,
        (Some(assessment), _) => Some(assessment),
        // The best epoch is of the time before the run was resumed.
        (None, Some(file)) if has_classes => {
            load(model, executor.as_mut(), file, None)?;
            let source = BatchSource::of(spec, model.batch, model.pixels.is_some(), &training.batch_source());
            let never = AtomicBool::new(false);
            let stop = environment.stop().unwrap_or(&never);
            let answers = assess(model, executor.as_mut(), &data.val, &source, spec.recipe.loss, stop)?;
            Some(answers).filter(|_| !stop.load(Ordering::Relaxed))
        }
        _ => None,
    };
    let report = match answers {
        Some(assessment) => {
            report.with_answers(Evaluated::of_validation(assessment, Arc::clone(&data.val), spec.input))
        }
        None if training.overfit_batch => report.without(ONE_BATCH),
        None => report.without(no_answers(&data.val, model.classes)),
    };
    report.write()
}

/// Why there are no answers where a run was trained on a single batch.
pub const ONE_BATCH: &str =
    "no confusion matrix, mistakes or calibration: the run was trained on a single batch";

/// Why there are no answers to the samples `data` by a network of `outputs` outputs, for a report.
pub fn no_answers(data: &Dataset, outputs: usize) -> &'static str {
    match data.labels {
        Labels::Values { .. } => {
            "no confusion matrix, mistakes or calibration: labels are values, not classes"
        }
        _ if outputs == 1 => "no confusion matrix, mistakes or calibration: the network has a single output",
        _ if data.is_empty() => {
            "no confusion matrix, mistakes or calibration: there are no validation samples"
        }
        _ => "no confusion matrix, mistakes or calibration: the best weights were not evaluated",
    }
}

impl Run<'_> {
    /// How the program of the run is built.
    pub(super) fn build_options(&self) -> Result<BuildOptions> {
        let Run { training, spec, data, .. } = self;
        let target = target(&data.train, spec.recipe.loss)?;
        let class_weights = class_weights(&spec.recipe, &data.train, outputs(spec)?)?;
        let pixels = data.pixels(spec.input);
        Ok(BuildOptions { pixels, class_weights, ..training.build_options(spec, target) })
    }
}

/// The device of a run: the first, or one after `lost`; in half precision if `options` ask for that.
pub(super) fn open_device(
    options: &RunOptions,
    environment: &dyn Environment,
    lost: Option<&Device>,
) -> Result<Device> {
    let device = environment.open_device(lost)?;
    if !options.amp {
        return Ok(device);
    }
    let (half, why) = device.half().map_err(|error| match error {
        Error::Device(what) => Error::Device(format!("{}: {what}", environment.option("amp"))),
        other => other,
    })?;
    why.iter().for_each(|why| environment.note(&format!("warning: {why}")));
    environment.note(&format!("precision: {}", half.precision()));
    Ok(half)
}

/// A new folder, if the run has one.
fn create(
    output_dir: Option<&Path>,
    name: Option<&str>,
    model: &str,
    description: &str,
) -> Result<Option<RunFolder>> {
    let create = |output_dir| RunFolder::create(output_dir, name.unwrap_or(model), description);
    output_dir.map(create).transpose()
}
