//! Changes to the `[recipe]` of a model file.

use super::messages::Messages;
use super::text;
use crate::error::{Error, Result};
use crate::model::{ClassWeights, Optimizer, Recipe, Scheduler, Spec};
use serde::{Deserialize, Serialize};

/// Values that replace those of a model file's `[recipe]`, under its names.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RecipeOverrides {
    pub epochs: Option<usize>,
    pub batch_size: Option<usize>,
    pub lr: Option<f32>,
    /// Another optimizer than that of the model file brings its own learning rate, momentum and weight decay.
    #[serde(with = "text::optional", skip_serializing_if = "Option::is_none")]
    pub optimizer: Option<Optimizer>,
    pub momentum: Option<f32>,
    pub nesterov: Option<bool>,
    pub weight_decay: Option<f32>,
    #[serde(with = "text::optional", skip_serializing_if = "Option::is_none")]
    pub lr_scheduler: Option<Scheduler>,
    pub lr_step_size: Option<usize>,
    pub lr_milestones: Option<Vec<usize>>,
    pub lr_gamma: Option<f32>,
    pub lr_min: Option<f32>,
    pub lr_power: Option<f32>,
    pub lr_patience: Option<usize>,
    pub lr_cuts: Option<usize>,
    pub lr_warmup_epochs: Option<f32>,
    pub label_smoothing: Option<f32>,
    #[serde(with = "text::optional", skip_serializing_if = "Option::is_none")]
    pub class_weights: Option<ClassWeights>,
    pub clip_grad_norm: Option<f32>,
    pub grad_accum_steps: Option<usize>,
    pub patience: Option<usize>,
}

