//! The events that a run reports, and their form as one line of JSON. The library never prints: the caller's [`Observer`] does.

use crate::data::Division;
use crate::error::Result;

/// An event of a run.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// Before the first step.
    Start(Start),
    /// After every `log_every` steps, and at the end of an epoch.
    Step(Step),
    /// After the evaluation that ends an epoch.
    Epoch(Epoch),
    /// A warning in one line: a file that was skipped, a loss that does not move.
    Warning(String),
    /// After the last step.
    Done(Done),
}

/// The beginning of a run: what will be trained.
#[derive(Clone, Debug, PartialEq)]
pub struct Start {
    pub model: String,
    pub device: String,
    pub data: String,
    pub parameters: usize,
    /// Number of classes (1 where a single output tells two apart); `None` where labels are values that no prediction hits
    /// or misses, so that accuracies mean nothing.
    pub classes: Option<usize>,
    /// Device memory of the program, in bytes.
    pub memory_bytes: u64,
    pub epochs: usize,
    pub steps_per_epoch: usize,
    pub train_samples: usize,
    pub val_samples: usize,
    /// Where the validation samples come from.
    pub val_part: ValPart,
    /// The run's folder, if it has one.
    pub folder: Option<String>,
}

/// Where validation samples come from.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ValPart {
    /// The data set's own validation part, or samples that the caller chose.
    Validation,
    /// Samples that were held out from the training files.
    HeldOut(Division),
    /// The training samples: nothing is held out.
    Train,
}

impl ValPart {
    /// The name in JSON and tables.
    pub fn name(&self) -> &'static str {
        match self {
            ValPart::Validation => "validation",
            ValPart::HeldOut(_) => "held-out",
            ValPart::Train => "train",
        }
    }
}

/// Some consecutive steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Counted from 0.
    pub epoch: usize,
    /// Updates so far in the whole run: 1 after the first.
    pub step: usize,
    /// Mean training loss per sample since the last such report.
    pub loss: f64,
    /// Top-1 accuracy in percent since the last such report.
    pub acc1: f64,
    /// Learning rate of the last of these steps.
    pub lr: f32,
    /// Since the last such report.
    pub images_per_second: f64,
    /// Share of the time that was spent waiting for data, in percent.
    pub data_wait: f64,
}

/// One epoch with its evaluation.
#[derive(Clone, Debug, PartialEq)]
pub struct Epoch {
    /// Counted from 0.
    pub epoch: usize,
    pub train_loss: f64,
    /// Top-1 accuracy in percent in training, with dropout and augmentation.
    pub train_acc1: f64,
    /// Mean loss over the validation set; NaN if it has no samples.
    pub val_loss: f64,
    /// Top-1 in percent on the validation set; NaN if it has no samples.
    pub acc1: f64,
    /// Top-5 in percent on the validation set; NaN if it has no samples.
    pub acc5: f64,
    /// Root mean square error of each value, in the unit of the labels, on the validation set; NaN if labels are classes, or it
    /// has no samples.
    pub rmse: f64,
    /// Mean recall of the classes in percent on the validation set; NaN if it has no samples, if labels are values, and for a single
    /// output.
    pub balanced_accuracy: f64,
    /// Mean F1 of the classes in percent on the validation set; NaN where `balanced_accuracy` is.
    pub macro_f1: f64,
    /// Samples that were read and trained on.
    pub train_samples: usize,
    /// Samples that were read and evaluated.
    pub val_samples: usize,
    /// Where those come from.
    pub val_part: ValPart,
    /// Learning rate of the epoch's last step.
    pub lr: f32,
    /// Training and evaluation together.
    pub seconds: f64,
    /// Of the training part.
    pub images_per_second: f64,
    /// Share of the training part that was spent waiting for data, in percent.
    pub data_wait: f64,
    /// SHA-256 over all parameters in name order, little-endian f32.
    pub weights_sha256: String,
    /// Whether this is the best epoch so far.
    pub best: bool,
}

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ending {
    /// All epochs, or `max_steps`, are done.
    Complete,
    /// The validation result has not improved for `patience` epochs, or at the schedule's last rate.
    EarlyStop,
    /// A stop was requested (Ctrl-C).
    Interrupted,
}

/// The end of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Done {
    pub ending: Ending,
    /// Updates in the whole run.
    pub steps: usize,
    /// Best top-1 in percent on the validation set; NaN if there was no evaluation.
    pub best_acc1: f64,
    /// Root mean square error of the best epoch, as [`Epoch::rmse`].
    pub best_rmse: f64,
    /// Top-1 in percent of always predicting the largest class of the validation set; NaN without classes.
    pub acc1_guess: f64,
    /// Where the validation samples come from.
    pub val_part: ValPart,
    pub seconds: f64,
    /// The weights to use: the best, or the last if there are no best ones.
    pub weights: Option<String>,
}

/// Receives the events of a run. An error, such as a closed pipe, ends the run.
pub trait Observer {
    fn event(&mut self, event: &Event) -> Result<()>;
}

impl<F: FnMut(&Event) -> Result<()>> Observer for F {
    fn event(&mut self, event: &Event) -> Result<()> {
        self(event)
    }
}

