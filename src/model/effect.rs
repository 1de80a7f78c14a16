//! Which keys of a recipe mean something beside the others: a step size means nothing to a cosine, nor Nesterov's form to Adam. One that is given and
//! means nothing is a mistake that would otherwise stay unseen.

use super::reader::{SpecText, Table};
use super::recipe::{LossKind, Optimizer, Recipe, Scheduler};
use super::spec::Spec;
use crate::error::{Error, Result};
use toml::de::DeTable;

/// What a key needs, one of each list.
enum Need {
    Optimizer(&'static [Optimizer]),
    Scheduler(&'static [Scheduler]),
    Loss(LossKind),
}

/// The keys that mean something to some optimizers, schedulers or losses only. All others always do.
const NEEDS: [(&str, Need); 13] = [
    ("nesterov", Need::Optimizer(&[Optimizer::Sgd])),
    ("beta2", Need::Optimizer(&[Optimizer::Adam, Optimizer::AdamW, Optimizer::RmsProp])),
    ("eps", Need::Optimizer(&[Optimizer::Adam, Optimizer::AdamW, Optimizer::RmsProp])),
    ("lr_step_size", Need::Scheduler(&[Scheduler::Step])),
    ("lr_milestones", Need::Scheduler(&[Scheduler::MultiStep])),
    ("lr_gamma", Need::Scheduler(&[Scheduler::Step, Scheduler::MultiStep, Scheduler::Plateau])),
    (
        "lr_min",
        Need::Scheduler(&[
            Scheduler::Step,
            Scheduler::MultiStep,
            Scheduler::Cosine,
            Scheduler::Poly,
            Scheduler::Plateau,
        ]),
    ),
    ("lr_power", Need::Scheduler(&[Scheduler::Poly])),
    ("lr_patience", Need::Scheduler(&[Scheduler::Plateau])),
    ("lr_cuts", Need::Scheduler(&[Scheduler::Plateau])),
    ("label_smoothing", Need::Loss(LossKind::CrossEntropy)),
    ("class_weights", Need::Loss(LossKind::CrossEntropy)),
    // Without milestones it would be `constant` by another name.
    ("lr_scheduler", Need::Scheduler(&[])),
];

impl Recipe {
    /// What the key `key`, as `[recipe]` spells it, would need to have an effect, in the form "expected A, found B"; `None` if it has one.
    pub fn idle(&self, key: &str) -> Option<String> {
        let (_, need) = NEEDS.iter().find(|(name, _)| *name == key)?;
        let (what, names, found, has_effect) = match need {
            Need::Scheduler([]) => {
                let lacks = self.lr_scheduler == Scheduler::MultiStep && self.lr_milestones.is_empty();
                return lacks.then(|| "expected lr_milestones beside multistep, found none".into());
            }
            Need::Optimizer(all) => {
                ("optimizer", names(all), self.optimizer.to_string(), all.contains(&self.optimizer))
            }
            Need::Scheduler(all) => {
                ("lr_scheduler", names(all), self.lr_scheduler.to_string(), all.contains(&self.lr_scheduler))
            }
            Need::Loss(loss) => ("loss", loss.to_string(), self.loss.to_string(), *loss == self.loss),
        };
        (!has_effect).then(|| format!("expected {what} {names}, found {found}, on which it has no effect"))
    }
}

fn names<T: std::fmt::Display>(all: &[T]) -> String {
    let names: Vec<String> = all.iter().map(T::to_string).collect();
    match names.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} or {last}", others.join(", ")),
        _ => names.join(", "),
    }
}

impl Spec {
    /// An error ([`Error::Usage`]) that names the first key of the model file's `[recipe]` that has no effect beside the others in it.
    ///
    /// Reading a model file does not ask: weights and checkpoints carry old ones.
    pub fn check_effects(&self) -> Result<()> {
        let line_ends = SpecText::line_ends(&self.source);
        let source = SpecText { origin: &self.origin, text: &self.source, line_ends: &line_ends };
        let Ok(document) = DeTable::parse(&self.source) else { return Ok(()) };
        let table = || Table::new(source, document.get_ref(), "model file", 1).table("recipe", "[recipe]");
        let (Some(keys), recipe) = (table()?, Recipe::read(table()?)?) else { return Ok(()) };
        let idle = NEEDS
            .iter()
            .filter(|(key, _)| keys.has(key))
            .find_map(|(key, _)| Some((*key, recipe.idle(key)?)));
        match idle {
            None => Ok(()),
            Some((key, what)) => Err(Error::Usage(keys.error(key, what).to_string())),
        }
    }
}
