//! The sections of a page that the logs and `args.toml` fill: the results, warnings of the run, and how to repeat it.

use super::RunReport;
use crate::error::printable_path;
use crate::inference::describe_division;
use crate::report::{Block, Section};
use crate::run::record::EpochRecord;

/// A number in few digits.
pub(super) fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 1e5 || (size > 0.0 && size < 1e-3) => format!("{value:.3e}"),
        _ => format!("{value:.4}"),
    }
}

/// A duration in seconds in words.
pub(super) fn duration(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    match whole {
        0..60 => format!("{seconds:.1} s"),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
    }
}

impl RunReport {
    /// The result of an epoch: its name, and the value as text.
    pub(super) fn result(&self, epoch: &EpochRecord) -> Option<[String; 2]> {
        let has_val = epoch.val_loss.is_some();
        match (epoch.acc1.filter(|_| self.record.has_hits() && has_val), epoch.rmse) {
            (Some(acc1), _) => Some(["top-1".into(), format!("{acc1:.2} %")]),
            (None, Some(rmse)) => Some(["RMSE".into(), number(rmse)]),
            _ => None,
        }
    }

    pub(super) fn seconds(&self) -> f64 {
        let done = self.record.done.as_ref().and_then(|done| done.seconds);
        done.unwrap_or_else(|| self.record.epochs.iter().filter_map(|epoch| epoch.seconds).sum())
    }

    /// How the run ended.
    fn ending(&self) -> String {
        match self.record.done.as_ref().map(|done| done.ending.as_deref().unwrap_or_default()) {
            Some("complete") => "complete".into(),
            Some("early-stop") => "stopped early: no improvement on the validation set".into(),
            Some("interrupted") => "interrupted".into(),
            Some(other) => other.into(),
            None => "not yet, or it was killed".into(),
        }
    }

    pub(super) fn model(&self) -> String {
        let text = |key: &str| Some(self.record.args.get(key)?.as_str()?.to_string());
        self.record
            .start
            .as_ref()
            .and_then(|start| start.model.clone())
            .or_else(|| text("model"))
            .unwrap_or_default()
    }

    pub(super) fn data_name(&self) -> String {
        self.record.start.as_ref().and_then(|start| start.data.clone()).unwrap_or_default()
    }

    pub(super) fn subtitle(&self) -> String {
        let (model, data) = (self.model(), self.data_name());
        let on = if data.is_empty() { String::new() } else { format!(" on {data}") };
        format!("A training run of {model}{on}, reported by Striate {}", env!("CARGO_PKG_VERSION"))
    }

    /// The results and what was trained.
    pub(super) fn overview(&self) -> Section {
        let record = &self.record;
        let mut figures = Vec::new();
        let mut rows = Vec::new();
        if let (Some(best), Some(last)) = (record.best(), record.epochs.last()) {
            if let Some([name, value]) = self.result(best) {
                figures.push([value, format!("best {name}, epoch {}", best.epoch.saturating_add(1))]);
            }
            if let Some(loss) = best.val_loss {
                figures.push([number(loss), "validation loss in that epoch".into()]);
            }
            let planned = record.start.as_ref().and_then(|start| start.epochs);
            let planned = planned.map_or(String::new(), |planned| format!(" of {planned}"));
            figures.push([format!("{}{planned}", record.epochs.len()), "epochs".into()]);
            figures.push([duration(self.seconds()), "training time".into()]);
            rows = vec![self.epoch_row("best", best), self.epoch_row("last", last)];
        }
        let mut blocks = Vec::new();
        if figures.is_empty() {
            blocks.push(Block::Text("No epoch is done yet.".into()));
        } else {
            blocks.push(Block::Figures(figures));
        }
        if !self.missing.is_empty() {
            blocks.push(Block::Heading("What this report does without".into()));
            blocks.push(Block::List(self.missing.clone()));
        }
        if !rows.is_empty() {
            let has_hits = record.has_hits();
            let head = match has_hits {
                true => &[
                    "",
                    "epoch",
                    "training loss",
                    "validation loss",
                    "training top-1",
                    "top-1",
                    "top-5",
                    "balanced accuracy",
                    "macro-F1",
                ][..],
                false => &["", "epoch", "training loss", "validation loss", "RMSE"],
            };
            let head = head.iter().map(|name| name.to_string()).collect();
            blocks.push(Block::Heading("Best and last epoch".into()));
            blocks.push(Block::Table { head, rows });
        }
        blocks.push(Block::Heading("Run".into()));
        blocks.push(Block::Facts(self.facts()));
        Section { heading: "Result".into(), blocks }
    }

    fn epoch_row(&self, name: &str, epoch: &EpochRecord) -> Vec<String> {
        let has_val = epoch.val_loss.is_some();
        let text = |value: Option<f64>| value.map_or("-".into(), number);
        let percent = |value: Option<f64>| {
            value.filter(|_| has_val).map_or("-".into(), |value| format!("{value:.2} %"))
        };
        let mut row = vec![
            name.to_string(),
            epoch.epoch.saturating_add(1).to_string(),
            text(epoch.train_loss),
            text(epoch.val_loss),
        ];
        if self.record.has_hits() {
            row.push(epoch.train_acc1.map_or("-".into(), |value| format!("{value:.2} %")));
            row.extend([epoch.acc1, epoch.acc5, epoch.balanced_accuracy, epoch.macro_f1].map(percent));
        } else {
            row.push(text(epoch.rmse));
        }
        row
    }

