//! The flags of `striate train`, and the options that they stand for.

use super::flags::{DEVICE, OUTPUT};
use super::recipe::{RECIPE, RecipeArgs};
use super::regularization::RegularizationArgs;
use super::resume::ResumeArgs;
use super::source::SourceArgs;
use crate::data::Sampler;
use crate::error::{Error, Result};
use crate::run::{OnDeviceLost, RunOptions};
use crate::train::RateGroup;
use clap::Args;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  striate train
  striate train --resume auto
  striate train -m alexnet --data-path /data/imagenet --epochs 90 -b 256 --lr-warmup-epochs 5
  striate train --weights runs/alexnet/best.safetensors -m alexnet --num-classes 5 --lr-mult features=0.1 --data-path flowers";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TrainArgs {
    #[command(flatten)]
    pub source: SourceArgs,
    /// Train this network (`striate models`)
    ///
    /// A built-in network by its name, or a model file. [default: the network that --weights was trained with, else alexnet-mini]
    #[arg(short, long, value_name = "NAME|FILE", help_heading = RECIPE)]
    pub model: Option<String>,
    /// Start from these weights
    ///
    /// A file, or the folder of a run, whose best weights are taken.
    #[arg(long, value_name = "FILE", help_heading = RECIPE)]
    pub weights: Option<PathBuf>,
    #[command(flatten)]
    pub recipe: RecipeArgs,
    #[command(flatten)]
    pub regularization: RegularizationArgs,
    #[command(flatten)]
    pub run: RunArgs,
    #[command(flatten)]
    pub resume: ResumeArgs,
}

#[derive(Args, Debug)]
#[command(next_help_heading = RECIPE)]
pub(crate) struct RunArgs {
    /// Random seed
    ///
    /// It sets initialisation, shuffling and sampling, augmentation, mixing and dropout.
    #[arg(long, default_value_t = 0, value_name = "N")]
    seed: u64,
    /// Store runs in this folder
    #[arg(long, default_value = "runs", value_name = "DIR", help_heading = OUTPUT)]
    pub output_dir: PathBuf,
    /// Name the run's folder [default: the model's]
    ///
    /// -2, -3, ... is added if it exists.
    #[arg(long, value_name = "NAME", value_parser = folder_name, help_heading = OUTPUT)]
    pub name: Option<String>,
    /// Replace the network's last layer by one with N outputs, newly initialised
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    num_classes: Option<u32>,
    /// Freeze parameters whose names start with PREFIX; may be repeated. Batch norms with nothing trained below them keep
    /// their running statistics and use them
    #[arg(long, value_name = "PREFIX")]
    freeze: Vec<String>,
    /// Multiply the learning rate of parameters whose names start with PREFIX; may be repeated, the longest prefix wins
    #[arg(long, value_name = "PREFIX=FACTOR", value_parser = rate_group)]
    lr_mult: Vec<RateGroup>,
    /// Stop after N steps; the learning-rate schedule stays that of the whole run
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub max_steps: Option<u64>,
    /// Report every STEPS steps
    #[arg(
        long, default_value_t = 10, value_name = "STEPS", help_heading = OUTPUT,
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    pub log_every: u32,
    /// Disable shuffling: take samples in the order of the data
    #[arg(long)]
    no_shuffle: bool,
    /// Draw the samples of an epoch: shuffle takes every sample once; balanced draws with replacement, every class equally often
    #[arg(
        long,
        default_value_t,
        value_name = "shuffle|balanced",
        value_parser = sampler,
        conflicts_with_all = ["no_shuffle", "overfit_batch"]
    )]
    sampler: Sampler,
    /// Disable augmentation
    #[arg(long)]
    no_augment: bool,
    /// Disable dropout
    #[arg(long)]
    no_dropout: bool,
    /// Profile a few of the first steps by operator, against the measured peak rates of the device: on stderr, or in a file
    /// as a chart (.svg), JSON (.json) or text. Results are unchanged
    #[arg(
        long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "-",
        help_heading = OUTPUT
    )]
    pub profile: Option<PathBuf>,
    /// Write an image of the first samples as the network sees them, without and with augmentation, and exit
    #[arg(long, value_name = "FILE.png", help_heading = OUTPUT)]
    pub preview: Option<PathBuf>,
    /// Choose what happens if the GPU is lost or runs out of memory: retry reopens it and resumes from the newest checkpoint
    /// (or restarts if there is none), and gives up after three losses without a step between them; stop ends at the first.
    /// The error then names the checkpoint and the command that resumes the run
    #[arg(long, default_value_t, value_name = "retry|stop", value_parser = on_device_lost, help_heading = DEVICE)]
    pub on_device_lost: OnDeviceLost,
    /// Train in mixed precision on a GPU
    ///
    /// The operands of convolutions and linear layers are rounded to f16. Sums and stored values stay f32; the loss is scaled so
    /// that small gradients survive.
    #[arg(long, help_heading = DEVICE)]
    amp: bool,
    /// Train on the first batch only, again and again; a network that cannot memorise it has a defect
    #[arg(long)]
    overfit_batch: bool,
}

