//! The flags that override a model file's `[recipe]`.

use crate::error::Result;
use crate::inference::{RecipeOverrides, read_class_weights};
use crate::model::{ClassWeights, Optimizer, Scheduler};
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};

/// The heading of the flags of the recipe.
pub(super) const RECIPE: &str = "Recipe (default: the model's)";

/// The heading of the flags of the learning rate schedule.
const SCHEDULE: &str = "Learning rate schedule (default: the model file's)";

#[derive(Args, Debug, Default)]
#[command(next_help_heading = RECIPE)]
pub(crate) struct RecipeArgs {
    /// Train for N epochs
    #[arg(long, value_name = "N")]
    pub epochs: Option<usize>,
    /// Use N samples per step
    ///
    /// auto takes the largest power of two up to 1024 that fits into memory.
    #[arg(short, long, value_name = "N|auto", value_parser = batch_size)]
    pub batch_size: Option<BatchSize>,
    /// Set the learning rate
    #[arg(long, value_name = "RATE", allow_negative_numbers = true)]
    pub lr: Option<f32>,
    /// Use sgd, adam, adamw or rmsprop
    ///
    /// An optimizer other than the model file's starts from its own defaults: lr 0.01 and momentum 0.9 for sgd, PyTorch's for the
    /// others.
    #[arg(long, value_name = "NAME", value_enum, hide_possible_values = true)]
    pub opt: Option<Opt>,
    /// Set the momentum (sgd, rmsprop) or beta1 (adam, adamw)
    #[arg(long, value_name = "M", allow_negative_numbers = true)]
    pub momentum: Option<f32>,
    /// Use Nesterov momentum (sgd)
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub nesterov: Option<bool>,
    /// Set the weight decay
    #[arg(long = "weight-decay", visible_alias = "wd", value_name = "D", allow_negative_numbers = true)]
    pub weight_decay: Option<f32>,
    /// Change the learning rate by this schedule
    #[arg(long, help_heading = SCHEDULE, value_name = "NAME", value_enum)]
    pub lr_scheduler: Option<LrScheduler>,
    /// Cut the learning rate every EPOCHS after the warm-up (step)
    #[arg(long, help_heading = SCHEDULE, value_name = "EPOCHS")]
    pub lr_step_size: Option<usize>,
    /// Cut the learning rate at these epochs after the warm-up, for example 30,60,80 (multistep)
    #[arg(long, help_heading = SCHEDULE, value_name = "EPOCHS", value_delimiter = ',')]
    pub lr_milestones: Option<Vec<usize>>,
    /// Multiply the learning rate by FACTOR at each cut (step, multistep, plateau)
    #[arg(long, help_heading = SCHEDULE, value_name = "FACTOR", allow_negative_numbers = true)]
    pub lr_gamma: Option<f32>,
    /// Never go below this learning rate (all schedulers except constant)
    #[arg(long, help_heading = SCHEDULE, value_name = "RATE", allow_negative_numbers = true)]
    pub lr_min: Option<f32>,
    /// Set the exponent (poly)
    #[arg(long, help_heading = SCHEDULE, value_name = "P", allow_negative_numbers = true)]
    pub lr_power: Option<f32>,
    /// Cut after EPOCHS without a lower validation error (1 - top-1, or the loss if there are no classes) (plateau) [default:
    /// 5]
    #[arg(long, help_heading = SCHEDULE, value_name = "EPOCHS")]
    pub lr_patience: Option<usize>,
    /// Stop training instead of making more than N cuts (plateau)
    #[arg(long, help_heading = SCHEDULE, value_name = "N")]
    pub lr_cuts: Option<usize>,
    /// Warm up linearly over EPOCHS (may be fractional)
    #[arg(long, help_heading = SCHEDULE, value_name = "EPOCHS", allow_negative_numbers = true)]
    pub lr_warmup_epochs: Option<f32>,
    /// Smooth the labels of the cross-entropy by S, in the validation loss, too
    #[arg(long, value_name = "S", allow_negative_numbers = true)]
    pub label_smoothing: Option<f32>,
    /// Weight the classes in the training loss: balanced gives a class the weight samples / (classes x its samples); a file has
    /// a class and its weight on each line. The validation loss is not weighted
    #[arg(long, value_name = "none|balanced|FILE")]
    pub class_weights: Option<PathBuf>,
    /// Clip gradients to this norm over all parameters
    #[arg(long, value_name = "NORM", allow_negative_numbers = true)]
    pub clip_grad_norm: Option<f32>,
    /// Accumulate the gradients of N batches per update
    #[arg(long, value_name = "N")]
    pub grad_accum_steps: Option<usize>,
    /// Stop after EPOCHS without improvement
    ///
    /// Improvement is measured on the validation set.
    #[arg(long, value_name = "EPOCHS")]
    pub patience: Option<usize>,
}

