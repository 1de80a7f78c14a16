//! The options of a run that is resumed, compared with those that it had: what has changed is reported in one line, and what
//! must not change is rejected, one line for each difference.

use super::begin::Run;
use super::checkpoint::{Checkpoint, Difference, SHOWN, Subject, milestones};
use super::options::RunOptions;
use crate::error::{Error, Result, printable_path};
use crate::inference;
use crate::model::Scheduler;
use crate::train::{LearningRate, schedule};
use crate::view::Rules;
use serde::Serialize;
use std::path::Path;

impl Run<'_> {
    /// An error that names the differences if the checkpoint to resume belongs to a different run; else reports what changes
    /// with this resume.
    pub(super) fn check_identity(&self) -> Result<()> {
        let Some((checkpoint, folder)) = &self.resumed else { return Ok(()) };
        // A run whose options are not known is compared by its checkpoint alone.
        let before = RunOptions::of_folder(folder.path()).ok().flatten();
        let comparison = checkpoint.compare(&self.spec, &self.data, &self.training)?;
        if !self.force {
            let all = self.explained(comparison.differences, checkpoint, before.as_ref());
            if !all.is_empty() {
                return Err(self.other_run(&all, checkpoint, folder.path()));
            }
        }
        let (epochs, begun) = (self.spec.recipe.epochs, checkpoint.state().epochs_begun());
        let is_shorter = comparison.changes.iter().any(|change| change.name == "epochs") && epochs < begun;
        if is_shorter && !self.force {
            let what = format!(
                "expected at least {begun}, which the run has begun, found {epochs}; for {epochs} more give {}",
                begun + epochs
            );
            return Err(Error::Usage(format!("epochs: {what}")));
        }
        let mut changes = comparison.changes;
        let idle = |change: &Difference| {
            let key = change.name.replace('-', "_");
            self.spec.recipe.idle(&key).map(|what| self.environment.no_effect(&key, &what))
        };
        if let Some(what) = changes.iter().find_map(idle) {
            return Err(Error::Usage(what));
        }
        changes.extend(before.iter().flat_map(|before| around(before, &self.options)));
        if !changes.is_empty() {
            let change = |d: &Difference| format!("{} {} -> {}", d.name, d.then, d.now);
            let text: Vec<String> = changes.iter().map(change).collect();
            self.environment.note(&format!("resume: {}", text.join(", ")));
        }
        if let Some(line) = self.rate_change(checkpoint) {
            self.environment.note(&line);
        }
        Ok(())
    }

    /// The `differences` as their causes: where options differ, the lines of network, data and recipe that follow from them
    /// are left out.
    fn explained(
        &self,
        differences: Vec<Difference>,
        checkpoint: &Checkpoint,
        before: Option<&RunOptions>,
    ) -> Vec<Difference> {
        let now = &self.options;
        let has = |subject: Subject| differences.iter().any(|difference| difference.subject == subject);
        let (network, data) = match before {
            Some(before) => (self.network_options(before, checkpoint), data_options(before, now)),
            None => (Vec::new(), Vec::new()),
        };
        let network: Vec<_> = network
            .into_iter()
            // The weights that a run began with are in no checkpoint.
            .filter(|difference| difference.name == "weights" || has(Subject::Network))
            .collect();
        let has_seed = differences.iter().any(|difference| difference.name == "seed");
        let is_other_network = !network.is_empty();
        let is_other_optimizer = differences.iter().any(|difference| difference.name == "opt");
        let mut all = network;
        let mut listed = 0;
        let is_data = has(Subject::Data);
        all.extend(differences.into_iter().filter(|difference| match difference.subject {
            Subject::Network => !is_other_network,
            // Another seed holds out other samples, and another network may see images of another size.
            Subject::Data => data.is_empty() && !has_seed && !is_other_network,
            Subject::Option => {
                let follows = is_other_network || is_other_optimizer && difference.name != "opt";
                !follows || before.is_none_or(|before| overrides(before, now, &difference.name))
            }
        }));
        if is_data {
            all.extend(data);
        }
        // Of a network of many layers, all of which differ, a few are named.
        let more = all.iter().filter(|d| d.subject == Subject::Network).count().saturating_sub(SHOWN);
        all.retain(|difference| {
            listed += usize::from(difference.subject == Subject::Network);
            difference.subject != Subject::Network || listed <= SHOWN
        });
        if more > 0 {
            let subject = Subject::Network;
            let name = format!("{more} more parts of the network");
            all.push(Difference { subject, name, then: String::new(), now: String::new() });
        }
        all
    }

    /// The options that say which network is trained, where they differ.
    fn network_options(&self, before: &RunOptions, checkpoint: &Checkpoint) -> Vec<Difference> {
        let now = &self.options;
        let mut all = Vec::new();
        let name = |model: &Option<String>, other: &str| model.clone().unwrap_or_else(|| other.to_string());
        let own = name(&before.model, checkpoint.model().unwrap_or("another"));
        let given = name(&now.model, &self.spec.name);
        if own != given {
            all.push(Difference::option("model", own, given));
        }
        let file = |path: &Path| printable_path(path);
        match (&before.weights, &now.weights) {
            (then, Some(now)) if then.as_ref() != Some(now) => {
                let then = then.as_ref().map_or("none".into(), |path| file(path));
                all.push(Difference::option("weights", then, file(now)));
            }
            _ => {}
        }
        let number = |classes: Option<usize>| classes.map_or("none".into(), |n| n.to_string());
        if before.num_classes != now.num_classes {
            let (then, now) = (number(before.num_classes), number(now.num_classes));
            all.push(Difference::option("num-classes", then, now));
        }
        let rates = |options: &RunOptions| match options.lr_mult.is_empty() {
            true => "none".into(),
            false => options.lr_mult.iter().cloned().map(String::from).collect::<Vec<_>>().join(" "),
        };
        if rates(before) != rates(now) {
            all.push(Difference::option("lr-mult", rates(before), rates(now)));
        }
        all
    }

    fn other_run(&self, all: &[Difference], checkpoint: &Checkpoint, folder: &Path) -> Error {
        let path = printable_path(&checkpoint.path);
        let mut lines = vec![format!("{path}: these options are not those of the run:")];
        lines.extend(all.iter().map(|difference| match difference.subject {
            Subject::Option => {
                let Difference { name, then, now, .. } = difference;
                format!("  {}", self.environment.difference(name, then, now))
            }
            _ => format!("  {difference}"),
        }));
        let is_old = checkpoint.rules() == Rules::Covered;
        let has_images = all.iter().any(|difference| difference.name == "training images");
        if is_old && has_images && inference::assumes_pixels(&self.data) {
            let range = self.environment.option("input-range");
            lines.push(format!(
                "a run of Striate 0.1.0 used the numbers of a table unchanged: pass its options and {range} ready"
            ));
        }
        lines.push(self.environment.resume_advice(folder));
        Error::OtherRun(lines)
    }

    /// What the learning rate does where the run is resumed, if it does something else than it would have done.
    fn rate_change(&self, checkpoint: &Checkpoint) -> Option<String> {
        if self.environment.learning_rate().is_some() {
            return None;
        }
        let (state, recipe) = (checkpoint.state(), &self.spec.recipe);
        let (step, steps_per_epoch) = (state.step(), state.steps_per_epoch());
        let mut before = recipe.clone();
        before.epochs = checkpoint.option("epochs")?.parse().ok()?;
        before.lr_milestones = milestones(checkpoint.option("lr-milestones")?)?;
        let then = schedule(&before, steps_per_epoch).ok()?;
        let now = schedule(recipe, steps_per_epoch).ok()?;
        let last = then.lr(step.checked_sub(1)?);
        // The rate of `plateau` depends on what was observed, not on the number of epochs.
        if recipe.lr_scheduler == Scheduler::Plateau || then.lr(step) == now.lr(step) {
            return None;
        }
        let (epochs, next) = (recipe.epochs, now.lr(step));
        Some(format!(
            "resume: the {} schedule now ends with epoch {epochs}: the learning rate was {last}, and is {next} in the next step",
            recipe.lr_scheduler
        ))
    }
}

