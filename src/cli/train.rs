//! `striate train`.

use super::Context;
use super::beginning::Beginning;
use super::device;
use super::memory;
use super::profiled::{Profiling, Told};
use super::progress::Progress;
use super::recipe::{self, RecipeArgs};
use super::remembered;
use super::resume::{self, ResumeArgs};
use super::source::{self, SourceArgs, quoted};
use super::stop::Signals;
use crate::atomic;
use crate::data::Splits;
use crate::device::Device;
use crate::error::{Error, Result, printable_path};
use crate::inference;
use crate::interchange;
use crate::model::{BuildOptions, Model, Spec, Summary};
use crate::ops::Scaling;
use crate::program::Program;
use crate::run::{self, Job, OnDeviceLost, Opened, Recovery, RunFolder};
use crate::train::{self, DeviceId, Ending, Options, Prefetcher, RateGroup, Task};
use crate::view::{Geometry, Rules};
use clap::Args;
use serde_json::json;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const EXAMPLES: &str = "\
Examples:
  striate train
  striate train --resume auto
  striate train -m alexnet --data-path /data/imagenet --epochs 90 -b 256 --lr-warmup-epochs 5
  striate train --weights runs/alexnet/best.safetensors -m alexnet --num-classes 5 --lr-mult features=0.1 --data-path flowers";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TrainArgs {
    /// A built-in network or a model file [default: the one that --weights was trained with, else alexnet-mini]
    #[arg(short, long, value_name = "NAME|FILE.toml")]
    model: Option<String>,
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    recipe: RecipeArgs,
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    resume: ResumeArgs,
}

/// The network of `striate train` without more words.
pub(crate) const DEFAULT_MODEL: &str = "alexnet-mini";

#[derive(Args, Debug)]
#[command(next_help_heading = "Run")]
struct RunArgs {
    /// Of initial values, order, augmentation and dropout
    #[arg(long, default_value_t = 0, value_name = "N")]
    seed: u64,
    /// Where runs are kept
    #[arg(long, default_value = "runs", value_name = "DIR")]
    output_dir: PathBuf,
    /// Name of this run's folder; -2, -3, ... is added if it exists [default: the model's name]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Start from these weights
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// Replace the outputs of the network's last layer, which starts anew
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    num_classes: Option<u32>,
    /// Do not train parameters whose names begin so; may be repeated. Batch norms with nothing trained below them keep
    /// their running statistics and use them
    #[arg(long, value_name = "PREFIX")]
    freeze: Vec<String>,
    /// Multiply the learning rate of parameters whose names begin so; may be repeated, the longest prefix wins
    #[arg(long, value_name = "PREFIX=FACTOR", value_parser = rate_group)]
    lr_mult: Vec<RateGroup>,
    /// Stop after so many steps; the learning-rate schedule stays that of the whole run
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max_steps: Option<u64>,
    /// Steps between two reports
    #[arg(long, default_value_t = 10, value_name = "STEPS", value_parser = clap::value_parser!(u32).range(1..))]
    log_every: u32,
    /// Samples in the data's own order
    #[arg(long)]
    no_shuffle: bool,
    /// Samples as they are
    #[arg(long)]
    no_augment: bool,
    /// Dropout layers do nothing
    #[arg(long)]
    no_dropout: bool,
    /// Time a few of the first steps operator by operator, against what the device was measured to be able to do: on stderr,
    /// or in a file, as a chart (.svg), JSON (.json) or text. No result depends on it
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "-")]
    profile: Option<PathBuf>,
    /// Only write how the first samples will look to the network, each without and with the changes of training
    #[arg(long, value_name = "FILE.png")]
    preview: Option<PathBuf>,
    /// If the GPU is lost or has no memory left on the way: retry opens it anew and goes on from the newest checkpoint (or the
    /// beginning, where there is none), and gives up after three losses without a step between them; stop ends at the first.
    /// The error then names the checkpoint and how to go on
    #[arg(long, default_value_t, value_name = "retry|stop", value_parser = on_device_lost)]
    on_device_lost: OnDeviceLost,
    /// Half precision, on a GPU: the factors of convolutions and linear layers are rounded to f16. Sums, and all that is
    /// kept, stay f32; the loss is scaled so that small gradients survive
    #[arg(long)]
    amp: bool,
    /// Train on the first batch alone, over and over; a network that cannot learn it by heart has a fault
    #[arg(long)]
    overfit_batch: bool,
}

