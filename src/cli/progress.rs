//! The output of a training run: a progress bar and one line per epoch on a terminal, plain lines in a pipe, or JSON.

use super::output::{Output, seconds};
use super::resume::command;
use crate::error::{Error, Result};
use crate::inference::describe_division;
use crate::train::{Done, Ending, Epoch, Event, Observer, Start, Step, ValPart};
use indicatif::{ProgressBar, ProgressStyle};
use std::path::Path;

/// Prints the events of a run.
pub(crate) struct RunPrinter {
    out: Output,
    bar: Option<ProgressBar>,
    epochs: usize,
    steps_per_epoch: usize,
    val_samples: usize,
    /// Makes the suggested next command from the path of the weights.
    next: Box<dyn Fn(&str) -> String>,
    /// The command that resumes the run after an interruption.
    resume: String,
    /// The first error of printing a result.
    print_error: Option<Error>,
}

impl RunPrinter {
    /// `next` makes the suggested next command from the path of the weights.
    pub fn new(out: Output, next: impl Fn(&str) -> String + 'static) -> Self {
        let next = Box::new(next);
        RunPrinter {
            out,
            bar: None,
            epochs: 0,
            steps_per_epoch: 0,
            val_samples: 0,
            next,
            resume: String::new(),
            print_error: None,
        }
    }

    fn start(&mut self, e: &Start) {
        self.epochs = e.epochs;
        self.steps_per_epoch = e.steps_per_epoch;
        self.val_samples = e.val_samples;
        let samples = match &e.val_part {
            ValPart::Train => format!(
                "{} training samples, none held out: {} of them are used for validation, so accuracies say nothing about unseen samples",
                e.train_samples, e.val_samples
            ),
            ValPart::HeldOut(division) => format!(
                "{} training and {} validation samples ({})",
                e.train_samples,
                e.val_samples,
                describe_division(division)
            ),
            ValPart::Validation => {
                format!("{} training and {} validation samples", e.train_samples, e.val_samples)
            }
        };
        self.out
            .note(&format!("model: {}, {} parameters; data: {}, {samples}", e.model, e.parameters, e.data));
        if let Some(folder) = &e.folder {
            self.resume = command(Path::new(folder));
            self.out.note(&format!("run: {folder}, {} epochs of {} steps", e.epochs, e.steps_per_epoch));
        }
        if self.out.is_interactive() {
            let bar = ProgressBar::new((e.epochs * e.steps_per_epoch) as u64);
            let style = ProgressStyle::with_template("{msg} [{bar:24}] {percent:>3} %, {eta} left");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> "));
            self.bar = Some(bar);
        }
    }

    fn step(&self, e: &Step) {
        let within = e.step - e.epoch * self.steps_per_epoch;
        let line = format!(
            "epoch {}/{} step {within}/{}  loss {:.4}  top-1 {:5.2} %  lr {}  {:.0} img/s  data wait {:.0} %",
            e.epoch + 1,
            self.epochs,
            self.steps_per_epoch,
            e.loss,
            e.acc1,
            rate(e.lr),
            e.images_per_second,
            e.data_wait
        );
        match &self.bar {
            Some(bar) => {
                bar.set_message(line);
                bar.set_position(e.step as u64);
            }
            None => self.out.note(&line),
        }
    }

    fn epoch(&self, e: &Epoch) -> Result<()> {
        let validation = if e.val_loss.is_nan() {
            "no validation set".to_string()
        } else {
            let some = if e.val_samples < self.val_samples {
                format!(" of {} of {} samples", e.val_samples, self.val_samples)
            } else {
                String::new()
            };
            let on = if e.val_part == ValPart::Train { " on training samples" } else { "" };
            format!(
                "validation loss{on}{some} {:.4}  top-1 {:.2} %  top-5 {:.2} %",
                e.val_loss, e.acc1, e.acc5
            )
        };
        let line = format!(
            "epoch {}/{}: training loss {:.4}  {validation}  lr {}  {}  {:.0} img/s{}",
            e.epoch + 1,
            self.epochs,
            e.train_loss,
            rate(e.lr),
            seconds(e.seconds),
            e.images_per_second,
            if e.best { "  *" } else { "" }
        );
        self.result(&line)
    }

    fn done(&mut self, e: &Done) -> Result<()> {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        let why = match e.ending {
            Ending::Complete => "done",
            Ending::EarlyStop => "stopped early: no improvement on the validation set",
            Ending::Interrupted => "interrupted: the current step was completed and everything is saved",
        };
        let on = if e.val_part == ValPart::Train { " on the training samples" } else { "" };
        let best = match e.best_acc1.is_nan() {
            true => String::new(),
            false if e.acc1_guess.is_nan() => format!(", best top-1 {:.2} %{on}", e.best_acc1),
            false => format!(
                ", best top-1 {:.2} %{on} (guessing the largest class: {:.2} %)",
                e.best_acc1, e.acc1_guess
            ),
        };
        self.result(&format!("{why}, {} steps in {}{best}", e.steps, seconds(e.seconds)))?;
        if let Some(weights) = &e.weights {
            self.result(&format!("weights: {weights}"))?;
            let next = match e.ending {
                Ending::Interrupted => format!("resume: {}", self.resume),
                _ => format!("next: {}", (self.next)(weights)),
            };
            self.result(&next)?;
        }
        Ok(())
    }

    fn warn(&self, message: &str) {
        self.note(&format!("warning: {message}"));
    }

    /// Prints a line on stderr without disturbing the bar.
    pub fn note(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| self.out.note(line)),
            None => self.out.note(line),
        }
    }

    /// Prints a line on stdout without disturbing the bar.
    fn result(&self, line: &str) -> Result<()> {
        match &self.bar {
            Some(bar) => bar.suspend(|| self.out.line(line)),
            None => self.out.line(line),
        }
    }
}

impl Observer for RunPrinter {
    fn event(&mut self, event: &Event) -> Result<()> {
        // A closed stdout must not end hours of training: the run's folder records every event.
        if let Err(error) = self.print(event)
            && self.print_error.is_none()
        {
            self.warn(&format!("{error}: a result could not be printed; the run continues"));
            self.print_error = Some(error);
        }
        Ok(())
    }
}

impl RunPrinter {
    /// Returns an error if a result could not be printed.
    pub fn finish(&mut self) -> Result<()> {
        self.print_error.take().map_or(Ok(()), Err)
    }

    fn print(&mut self, event: &Event) -> Result<()> {
        if self.out.is_json() {
            if matches!(event, Event::Done(done) if done.ending == Ending::Interrupted) {
                self.out.note(&format!("resume: {}", self.resume));
            }
            return self.out.line(&event.json());
        }
        match event {
            Event::Start(e) => self.start(e),
            Event::Step(e) => self.step(e),
            Event::Epoch(e) => self.epoch(e)?,
            Event::Warning(message) => self.warn(message),
            Event::Done(e) => self.done(e)?,
        }
        Ok(())
    }
}

/// Formats a learning rate with up to four significant digits.
fn rate(lr: f32) -> String {
    let text = format!("{lr:.3e}");
    match text.parse::<f64>() {
        Ok(value) if value >= 1e-4 || value == 0.0 => format!("{value}"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::rate;

    #[test]
    fn learning_rates_are_short() {
        assert_eq!(rate(0.01), "0.01");
        assert_eq!(rate(0.008_765_43), "0.008765");
        assert_eq!(rate(1.234e-6), "1.234e-6");
        assert_eq!(rate(0.0), "0");
    }
}