/// The options that change no weight, where they differ.
fn around(before: &RunOptions, now: &RunOptions) -> Vec<Difference> {
    let number = |value: Option<usize>| value.map_or("none".into(), |value| value.to_string());
    let (then, train) = (&before.train, &now.train);
    let pairs = [
        ("max-steps", number(then.max_steps), number(train.max_steps)),
        ("checkpoint-every", number(then.checkpoint_every), number(train.checkpoint_every)),
        ("checkpoint-hist", then.checkpoint_hist.to_string(), train.checkpoint_hist.to_string()),
        ("log-every", then.log_every.to_string(), train.log_every.to_string()),
        ("workers", then.workers.to_string(), train.workers.to_string()),
        ("on-bad-file", then.on_bad_file.to_string(), train.on_bad_file.to_string()),
        ("report", before.report.to_string(), now.report.to_string()),
        ("on-device-lost", before.on_device_lost.to_string(), now.on_device_lost.to_string()),
    ];
    let differs = pairs.into_iter().filter(|(_, then, now)| then != now);
    differs.map(|(name, then, now)| Difference::option(name, then, now)).collect()
}

/// The options that say what the data is and how it is divided, where they differ.
fn data_options(before: &RunOptions, now: &RunOptions) -> Vec<Difference> {
    let (before, now) = (table(&before.data), table(&now.data));
    let mut keys: Vec<&String> = before.keys().chain(now.keys()).collect();
    keys.sort_unstable();
    keys.dedup();
    let text = |value: Option<&toml::Value>| match value {
        None => "none".to_string(),
        Some(toml::Value::String(text)) => text.clone(),
        // A share is an f32.
        Some(toml::Value::Float(share)) => (*share as f32).to_string(),
        Some(value) => value.to_string(),
    };
    let name = |key: &str| match key {
        "path" => "data-path".to_string(),
        "kind" => "dataset".to_string(),
        key => key.replace('_', "-"),
    };
    // It has a line of its own.
    let differs = keys.into_iter().filter(|key| *key != "ignore_exif" && before.get(*key) != now.get(*key));
    differs.map(|key| Difference::option(&name(key), text(before.get(key)), text(now.get(key)))).collect()
}

/// Whether the override of the recipe's key that the option `name` sets differs.
fn overrides(before: &RunOptions, now: &RunOptions, name: &str) -> bool {
    let key = if name == "opt" { "optimizer".into() } else { name.replace('-', "_") };
    let (then, new) = (table(&before.recipe), table(&now.recipe));
    // Options that are no key of the recipe stand for themselves.
    let is_recipe = inference::table(&crate::model::Recipe::default()).contains_key(&key)
        || ["clip_grad_norm", "patience", "lr_cuts", "class_weights"].contains(&key.as_str());
    !is_recipe || then.get(&key) != new.get(&key)
}

fn table(value: &impl Serialize) -> toml::Table {
    toml::Table::try_from(value).unwrap_or_default()
}