fn rate_group(text: &str) -> std::result::Result<RateGroup, String> {
    text.parse().map_err(|e: Error| e.to_string())
}

fn on_device_lost(text: &str) -> std::result::Result<OnDeviceLost, String> {
    text.parse().map_err(|_| "expected retry or stop".to_string())
}

impl TrainArgs {
    fn options(&self) -> Options {
        Options {
            seed: self.run.seed,
            workers: self.source.workers(),
            shuffle: !self.run.no_shuffle,
            augment: !self.run.no_augment,
            dropout: !self.run.no_dropout,
            overfit_batch: self.run.overfit_batch,
            max_steps: self.run.max_steps.map(|n| n as usize),
            log_every: self.run.log_every as usize,
            on_bad_file: self.source.on_bad_file,
            checkpoint_every: self.resume.checkpoint_every.map(|n| n as usize),
            checkpoint_hist: self.resume.checkpoint_hist as usize,
            loss_scale: self.run.amp.then_some(Scaling::INITIAL),
            freeze: (!self.run.freeze.is_empty()).then(|| self.run.freeze.join(",")),
        }
    }

    /// Everything that decided this run, as `args.toml`.
    fn to_toml(&self, spec: &Spec, device: &Device, typed: &[OsString]) -> String {
        let mut table = toml::Table::new();
        let mut put = |key: &str, value: toml::Value| {
            table.insert(key.to_string(), value);
        };
        let path = |p: &PathBuf| toml::Value::String(p.display().to_string());
        put("striate", env!("CARGO_PKG_VERSION").into());
        put(resume::COMMAND, resume::words(typed).into());
        put("model", self.model.clone().unwrap_or_else(|| spec.name.clone()).into());
        put("device", device.long_name().into());
        put("dataset", self.source.dataset.to_string().into());
        // TOML has no whole numbers beyond 63 bits.
        put("seed", self.run.seed.to_string().into());
        put("on_bad_file", self.source.on_bad_file.to_string().into());
        put("workers", (self.source.workers() as i64).into());
        put("output_dir", path(&self.run.output_dir));
        put("freeze", self.run.freeze.clone().into());
        let rates = self.run.lr_mult.iter().map(|g| format!("{}={}", g.prefix, g.factor));
        put("lr_mult", rates.collect::<Vec<_>>().into());
        put("log_every", i64::from(self.run.log_every).into());
        put("shuffle", (!self.run.no_shuffle).into());
        put("augment", (!self.run.no_augment).into());
        put("dropout", (!self.run.no_dropout).into());
        put("overfit_batch", self.run.overfit_batch.into());
        put("on_device_lost", self.run.on_device_lost.to_string().into());
        put("checkpoint_hist", i64::from(self.resume.checkpoint_hist).into());
        let optional = [
            ("data_path", self.source.data_path.clone().map(Into::into)),
            ("input_range", self.source.input_range.map(|range| range.to_string().into())),
            ("label_column", self.source.label_column.clone().map(Into::into)),
            ("val_split", self.source.val_split.map(|share| f64::from(share).into())),
            ("split", self.source.split.map(|[train, val]| format!("{train}/{val}").into())),
            ("limit_train", self.source.limit_train.map(|n| (n as i64).into())),
            ("limit_val", self.source.limit_val.map(|n| (n as i64).into())),
            ("checkpoint_every", self.resume.checkpoint_every.map(|n| i64::from(n).into())),
            ("ignore_exif", self.source.ignore_exif.then_some(true.into())),
            ("amp", self.run.amp.then_some(true.into())),
            ("max_steps", self.run.max_steps.map(|n| (n as i64).into())),
            ("num_classes", self.run.num_classes.map(|n| i64::from(n).into())),
            ("weights", self.run.weights.as_ref().map(path)),
        ];
        for (key, value) in optional {
            if let Some(value) = value {
                put(key, value);
            }
        }
        put("recipe", recipe::table(&spec.recipe).into());
        table.to_string()
    }
}

