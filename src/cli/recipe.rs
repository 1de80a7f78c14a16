//! The flags that override a model file's `[recipe]`.

use crate::inference::RecipeOverrides;
use crate::model::{Optimizer, Scheduler};
use clap::{Args, ValueEnum};

/// The heading of the flags of the learning rate schedule.
const SCHEDULE: &str = "Learning rate schedule (default: the model file's)";

#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Recipe (default: the model file's)")]
pub(crate) struct RecipeArgs {
    /// Train for N epochs
    #[arg(long, value_name = "N")]
    pub epochs: Option<usize>,
    /// Use N samples per step
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=MOST_ROWS))]
    pub batch_size: Option<u32>,
    /// Set the learning rate
    #[arg(long, value_name = "RATE", allow_negative_numbers = true)]
    pub lr: Option<f32>,
    /// Use this optimizer. One other than the model file's starts from its own defaults: lr 0.01 and momentum 0.9 for sgd,
    /// PyTorch's for the others
    #[arg(long, value_name = "NAME", value_enum)]
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
    /// Clip gradients to this norm over all parameters
    #[arg(long, value_name = "NORM", allow_negative_numbers = true)]
    pub clip_grad_norm: Option<f32>,
    /// Accumulate the gradients of N batches per update
    #[arg(long, value_name = "N")]
    pub grad_accum_steps: Option<usize>,
    /// Stop after EPOCHS without improvement on the validation set
    #[arg(long, value_name = "EPOCHS")]
    pub patience: Option<usize>,
}

/// Largest batch size that a flag accepts: far beyond any memory, far below any overflow.
pub(crate) const MOST_ROWS: i64 = 1 << 20;

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
    /// The recipe overrides of the flags.
    pub fn overrides(&self) -> RecipeOverrides {
        RecipeOverrides {
            epochs: self.epochs,
            batch_size: self.batch_size.map(|n| n as usize),
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
            clip_grad_norm: self.clip_grad_norm,
            grad_accum_steps: self.grad_accum_steps,
            patience: self.patience,
        }
    }
}