impl RecipeOverrides {
    /// The keys that are given.
    fn keys(&self) -> Vec<&'static str> {
        // Taken apart so that a new field is not forgotten here.
        let RecipeOverrides {
            epochs,
            batch_size,
            lr,
            optimizer,
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
            class_weights,
            clip_grad_norm,
            grad_accum_steps,
            patience,
        } = self;
        let all = [
            ("epochs", epochs.is_some()),
            ("batch_size", batch_size.is_some()),
            ("lr", lr.is_some()),
            ("optimizer", optimizer.is_some()),
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
            ("class_weights", class_weights.as_ref().is_some_and(|weights| *weights != ClassWeights::None)),
            ("clip_grad_norm", clip_grad_norm.is_some()),
            ("grad_accum_steps", grad_accum_steps.is_some()),
            ("patience", patience.is_some()),
        ];
        all.into_iter().filter(|(_, is_given)| *is_given).map(|(key, _)| key).collect()
    }

    /// An error that names the first override that has no effect on a run with `recipe`, which contains the overrides.
    ///
    /// Not for a run that is resumed: it may have been started with one before they were refused.
    pub(crate) fn check_effects(&self, recipe: &Recipe, messages: &dyn Messages) -> Result<()> {
        match self.keys().into_iter().find_map(|key| Some((key, recipe.idle(key)?))) {
            None => Ok(()),
            Some((key, what)) => Err(Error::Usage(messages.no_effect(key, &what))),
        }
    }

    /// Learning rate, momentum and weight decay, if the overrides choose another optimizer than the model file, with its own defaults.
    pub(crate) fn optimizer_change(&self, before: &Recipe, now: &Recipe) -> Option<String> {
        let Recipe { optimizer, lr, momentum, weight_decay, .. } = now;
        let first = match optimizer {
            Optimizer::Adam | Optimizer::AdamW => "beta1",
            Optimizer::Sgd | Optimizer::RmsProp => "momentum",
        };
        (before.optimizer != *optimizer).then(|| {
            format!("optimizer: {optimizer}, lr {lr}, {first} {momentum}, weight decay {weight_decay}")
        })
    }

    /// Puts the overrides into `spec.recipe`; an error names the key whose value is out of range.
    pub fn apply(&self, spec: &mut Spec) -> Result<()> {
        let recipe = &mut spec.recipe;
        if let Some(optimizer) = self.optimizer
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
        fn set<T: Clone>(field: &mut T, value: &Option<T>) {
            if let Some(value) = value {
                *field = value.clone();
            }
        }
        set(&mut recipe.epochs, &self.epochs);
        set(&mut recipe.batch_size, &self.batch_size);
        set(&mut recipe.lr, &self.lr);
        set(&mut recipe.momentum, &self.momentum);
        set(&mut recipe.nesterov, &self.nesterov);
        set(&mut recipe.weight_decay, &self.weight_decay);
        set(&mut recipe.lr_scheduler, &self.lr_scheduler);
        set(&mut recipe.lr_step_size, &self.lr_step_size);
        set(&mut recipe.lr_milestones, &self.lr_milestones);
        set(&mut recipe.lr_gamma, &self.lr_gamma);
        set(&mut recipe.lr_min, &self.lr_min);
        set(&mut recipe.lr_power, &self.lr_power);
        set(&mut recipe.lr_patience, &self.lr_patience);
        set(&mut recipe.lr_warmup_epochs, &self.lr_warmup_epochs);
        set(&mut recipe.label_smoothing, &self.label_smoothing);
        set(&mut recipe.class_weights, &self.class_weights);
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

/// An error that names the recipe's first field that cannot be meant, in the words of the command line.
pub fn check_recipe(recipe: &Recipe) -> Result<()> {
    recipe.check().map_err(|(key, what)| Error::Usage(format!("{}: {what}", key.replace('_', "-"))))?;
    if recipe.epochs == 0 {
        return Err(Error::Usage("epochs: expected at least 1, found 0".into()));
    }
    Ok(())
}

/// A recipe as the table `[recipe]` of a model file.
pub(crate) fn table(recipe: &Recipe) -> toml::Table {
    use toml::Value;
    // Through its shortest decimal, so that 0.1 does not become 0.10000000149011612.
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
    match &recipe.class_weights {
        ClassWeights::None => {}
        ClassWeights::Named(weights) => {
            let weights = weights.iter().map(|(name, &weight)| (name.clone(), float(weight)));
            put("class_weights", Value::Table(weights.collect()));
        }
        word => put("class_weights", text(word)),
    }
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
    fn overrides_win_over_the_model_file_and_nothing_else_changes() {
        let mut spec = Spec::load("alexnet").unwrap();
        let before = spec.recipe.clone();
        let overrides = RecipeOverrides { lr: Some(0.5), batch_size: Some(7), ..RecipeOverrides::default() };
        overrides.apply(&mut spec).unwrap();
        assert_eq!(spec.recipe, Recipe { lr: 0.5, batch_size: 7, ..before });
    }

    #[test]
    fn another_optimiser_brings_its_own_defaults_unless_they_are_overridden() {
        let mut spec = Spec::load("alexnet").unwrap();
        let overrides = RecipeOverrides {
            optimizer: Some(Optimizer::AdamW),
            weight_decay: Some(0.25),
            ..RecipeOverrides::default()
        };
        overrides.apply(&mut spec).unwrap();
        assert_eq!((spec.recipe.lr, spec.recipe.weight_decay), (0.001, 0.25));
    }

    #[test]
    fn the_written_recipe_reads_back_as_the_same() {
        let mut spec = Spec::load("alexnet").unwrap();
        let overrides = RecipeOverrides {
            lr_milestones: Some(vec![3, 5]),
            clip_grad_norm: Some(0.1),
            patience: Some(4),
            lr_cuts: Some(3),
            class_weights: Some(ClassWeights::Named([("a b".into(), 0.1), ("c".into(), 2.0)].into())),
            ..RecipeOverrides::default()
        };
        overrides.apply(&mut spec).unwrap();
        let text = format!(
            "name = \"x\"\ninput = [1, 1, 1]\n{}[[layer]]\nop = \"flatten\"\n",
            toml::Table::from_iter([("recipe".to_string(), table(&spec.recipe).into())])
        );
        assert_eq!(Spec::parse(&text, "x").unwrap().recipe, spec.recipe);
    }

    #[test]
    fn a_recipe_that_cannot_be_meant_is_named_as_its_flag() {
        let recipe = Recipe { grad_accum_steps: 0, ..Recipe::default() };
        let message = check_recipe(&recipe).unwrap_err().to_string();
        assert!(message.starts_with("grad-accum-steps: "), "{message}");
    }
}