fn preview(path: &Path, spec: &Spec, data: &Splits, options: &Options, context: &Context) -> Result<u8> {
    let (sheet, left_out) = run::preview(spec, data, options, |program| Device::cpu().executor(program))?;
    left_out.iter().for_each(|line| context.out.note(&format!("warning: {line}")));
    let mut png = Vec::new();
    sheet.write(&mut png)?;
    atomic::write(path, |out| out.write_all(&png))?;
    let pictures = sheet.pictures();
    if context.out.is_json() {
        let output = path.display().to_string();
        context.out.json(&json!({"event": "preview", "output": output, "pictures": pictures}))?;
    } else {
        context.out.line(&format!("{}: {pictures} pictures", printable_path(path)))?;
    }
    Ok(0)
}

pub(super) fn run(args: &TrainArgs, context: &Context) -> Result<u8> {
    // A run that goes on has its own; of the file it may still need the network.
    let needs_weights = args.resume.is_new() || args.model.is_none();
    let weights = args.run.weights.as_ref().filter(|_| needs_weights);
    let mut weights = weights.map(interchange::read).transpose()?;
    let mut spec = match (&args.model, &weights) {
        (None, Some(file)) if file.metadata.contains_key("model") => inference::spec_of(file, None)?,
        (model, _) => Spec::load(model.as_deref().unwrap_or(DEFAULT_MODEL))?,
    };
    if let Some(file) = weights.as_ref().filter(|_| args.model.is_some()) {
        source::warn_of_input(file, &spec, &context.out);
    }
    let of_the_file = spec.recipe.clone();
    args.recipe.apply(&mut spec)?;
    let replaced = match args.run.num_classes {
        Some(classes) => Some(spec.replace_outputs(classes as usize)?),
        None => None,
    };
    train::scale_rates(&mut spec, &args.run.lr_mult)?;
    let options = args.options();
    if args.run.profile.as_ref().is_some_and(|path| path.as_os_str() == "-") && context.out.is_quiet() {
        let what =
            "expected a file (--profile=FILE) with --quiet, which prints nothing on stderr, found none";
        return Err(Error::Usage(format!("--profile: {what}")));
    }
    if let Some(path) = &args.run.preview {
        let mut outputs = args.source.read_by(args.model.as_deref(), args.run.weights.as_deref(), &spec);
        outputs.check("--preview", path)?;
    }
    if let Some(path) = args.run.profile.as_ref().filter(|path| path.as_os_str() != "-") {
        let mut outputs = args.source.read_by(args.model.as_deref(), args.run.weights.as_deref(), &spec);
        outputs.check("--profile", path)?;
    }
    // Before anything that takes long: whoever may not go on is to know it at once.
    let name = args.run.name.clone().unwrap_or_else(|| spec.name.clone());
    let resumed = args.resume.open(&args.run.output_dir, &name, &context.out)?;
    if resumed.is_none() {
        if args.model.is_some() {
            spec.check_effects()?;
        }
        args.recipe.check_effects(&spec.recipe)?;
    }
    if let Some(news) = args.recipe.news(&of_the_file, &spec.recipe) {
        context.out.note(&news);
    }
    // A run that goes on looks at pictures as it did; a new one as is right today, whatever its weights were trained with.
    spec.geometry = Geometry {
        rules: resumed.as_ref().map_or(Rules::default(), |(checkpoint, _)| checkpoint.rules()),
        ignore_exif: args.source.ignore_exif,
    };
    let start = Beginning {
        source: &args.source,
        seed: args.run.seed,
        is_replaced: replaced.is_some(),
        has_weights: args.run.weights.is_some(),
        checkpoint: resumed.as_ref().map(|(checkpoint, _)| checkpoint),
        out: &context.out,
    };
    let data = start.open(&mut spec, weights.as_mut())?;
    if let Some(path) = &args.run.preview {
        return preview(path, &spec, &data, &options, context);
    }
    if let Some((checkpoint, _)) = resumed.as_ref().filter(|_| !args.resume.resume_force) {
        let checked = checkpoint.check(&spec, &data, &options);
        checked.map_err(|error| remembered::named(resume::advised(error), checkpoint, &data))?;
    }
    let target = inference::target(&data.train, spec.recipe.loss)?;
    let pixels = data.pixels(spec.input);
    let build = BuildOptions { pixels, ..options.build_options(&spec, target) };
    let model = Model::build(&spec, &build)?;
    // The first batches are made while the device is opened and the weights are drawn.
    let from = resumed.as_ref().map(|(checkpoint, _)| checkpoint);
    let start =
        || Prefetcher::resume(&spec, &model, &data, &options, from.map(|checkpoint| checkpoint.state()));
    let early = if memory::has_small_batches(&spec, &model) { Some(start()?) } else { None };
    let device = device::open(context)?;
    let device = if args.run.amp { device::half(&device, context)? } else { device };
    context.out.note(&format!("memory: {}", Summary::new(&model).memory_line()));
    memory::check(&device, &spec, &build, &model)?;
    let place = resumed.as_ref().map_or(args.run.output_dir.as_path(), |(_, folder)| folder.path());
    run::check_space(place, &model.program, &options)?;
    let prefetcher = early.map_or_else(start, Ok)?;
    let profiling = match &args.run.profile {
        Some(path) => Some(Profiling::new(path, &device, &spec, &model, context)?),
        None => None,
    };
    let (args_toml, spans) =
        (args.to_toml(&spec, &device, &context.typed), profiling.as_ref().map(Profiling::spans));
    let weights = weights.filter(|_| resumed.is_none());
    let mut was_opened = false;
    let open = || {
        let mut device = device.clone();
        if std::mem::replace(&mut was_opened, true) {
            device = device::reopen(&device, context)?;
            if args.run.amp {
                device = device::half(&device, context)?;
            }
        }
        let mut executor = device.executor(Arc::clone(&model.program))?;
        inference::initialise(&model, executor.as_mut(), options.seed)?;
        if let Some(file) = &weights {
            inference::load(&model, executor.as_mut(), file.clone(), replaced.as_deref())?;
        }
        Ok(Opened {
            executor: Profiling::around(spans.as_ref(), executor),
            device: DeviceId::new(device.name(), device.key()),
        })
    };
    let mut recovery = Recovery::new(args.run.on_device_lost, open);
    let opened = recovery.open(&mut |text| {
        context.out.note(&format!("warning: {text}"));
        Ok(())
    })?;
    let signals = Signals::listen()?;
    // Only now that everything is open may the run leave something behind.
    let (checkpoint, folder) = match resumed {
        Some((checkpoint, folder)) => (Some(checkpoint), folder),
        None => (None, RunFolder::create(&args.run.output_dir, &name, &args_toml)?),
    };
    let flags = args.source.flags();
    let eval = move |weights: &str| format!("striate eval --weights {}{flags}", quoted(weights));
    let go_on = resume::command(folder.path());
    let progress = Progress::new(context.out, eval, go_on.clone());
    let mut progress = Told::new(progress, profiling);
    let executors = |program: Arc<Program>| {
        memory::check_spare(&program)?;
        Device::cpu().executor(program)
    };
    let task =
        Task { spec: &spec, model: &model, data: &data, options: &options, device: DeviceId::default() };
    let (folder, force) = (Some(folder), args.resume.resume_force);
    let job = Job { task, opened, prefetcher, folder, checkpoint, force, args: args_toml };
    let recovery =
        recovery.with_go_on(go_on).with_save_request(&signals.save).with_executor_factory(&executors);
    let done = recovery.train(job, &mut progress, &signals.stop)?;
    let said = progress.finish();
    // Whoever has sent the signal is to know that it was heard, whatever has become of stdout.
    if done.ending == Ending::Interrupted {
        return Ok(signals.code());
    }
    said.map(|()| 0)
}
