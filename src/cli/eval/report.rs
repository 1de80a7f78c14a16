//! The report of an evaluation: a line of totals and a table of classes, or JSON.

use super::super::output::Output;
use super::super::samples::Samples;
use crate::data::Dataset;
use crate::error::Result;
use crate::inference::{self, Confusion, Totals};
use crate::model::Spec;
use serde_json::{Value, json};

/// The results of an evaluation and its inputs.
pub(super) struct EvalReport<'a> {
    pub spec: &'a Spec,
    pub part: &'a Samples,
    pub totals: &'a Totals,
    /// `None` if the labels are values.
    pub confusion: Option<&'a Confusion>,
    /// Crops per image: 1 or 10.
    pub crops: usize,
    pub seconds: f64,
}

impl EvalReport<'_> {
    pub fn print(&self, out: &Output) -> Result<()> {
        if out.is_json() { out.json(&self.json()) } else { self.text(out) }
    }

    fn json(&self) -> Value {
        let class = |c: &Confusion, class: usize| {
            json!({
                "class": class,
                "name": class_name(&self.part.data, class),
                "samples": c.samples(class),
                "acc1": finite(c.recall(class)),
                "acc5": finite(c.recall5(class)),
                "precision": finite(c.precision(class)),
            })
        };
        let classes: Option<Vec<Value>> =
            self.confusion.map(|c| (0..c.classes()).map(|number| class(c, number)).collect());
        let mut object = json!({
            "event": "eval",
            "model": self.spec.name,
            "data": self.part.data.name,
            "acc1_guess": self.baseline(),
            "rmse": finite(inference::rmse(&self.part.data, self.totals)),
            "balanced_accuracy": self.confusion.and_then(|c| finite(c.balanced_accuracy())),
            "macro_f1": self.confusion.and_then(|c| finite(c.macro_f1())),
            "crops": self.crops,
            "seconds": self.seconds,
            "classes": classes,
        });
        add_totals(&mut object, self.totals);
        self.part.add_to(&mut object);
        object
    }

    /// Top-1 accuracy, in percent, of always predicting the largest class; `None` without classes.
    fn baseline(&self) -> Option<f64> {
        let counts = |c: &Confusion| (0..c.classes()).map(|class| c.samples(class)).collect::<Vec<_>>();
        let counts = self.confusion.map(counts).filter(|counts| counts.len() > 1)?;
        let all: u64 = counts.iter().sum();
        finite(100.0 * counts.iter().max().copied()? as f64 / all as f64)
    }

    fn text(&self, out: &Output) -> Result<()> {
        let EvalReport { spec, part, totals, .. } = self;
        let data = &part.data;
        let guess = self.baseline().map(|guess| format!("  guessing the largest class: {guess:.2} %"));
        let guess = guess.unwrap_or_default();
        let crops = if self.crops == 1 { String::new() } else { format!(" in {} crops", self.crops) };
        let mut results = vec![format!("loss {:.4}", totals.loss())];
        let rmse = inference::rmse(data, totals);
        if !rmse.is_nan() {
            results.push(format!("RMSE {rmse:.4} (per value, in the unit of the labels)"));
        }
        if inference::has_hits(data) {
            results.push(format!("top-1 {:.2} % (error {:.2})", totals.acc1(), totals.error1()));
        }
        if self.confusion.is_some_and(|confusion| confusion.classes() > 5) {
            results.push(format!("top-5 {:.2} % (error {:.2})", totals.acc5(), totals.error5()));
        }
        out.line(&format!(
            "{} on {}{}{crops}: {}{guess}  ({:.0} img/s)",
            spec.name,
            part.text(),
            part.readable(totals.rows()),
            results.join("  "),
            totals.rows() as f64 / self.seconds.max(f64::MIN_POSITIVE)
        ))?;
        let Some(confusion) = self.confusion else { return Ok(()) };
        out.line(&format!(
            "balanced accuracy {} %  macro-F1 {} %",
            percent(confusion.balanced_accuracy()),
            percent(confusion.macro_f1())
        ))?;
        let names: Vec<String> = (0..confusion.classes()).map(|class| class_name(data, class)).collect();
        let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).max(5);
        out.line(&format!("{:<width$}  samples  top-1 %  top-5 %  precision", "class"))?;
        for (class, name) in names.iter().enumerate() {
            out.line(&format!(
                "{name:<width$}  {:>7}  {:>7}  {:>7}  {:>9}",
                confusion.samples(class),
                percent(confusion.recall(class)),
                percent(confusion.recall5(class)),
                percent(confusion.precision(class))
            ))?;
        }
        Ok(())
    }
}

/// Adds samples, loss, accuracies and errors to a JSON object.
pub(super) fn add_totals(object: &mut Value, totals: &Totals) {
    object["samples"] = totals.rows().into();
    let numbers = [
        ("loss", totals.loss()),
        ("acc1", totals.acc1()),
        ("acc5", totals.acc5()),
        ("error1", totals.error1()),
        ("error5", totals.error5()),
    ];
    for (key, value) in numbers {
        object[key] = finite(value).into();
    }
}

pub(super) fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

fn percent(value: f64) -> String {
    if value.is_nan() { "-".into() } else { format!("{value:.2}") }
}

/// The name of class number `class`, or the number if it has no name.
pub(super) fn class_name(data: &Dataset, class: usize) -> String {
    data.class_names.get(class).cloned().unwrap_or_else(|| class.to_string())
}
