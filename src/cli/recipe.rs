//! The flags that override a model file's `[recipe]`.

use crate::error::{Error, Result};
use crate::model::{Optimizer, Recipe, Scheduler, Spec};
use crate::train::check_recipe;
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
    /// The keys of `[recipe]` that flags set.
    fn keys(&self) -> Vec<&'static str> {
        // Destructured so that the compiler reports a new flag here.
        let RecipeArgs {
            epochs,
            batch_size,
            lr,
            opt,
            momentum,
            nesterov,
            weight_decay,
            lr_scheduler,
            lr_step_size,
            lr_milestones,
            lr_gamma,
            lr_min,
            lr_power,
            lr_patience,
            lr_cuts,
            lr_warmup_epochs,
            label_smoothing,
            clip_grad_norm,
            grad_accum_steps,
            patience,
        } = self;
        let all = [
            ("epochs", epochs.is_some()),
            ("batch_size", batch_size.is_some()),
            ("lr", lr.is_some()),
            ("optimizer", opt.is_some()),
            ("momentum", momentum.is_some()),
            ("nesterov", nesterov.is_some()),
            ("weight_decay", weight_decay.is_some()),
            ("lr_scheduler", lr_scheduler.is_some()),
            ("lr_step_size", lr_step_size.is_some()),
            ("lr_milestones", lr_milestones.is_some()),
            ("lr_gamma", lr_gamma.is_some()),
            ("lr_min", lr_min.is_some()),
            ("lr_power", lr_power.is_some()),
            ("lr_patience", lr_patience.is_some()),
            ("lr_cuts", lr_cuts.is_some()),
            ("lr_warmup_epochs", lr_warmup_epochs.is_some()),
            ("label_smoothing", label_smoothing.is_some()),
            ("clip_grad_norm", clip_grad_norm.is_some()),
            ("grad_accum_steps", grad_accum_steps.is_some()),
            ("patience", patience.is_some()),
        ];
        all.into_iter().filter(|(_, is_given)| *is_given).map(|(key, _)| key).collect()
    }

    /// Returns an error that names the first flag without effect on a run with `recipe`, into which the flags are merged.
    ///
    /// Do not call this for resumed runs: an older version may have started them with such flags.
    pub fn check_effects(&self, recipe: &Recipe) -> Result<()> {
        match self.keys().into_iter().find_map(|key| Some((key, recipe.idle(key)?))) {
            None => Ok(()),
            Some((key, what)) => {
                let what = what.replace("optimizer ", "--opt ").replace("lr_", "--lr-");
                Err(Error::Usage(format!("--{}: {what}", key.replace('_', "-"))))
            }
        }
    }

    /// A note on learning rate, momentum and weight decay, if the flags replaced the optimizer and so its defaults.
    pub fn news(&self, before: &Recipe, now: &Recipe) -> Option<String> {
        let Recipe { optimizer, lr, momentum, weight_decay, .. } = now;
        let first = match optimizer {
            Optimizer::Adam | Optimizer::AdamW => "beta1",
            Optimizer::Sgd | Optimizer::RmsProp => "momentum",
        };
        (before.optimizer != *optimizer).then(|| {
            format!("optimizer: {optimizer}, lr {lr}, {first} {momentum}, weight decay {weight_decay}")
        })
    }

    /// Merges the flags into `spec.recipe`; an error names an invalid flag.
    pub fn apply(&self, spec: &mut Spec) -> Result<()> {
        let recipe = &mut spec.recipe;
        if let Some(optimizer) = self.opt.map(Optimizer::from)
            && optimizer != recipe.optimizer
        {
            let d = Recipe::for_optimizer(optimizer);
            let Recipe { lr, momentum, beta2, eps, weight_decay, .. } = d;
            *recipe = Recipe {
                optimizer,
                lr,
                momentum,
                beta2,
                eps,
                weight_decay,
                nesterov: false,
                ..recipe.clone()
            };
        }
        fn set<T: Clone>(field: &mut T, flag: &Option<T>) {
            if let Some(value) = flag {
                *field = value.clone();
            }
        }
        set(&mut recipe.epochs, &self.epochs);
        set(&mut recipe.batch_size, &self.batch_size.map(|n| n as usize));
        set(&mut recipe.lr, &self.lr);
        set(&mut recipe.momentum, &self.momentum);
        set(&mut recipe.nesterov, &self.nesterov);
        set(&mut recipe.weight_decay, &self.weight_decay);
        set(&mut recipe.lr_scheduler, &self.lr_scheduler.map(Scheduler::from));
        set(&mut recipe.lr_step_size, &self.lr_step_size);
        set(&mut recipe.lr_milestones, &self.lr_milestones);
        set(&mut recipe.lr_gamma, &self.lr_gamma);
        set(&mut recipe.lr_min, &self.lr_min);
        set(&mut recipe.lr_power, &self.lr_power);
        set(&mut recipe.lr_patience, &self.lr_patience);
        set(&mut recipe.lr_warmup_epochs, &self.lr_warmup_epochs);
        set(&mut recipe.label_smoothing, &self.label_smoothing);
        set(&mut recipe.grad_accum_steps, &self.grad_accum_steps);
        if self.clip_grad_norm.is_some() {
            recipe.clip_grad_norm = self.clip_grad_norm;
        }
        if self.patience.is_some() {
            recipe.patience = self.patience;
        }
        if self.lr_cuts.is_some() {
            recipe.lr_cuts = self.lr_cuts;
        }
        check_recipe(recipe)
    }
}

