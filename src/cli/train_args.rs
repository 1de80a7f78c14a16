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
    /// A built-in network by its name, or a model file. [default: the network that --weights was trained with, else
    /// alexnet-mini for grey images of up to 28 x 28 and alexnet-64 for others]
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
    /// Leave out the report at the end of the run: curves.svg, confusion.svg, mistakes.png and report.html in its folder
    #[arg(
        long, value_name = "true|false", num_args = 0..=1, require_equals = true, default_missing_value = "true",
        default_value = "false", hide_default_value = true, hide_possible_values = true, help_heading = OUTPUT
    )]
    pub no_report: bool,
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
        options.report = !run.no_report;
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

    /// Puts what the flag `id` says, as `typed` holds it, over `options`. False if it is no flag of this kind.
    pub fn lay_over(options: &mut RunOptions, typed: &RunOptions, id: &str) -> bool {
        let RunOptions { data, recipe, train, .. } = options;
        match id {
            "model" => options.model.clone_from(&typed.model),
            "weights" => options.weights.clone_from(&typed.weights),
            "num_classes" => options.num_classes = typed.num_classes,
            "lr_mult" => options.lr_mult.clone_from(&typed.lr_mult),
            "output_dir" => options.output_dir.clone_from(&typed.output_dir),
            "name" => options.name.clone_from(&typed.name),
            "amp" => options.amp = typed.amp,
            "no_report" => options.report = typed.report,
            "on_device_lost" => options.on_device_lost = typed.on_device_lost,
            "data_path" => data.path.clone_from(&typed.data.path),
            "dataset" => data.kind = typed.data.kind,
            "input_range" => data.input_range = typed.data.input_range,
            "image_column" => data.image_column.clone_from(&typed.data.image_column),
            "label_column" => data.label_column.clone_from(&typed.data.label_column),
            "image_root" => data.image_root.clone_from(&typed.data.image_root),
            "transpose" => data.transpose = typed.data.transpose,
            // One of the two excludes the other.
            "val_split" | "split" => {
                (data.val_split, data.split) = (typed.data.val_split, typed.data.split);
            }
            "limit_train" => data.limit_train = typed.data.limit_train,
            "limit_val" => data.limit_val = typed.data.limit_val,
            "ignore_exif" => data.ignore_exif = typed.data.ignore_exif,
            "batch_size" => {
                (options.auto_batch, recipe.batch_size) = (typed.auto_batch, typed.recipe.batch_size);
            }
            "epochs" => recipe.epochs = typed.recipe.epochs,
            "lr" => recipe.lr = typed.recipe.lr,
            "opt" => recipe.optimizer = typed.recipe.optimizer,
            "momentum" => recipe.momentum = typed.recipe.momentum,
            "nesterov" => recipe.nesterov = typed.recipe.nesterov,
            "weight_decay" => recipe.weight_decay = typed.recipe.weight_decay,
            "lr_scheduler" => recipe.lr_scheduler = typed.recipe.lr_scheduler,
            "lr_step_size" => recipe.lr_step_size = typed.recipe.lr_step_size,
            "lr_milestones" => recipe.lr_milestones.clone_from(&typed.recipe.lr_milestones),
            "lr_gamma" => recipe.lr_gamma = typed.recipe.lr_gamma,
            "lr_min" => recipe.lr_min = typed.recipe.lr_min,
            "lr_power" => recipe.lr_power = typed.recipe.lr_power,
            "lr_patience" => recipe.lr_patience = typed.recipe.lr_patience,
            "lr_cuts" => recipe.lr_cuts = typed.recipe.lr_cuts,
            "lr_warmup_epochs" => recipe.lr_warmup_epochs = typed.recipe.lr_warmup_epochs,
            "label_smoothing" => recipe.label_smoothing = typed.recipe.label_smoothing,
            "class_weights" => recipe.class_weights.clone_from(&typed.recipe.class_weights),
            "clip_grad_norm" => recipe.clip_grad_norm = typed.recipe.clip_grad_norm,
            "grad_accum_steps" => recipe.grad_accum_steps = typed.recipe.grad_accum_steps,
            "patience" => recipe.patience = typed.recipe.patience,
            "ema" => train.ema = typed.train.ema,
            "mixup" => train.mixup = typed.train.mixup,
            "cutmix" => train.cutmix = typed.train.cutmix,
            "random_erasing" => train.random_erasing = typed.train.random_erasing,
            "trivial_augment" => train.trivial_augment = typed.train.trivial_augment,
            "seed" => train.seed = typed.train.seed,
            "workers" => train.workers = typed.train.workers,
            "no_shuffle" => train.shuffle = typed.train.shuffle,
            "sampler" => train.sampler = typed.train.sampler,
            "no_augment" => train.augment = typed.train.augment,
            "no_dropout" => train.dropout = typed.train.dropout,
            "overfit_batch" => train.overfit_batch = typed.train.overfit_batch,
            "freeze" => train.freeze.clone_from(&typed.train.freeze),
            "max_steps" => train.max_steps = typed.train.max_steps,
            "log_every" => train.log_every = typed.train.log_every,
            "on_bad_file" => train.on_bad_file = typed.train.on_bad_file,
            "checkpoint_every" => train.checkpoint_every = typed.train.checkpoint_every,
            "checkpoint_hist" => train.checkpoint_hist = typed.train.checkpoint_hist,
            _ => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flag_of_a_run_can_be_given_when_it_is_resumed() {
        // Where a run is resumed and what is written beside it are no options of the run.
        const OTHERS: [&str; 5] = ["resume", "resume_force", "profile", "preview", "help"];
        let command = TrainArgs::augment_args(clap::Command::new("train"));
        for argument in command.get_arguments() {
            let id = argument.get_id().as_str();
            let mut options = RunOptions::default();
            let is_known = TrainArgs::lay_over(&mut options, &RunOptions::default(), id);
            assert_ne!(is_known, OTHERS.contains(&id), "{id}");
        }
    }
}