    fn facts(&self) -> Vec<[String; 2]> {
        let record = &self.record;
        let mut facts: Vec<[String; 2]> = Vec::new();
        let mut put = |name: &str, value: String| {
            if !value.is_empty() {
                facts.push([name.into(), value]);
            }
        };
        let start = record.start.as_ref();
        let parameters = start.and_then(|start| start.parameters);
        let parameters = parameters.map_or(String::new(), |count| format!(", {count} parameters"));
        put("network", format!("{}{parameters}", self.model()));
        put("data", self.data_name());
        if let Some((train, val)) = start.and_then(|start| Some((start.train_samples?, start.val_samples?))) {
            let part = match start.and_then(|start| start.val_part.as_deref()) {
                Some("train") => " (the training samples: nothing was held out)",
                Some("held-out") => " (held out of the training files)",
                _ => "",
            };
            put("samples", format!("{train} for training, {val} for validation{part}"));
        }
        let device = record.args.get("device").and_then(toml::Value::as_str).map(String::from);
        put("device", device.or_else(|| start?.device.clone()).unwrap_or_default());
        let steps = record.done.as_ref().and_then(|done| done.steps);
        put(
            "ended",
            format!(
                "{}{}",
                self.ending(),
                steps.map_or(String::new(), |steps| format!(", after {steps} steps"))
            ),
        );
        if let Some(speed) = record.epochs.last().and_then(|epoch| epoch.images_per_second) {
            put("speed", format!("{speed:.0} images per second in the last epoch"));
        }
        if let Some((path, facts)) = &self.weights {
            let epoch =
                facts.epoch.map_or(String::new(), |epoch| format!(", epoch {}", epoch.saturating_add(1)));
            put("weights", format!("{}{epoch}", printable_path(path)));
        }
        if let Some(guess) = record.done.as_ref().and_then(|done| done.acc1_guess) {
            put("guessing", format!("always answering with the largest class: {guess:.2} % top-1"));
        }
        facts
    }

    /// Warnings of the run about its layers, and others.
    pub(super) fn layers(&self) -> Section {
        let mut blocks = Vec::new();
        let is_of_layers = |line: &&String| line.contains("dead ReLU") || line.contains("gradients shrink");
        let (layers, others): (Vec<&String>, Vec<&String>) =
            self.record.warnings.iter().partition(is_of_layers);
        if layers.is_empty() {
            let what = "No warning about dead ReLUs or vanishing gradients. The log has no gradient norms by layer, so there is no chart of them.";
            blocks.push(Block::Text(what.into()));
        } else {
            blocks.push(Block::List(layers.into_iter().cloned().collect()));
            blocks.push(Block::Text(
                "The log has no gradient norms by layer, so there is no chart of them.".into(),
            ));
        }
        if !others.is_empty() {
            blocks.push(Block::Heading("Other warnings".into()));
            blocks.push(Block::List(others.into_iter().cloned().collect()));
        }
        if self.record.more_warnings > 0 {
            blocks.push(Block::Text(format!("And {} more.", self.record.more_warnings)));
        }
        Section { heading: "Gradients, ReLUs and warnings".into(), blocks }
    }

    /// How the run was made: the command, the recipe, the data's fingerprint and `args.toml`.
    pub(super) fn repetition(&self) -> Section {
        let mut blocks = Vec::new();
        if !self.command.is_empty() {
            blocks.push(Block::Text(
                "This command, in the folder in which the run was started, repeats it:".into(),
            ));
            blocks.push(Block::Verbatim(self.command.clone()));
        }
        let mut columns = Vec::new();
        if let Some(recipe) = self.record.args.get("recipe").and_then(toml::Value::as_table) {
            let rows = recipe.iter().map(|(key, value)| [key.clone(), plain(value)]).collect();
            columns.push(vec![Block::Heading("Recipe".into()), Block::Facts(rows)]);
        }
        if let Some(data) = self.weights.as_ref().and_then(|(_, facts)| facts.provenance.as_ref()) {
            let print = &data.data;
            let mut rows = vec![
                ["name".to_string(), print.name.clone()],
                ["format".into(), print.kind.clone()],
                [
                    "training and validation files".into(),
                    format!("{} and {} samples", print.counts[0], print.counts[1]),
                ],
                ["division".into(), describe_division(&data.division)],
                ["labels (XXH3)".into(), print.labels.join(" ")],
            ];
            rows.extend(print.images.as_ref().map(|images| ["images (XXH3)".into(), images.join(" ")]));
            rows.extend(data.limit_train.map(|limit| ["training samples used".into(), limit.to_string()]));
            columns.push(vec![Block::Heading("Fingerprint of the data".into()), Block::Facts(rows)]);
        }
        if !columns.is_empty() {
            blocks.push(Block::Row(columns));
        }
        if self.record.args.is_empty() {
            blocks.push(Block::Text("The run's folder has no args.toml that can be read.".into()));
        } else {
            let text = vec![Block::Verbatim(self.record.args.to_string())];
            blocks.push(Block::Folded { summary: "args.toml".into(), blocks: text });
        }
        Section { heading: "How it was made".into(), blocks }
    }
}

/// A value of TOML as people write it.
pub(super) fn plain(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