/// Converts a recipe to the table `[recipe]` of a model file.
pub(crate) fn table(recipe: &Recipe) -> toml::Table {
    use toml::Value;
    // The shortest decimal, so that 0.1 does not become 0.10000000149011612.
    let float = |value: f32| Value::Float(value.to_string().parse().unwrap_or(f64::from(value)));
    let whole = |value: usize| Value::Integer(value as i64);
    let text = |value: &dyn std::fmt::Display| Value::String(value.to_string());
    let mut table = toml::Table::new();
    let mut put = |key: &str, value: Value| {
        table.insert(key.to_string(), value);
    };
    put("epochs", whole(recipe.epochs));
    put("batch_size", whole(recipe.batch_size));
    put("optimizer", text(&recipe.optimizer));
    put("lr", float(recipe.lr));
    put("momentum", float(recipe.momentum));
    put("nesterov", Value::Boolean(recipe.nesterov));
    put("beta2", float(recipe.beta2));
    put("eps", float(recipe.eps));
    put("weight_decay", float(recipe.weight_decay));
    put("lr_scheduler", text(&recipe.lr_scheduler));
    put("lr_step_size", whole(recipe.lr_step_size));
    put("lr_milestones", Value::Array(recipe.lr_milestones.iter().map(|&m| whole(m)).collect()));
    put("lr_gamma", float(recipe.lr_gamma));
    put("lr_min", float(recipe.lr_min));
    put("lr_power", float(recipe.lr_power));
    put("lr_patience", whole(recipe.lr_patience));
    put("lr_warmup_epochs", float(recipe.lr_warmup_epochs));
    put("label_smoothing", float(recipe.label_smoothing));
    put("grad_accum_steps", whole(recipe.grad_accum_steps));
    put("loss", text(&recipe.loss));
    if let Some(norm) = recipe.clip_grad_norm {
        put("clip_grad_norm", float(norm));
    }
    if let Some(patience) = recipe.patience {
        put("patience", whole(patience));
    }
    if let Some(cuts) = recipe.lr_cuts {
        put("lr_cuts", whole(cuts));
    }
    if let Some(data) = &recipe.data {
        put("data", text(data));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_override_the_model_file_and_nothing_else_changes() {
        let mut spec = Spec::load("alexnet").unwrap();
        let before = spec.recipe.clone();
        let args = RecipeArgs { lr: Some(0.5), batch_size: Some(7), ..RecipeArgs::default() };
        args.apply(&mut spec).unwrap();
        assert_eq!(spec.recipe, Recipe { lr: 0.5, batch_size: 7, ..before });
    }

    #[test]
    fn another_optimizer_uses_its_own_defaults_unless_flags_set_them() {
        let mut spec = Spec::load("alexnet").unwrap();
        let args = RecipeArgs { opt: Some(Opt::Adamw), weight_decay: Some(0.25), ..RecipeArgs::default() };
        args.apply(&mut spec).unwrap();
        assert_eq!((spec.recipe.lr, spec.recipe.weight_decay), (0.001, 0.25));
    }

    #[test]
    fn a_recipe_survives_writing_and_reading() {
        let mut spec = Spec::load("alexnet").unwrap();
        let args = RecipeArgs {
            lr_milestones: Some(vec![3, 5]),
            clip_grad_norm: Some(0.1),
            patience: Some(4),
            lr_cuts: Some(3),
            ..RecipeArgs::default()
        };
        args.apply(&mut spec).unwrap();
        let text = format!(
            "name = \"x\"\ninput = [1, 1, 1]\n[recipe]\n{}[[layer]]\nop = \"flatten\"\n",
            table(&spec.recipe)
        );
        assert_eq!(Spec::parse(&text, "x").unwrap().recipe, spec.recipe);
    }
}