/// A name of one folder.
fn folder_name(text: &str) -> std::result::Result<String, String> {
    match text.contains(['/', '\\']) {
        false => Ok(text.to_string()),
        true => Err("expected a name without / (--output-dir names the folder around it)".into()),
    }
}

fn rate_group(text: &str) -> std::result::Result<RateGroup, String> {
    text.parse().map_err(|e: Error| e.to_string())
}

fn sampler(text: &str) -> std::result::Result<Sampler, String> {
    text.parse().map_err(|_| "expected shuffle or balanced".to_string())
}

fn on_device_lost(text: &str) -> std::result::Result<OnDeviceLost, String> {
    text.parse().map_err(|_| "expected retry or stop".to_string())
}

impl TrainArgs {
    /// The options of the run that the flags describe.
    pub fn options(&self) -> Result<RunOptions> {
        let (run, resume) = (&self.run, &self.resume);
        let mut options = RunOptions::default();
        options.model.clone_from(&self.model);
        options.weights.clone_from(&self.weights);
        options.num_classes = run.num_classes.map(|n| n as usize);
        options.lr_mult.clone_from(&run.lr_mult);
        options.output_dir = Some(run.output_dir.clone());
        options.name.clone_from(&run.name);
        options.amp = run.amp;
        options.on_device_lost = run.on_device_lost;
        options.data = self.source.options();
        options.recipe = self.recipe.overrides()?;
        options.auto_batch = self.recipe.chooses_batch();
        let train = &mut options.train;
        train.seed = run.seed;
        train.workers = self.source.workers();
        train.shuffle = !run.no_shuffle;
        train.sampler = run.sampler;
        train.augment = !run.no_augment;
        train.dropout = !run.no_dropout;
        train.overfit_batch = run.overfit_batch;
        train.max_steps = run.max_steps.map(|n| n as usize);
        train.log_every = run.log_every as usize;
        train.on_bad_file = self.source.on_bad_file;
        train.checkpoint_every = resume.checkpoint_every.map(|n| n as usize);
        train.checkpoint_hist = resume.checkpoint_hist as usize;
        self.regularization.put(train);
        train.freeze = (!run.freeze.is_empty()).then(|| run.freeze.join(","));
        Ok(options)
    }

    /// The stored `options` of a run that is resumed, with what flags may change of it: those of [`super::resume::HOW`], where
    /// `is_typed` says that they were typed.
    pub fn over(&self, mut options: RunOptions, is_typed: &dyn Fn(&str) -> bool) -> Result<RunOptions> {
        let typed = self.options()?;
        let set = |id: &str, put: &mut dyn FnMut()| {
            if is_typed(id) {
                put();
            }
        };
        let RunOptions { train, output_dir, name, on_device_lost, .. } = &mut options;
        set("max_steps", &mut || train.max_steps = typed.train.max_steps);
        set("log_every", &mut || train.log_every = typed.train.log_every);
        set("workers", &mut || train.workers = typed.train.workers);
        set("on_bad_file", &mut || train.on_bad_file = typed.train.on_bad_file);
        set("checkpoint_every", &mut || train.checkpoint_every = typed.train.checkpoint_every);
        set("checkpoint_hist", &mut || train.checkpoint_hist = typed.train.checkpoint_hist);
        set("on_device_lost", &mut || *on_device_lost = typed.on_device_lost);
        set("output_dir", &mut || output_dir.clone_from(&typed.output_dir));
        set("name", &mut || name.clone_from(&typed.name));
        Ok(options)
    }
}