impl Event {
    /// One line of JSON without a newline; non-finite numbers become `null`.
    pub fn json(&self) -> String {
        match self {
            Event::Start(e) => Line::new("start")
                .text("device", &e.device)
                .text("model", &e.model)
                .text("data", &e.data)
                .whole("parameters", e.parameters as u64)
                .raw("classes", &e.classes.map_or("null".into(), |classes| classes.to_string()))
                .whole("memory_bytes", e.memory_bytes)
                .whole("epochs", e.epochs as u64)
                .whole("steps_per_epoch", e.steps_per_epoch as u64)
                .whole("train_samples", e.train_samples as u64)
                .whole("val_samples", e.val_samples as u64)
                .text("val_part", e.val_part.name())
                .optional("folder", e.folder.as_deref()),
            Event::Step(e) => Line::new("step")
                .whole("epoch", e.epoch as u64)
                .whole("step", e.step as u64)
                .number("loss", e.loss)
                .number("acc1", e.acc1)
                .raw("lr", &json_rate(e.lr))
                .number("images_per_second", e.images_per_second)
                .number("data_wait", e.data_wait),
            Event::Epoch(e) => Line::new("epoch")
                .whole("epoch", e.epoch as u64)
                .number("train_loss", e.train_loss)
                .number("train_acc1", e.train_acc1)
                .number("val_loss", e.val_loss)
                .number("acc1", e.acc1)
                .number("acc5", e.acc5)
                .number("rmse", e.rmse)
                .number("balanced_accuracy", e.balanced_accuracy)
                .number("macro_f1", e.macro_f1)
                .whole("train_samples", e.train_samples as u64)
                .whole("val_samples", e.val_samples as u64)
                .text("val_part", e.val_part.name())
                .raw("lr", &json_rate(e.lr))
                .number("seconds", e.seconds)
                .number("images_per_second", e.images_per_second)
                .number("data_wait", e.data_wait)
                .text("weights_sha256", &e.weights_sha256),
            Event::Warning(message) => Line::new("warning").text("message", message),
            Event::Done(e) => Line::new("done")
                .text(
                    "ending",
                    match e.ending {
                        Ending::Complete => "complete",
                        Ending::EarlyStop => "early-stop",
                        Ending::Interrupted => "interrupted",
                    },
                )
                .whole("steps", e.steps as u64)
                .number("best_acc1", e.best_acc1)
                .number("best_rmse", e.best_rmse)
                .number("acc1_guess", e.acc1_guess)
                .text("val_part", e.val_part.name())
                .number("seconds", e.seconds)
                .optional("weights", e.weights.as_deref()),
        }
        .finish()
    }
}

/// A JSON object under construction. Written by hand because the order of keys and the digits of numbers are part
/// of the interface.
struct Line(String);

impl Line {
    fn new(event: &str) -> Self {
        Line(format!("{{\"event\":\"{event}\""))
    }
    fn raw(mut self, key: &str, value: &str) -> Self {
        self.0.push_str(&format!(",\"{key}\":{value}"));
        self
    }
    fn text(self, key: &str, value: &str) -> Self {
        let quoted = serde_json::Value::from(value).to_string();
        self.raw(key, &quoted)
    }
    fn optional(self, key: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.text(key, value),
            None => self.raw(key, "null"),
        }
    }
    fn whole(self, key: &str, value: u64) -> Self {
        self.raw(key, &value.to_string())
    }
    fn number(self, key: &str, value: f64) -> Self {
        let digits = json_number(value);
        self.raw(key, &digits)
    }
    fn finish(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

/// `value` with 9 significant digits, enough to tell any two f32 apart, as a JSON number; `null` if it is not finite.
pub fn json_number(value: f64) -> String {
    if !value.is_finite() {
        return "null".into();
    }
    let scientific = format!("{value:.8e}");
    let exponent: i32 = scientific.split_once('e').and_then(|(_, e)| e.parse().ok()).unwrap_or(0);
    if (-5..9).contains(&exponent) {
        format!("{value:.decimals$}", decimals = (8 - exponent) as usize)
    } else {
        scientific
    }
}

/// A learning rate as the shortest JSON number that stands for it; `null` if it is not finite.
pub fn json_rate(lr: f32) -> String {
    if lr.is_finite() { lr.to_string() } else { "null".into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_nine_significant_digits_and_stay_valid_json() {
        assert_eq!(json_number(2.302_581_234_567), "2.30258123");
        assert_eq!(json_number(0.001), "0.00100000000");
        assert_eq!(json_number(123_456_789.4), "123456789");
        assert_eq!(json_number(0.0), "0.00000000");
        assert_eq!(json_number(f64::NAN), "null");
        for value in [1.5e-30, 9.999_999_999e8, -1.0e20, 99.999_999_999, 1e-5] {
            let parsed: f64 = serde_json::from_str(&json_number(value)).unwrap();
            assert!((parsed - value).abs() <= value.abs() * 1e-8, "{value} became {parsed}");
        }
    }

    #[test]
    fn an_event_is_one_json_object_that_keeps_odd_characters() {
        let event = Event::Start(Start {
            model: "a \"quoted\"\nname".into(),
            device: "cpu".into(),
            data: "set".into(),
            parameters: 61_100_840,
            classes: None,
            memory_bytes: 1,
            epochs: 2,
            steps_per_epoch: 3,
            train_samples: 4,
            val_samples: 5,
            val_part: ValPart::Validation,
            folder: None,
        });
        let line = event.json();
        assert!(!line.contains('\n'));
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["event"], "start");
        assert_eq!(value["model"], "a \"quoted\"\nname");
        assert_eq!(value["parameters"], 61_100_840);
        assert!(value["folder"].is_null());
    }
}