/// Largest batch size that a flag accepts: far beyond any memory, far below any overflow.
pub(crate) const MOST_ROWS: i64 = 1 << 20;

/// A batch size as the flag names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BatchSize {
    /// As large as fits.
    Auto,
    Rows(u32),
}

fn batch_size(text: &str) -> std::result::Result<BatchSize, String> {
    if text == "auto" {
        return Ok(BatchSize::Auto);
    }
    let rows = text.parse().ok().filter(|rows| (1..=MOST_ROWS).contains(&i64::from(*rows)));
    rows.map(BatchSize::Rows).ok_or_else(|| format!("expected auto or a number from 1 to {MOST_ROWS}"))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Opt {
    Sgd,
    Adam,
    Adamw,
    Rmsprop,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LrScheduler {
    Constant,
    Step,
    Multistep,
    Cosine,
    Poly,
    Plateau,
}

impl From<Opt> for Optimizer {
    fn from(opt: Opt) -> Self {
        match opt {
            Opt::Sgd => Optimizer::Sgd,
            Opt::Adam => Optimizer::Adam,
            Opt::Adamw => Optimizer::AdamW,
            Opt::Rmsprop => Optimizer::RmsProp,
        }
    }
}

impl From<LrScheduler> for Scheduler {
    fn from(scheduler: LrScheduler) -> Self {
        match scheduler {
            LrScheduler::Constant => Scheduler::Constant,
            LrScheduler::Step => Scheduler::Step,
            LrScheduler::Multistep => Scheduler::MultiStep,
            LrScheduler::Cosine => Scheduler::Cosine,
            LrScheduler::Poly => Scheduler::Poly,
            LrScheduler::Plateau => Scheduler::Plateau,
        }
    }
}

impl RecipeArgs {
    /// Whether the batch size is to be chosen.
    pub fn chooses_batch(&self) -> bool {
        self.batch_size == Some(BatchSize::Auto)
    }

    /// The file of class weights, if the flag names one.
    pub fn class_weights_file(&self) -> Option<&Path> {
        let is_word = |path: &&PathBuf| matches!(path.to_str(), Some("none" | "balanced"));
        self.class_weights.as_ref().filter(|path| !is_word(path)).map(PathBuf::as_path)
    }

    /// The recipe overrides of the flags; reads the file of class weights.
    pub fn overrides(&self) -> Result<RecipeOverrides> {
        let batch_size = match self.batch_size {
            Some(BatchSize::Rows(rows)) => Some(rows as usize),
            Some(BatchSize::Auto) | None => None,
        };
        let class_weights = self.class_weights.as_ref().map(|path| match path.to_str() {
            Some("none") => Ok(ClassWeights::None),
            Some("balanced") => Ok(ClassWeights::Balanced),
            _ => read_class_weights(path),
        });
        Ok(RecipeOverrides {
            epochs: self.epochs,
            batch_size,
            lr: self.lr,
            optimizer: self.opt.map(Optimizer::from),
            momentum: self.momentum,
            nesterov: self.nesterov,
            weight_decay: self.weight_decay,
            lr_scheduler: self.lr_scheduler.map(Scheduler::from),
            lr_step_size: self.lr_step_size,
            lr_milestones: self.lr_milestones.clone(),
            lr_gamma: self.lr_gamma,
            lr_min: self.lr_min,
            lr_power: self.lr_power,
            lr_patience: self.lr_patience,
            lr_cuts: self.lr_cuts,
            lr_warmup_epochs: self.lr_warmup_epochs,
            label_smoothing: self.label_smoothing,
            class_weights: class_weights.transpose()?,
            clip_grad_norm: self.clip_grad_norm,
            grad_accum_steps: self.grad_accum_steps,
            patience: self.patience,
        })
    }
}
