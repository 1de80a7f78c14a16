//! The flags that override a model file's `[recipe]`.

use crate::inference::RecipeOverrides;
use crate::model::{Optimizer, Scheduler};
use clap::{Args, ValueEnum};

#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Recipe (default: the model file's)")]
pub(crate) struct RecipeArgs {
    /// Passes over the training set
    #[arg(long, value_name = "N")]
    pub epochs: Option<usize>,
    /// Samples per step
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=MOST_ROWS))]
    pub batch_size: Option<u32>,
    /// Learning rate
    #[arg(long, value_name = "RATE", allow_negative_numbers = true)]
    pub lr: Option<f32>,
    /// Optimizer. A change brings the defaults of the new one: learning rate 0.01 and momentum 0.9 of sgd (PyTorch has 0.001 and
    /// 0), PyTorch's own of the others
    #[arg(long, value_name = "NAME", value_enum)]
    pub opt: Option<Opt>,
    /// Momentum of sgd and rmsprop, beta1 of adam and adamw
    #[arg(long, value_name = "M", allow_negative_numbers = true)]
    pub momentum: Option<f32>,
    /// sgd: Nesterov's form of momentum
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    pub nesterov: Option<bool>,
    /// Weight decay
    #[arg(long = "weight-decay", visible_alias = "wd", value_name = "D", allow_negative_numbers = true)]
    pub weight_decay: Option<f32>,
    /// How the learning rate changes
    #[arg(long, value_name = "NAME", value_enum)]
    pub lr_scheduler: Option<LrScheduler>,
    /// step: epochs between two cuts, counted from the end of the warm-up
    #[arg(long, value_name = "EPOCHS")]
    pub lr_step_size: Option<usize>,
    /// multistep: epochs of the cuts, for example 30,60,80, counted from the end of the warm-up
    #[arg(long, value_name = "EPOCHS", value_delimiter = ',')]
    pub lr_milestones: Option<Vec<usize>>,
    /// step, multistep, plateau: factor of a cut
    #[arg(long, value_name = "FACTOR", allow_negative_numbers = true)]
    pub lr_gamma: Option<f32>,
    /// Smallest learning rate (of every scheduler but constant)
    #[arg(long, value_name = "RATE", allow_negative_numbers = true)]
    pub lr_min: Option<f32>,
    /// poly: exponent
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    pub lr_power: Option<f32>,
    /// plateau: epochs without a lower validation error (100 % - top-1; the loss where there are no classes) before a cut
    /// [default: 5; PyTorch has 10]
    #[arg(long, value_name = "EPOCHS")]
    pub lr_patience: Option<usize>,
    /// plateau: most cuts; where one more would be made, training ends
    #[arg(long, value_name = "N")]
    pub lr_cuts: Option<usize>,
    /// Epochs (0.5 is half of one) of linear warm-up
    #[arg(long, value_name = "EPOCHS", allow_negative_numbers = true)]
    pub lr_warmup_epochs: Option<f32>,
    /// Label smoothing of the cross-entropy. The validation loss contains it too
    #[arg(long, value_name = "S", allow_negative_numbers = true)]
    pub label_smoothing: Option<f32>,
    /// Clip gradients to this norm over all parameters
    #[arg(long, value_name = "NORM", allow_negative_numbers = true)]
    pub clip_grad_norm: Option<f32>,
    /// Batches whose gradients are added before an update
    #[arg(long, value_name = "N")]
    pub grad_accum_steps: Option<usize>,
    /// Stop after so many epochs without improvement on the validation set
    #[arg(long, value_name = "EPOCHS")]
    pub patience: Option<usize>,
}

/// Largest batch size that a flag takes: far beyond any memory, far below any overflow.
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
    /// What the flags change of a recipe.
    pub fn overrides(&self) -> RecipeOverrides {
        let mut overrides = RecipeOverrides::default();
        overrides.epochs = self.epochs;
        overrides.batch_size = self.batch_size.map(|n| n as usize);
        overrides.lr = self.lr;
        overrides.optimizer = self.opt.map(Optimizer::from);
        overrides.momentum = self.momentum;
        overrides.nesterov = self.nesterov;
        overrides.weight_decay = self.weight_decay;
        overrides.lr_scheduler = self.lr_scheduler.map(Scheduler::from);
        overrides.lr_step_size = self.lr_step_size;
        overrides.lr_milestones = self.lr_milestones.clone();
        overrides.lr_gamma = self.lr_gamma;
        overrides.lr_min = self.lr_min;
        overrides.lr_power = self.lr_power;
        overrides.lr_patience = self.lr_patience;
        overrides.lr_cuts = self.lr_cuts;
        overrides.lr_warmup_epochs = self.lr_warmup_epochs;
        overrides.label_smoothing = self.label_smoothing;
        overrides.clip_grad_norm = self.clip_grad_norm;
        overrides.grad_accum_steps = self.grad_accum_steps;
        overrides.patience = self.patience;
        overrides
    }
}
