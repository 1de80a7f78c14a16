//! The output of a training run: a bar and one line per epoch on a terminal, plain lines in a pipe, or JSON. For people epochs
//! count from 1; files and JSON count them from 0, as programs do.

use super::bar::{self, COLUMNS};
use super::output::{Output, seconds};
use super::resume::command;
use crate::error::{Error, Result};
use crate::inference::describe_division;
use crate::train::{Done, Ending, Epoch, Event, Observer, Start, Step, ValPart};
use std::path::Path;
use std::time::{Duration, Instant};

/// Prints the events of a run.
pub(crate) struct RunPrinter {
    out: Output,
    ends: RunEnds,
    /// The start of the run; `None` before.
    start: Option<Start>,
    /// When the first step was reported, and its number.
    first: Option<(Instant, usize)>,
    /// When the bar was last drawn.
    drawn: Option<Instant>,
    /// Makes the suggested next command from the path of the weights.
    next: Box<dyn Fn(&str) -> String>,
    /// The command that resumes the run after an interruption.
    resume: String,
    /// The first error of printing a result.
    print_error: Option<Error>,
}

/// Where a run begins, and what may end it before its last epoch.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RunEnds {
    /// Steps of a resumed run that were made before.
    pub resumed_step: Option<usize>,
    pub max_steps: Option<usize>,
    pub patience: Option<usize>,
    pub lr_cuts: Option<usize>,
}

/// Drawing more often than this is not seen.
const PAUSE: Duration = Duration::from_millis(50);
/// Columns of the bar itself.
const LEAST: usize = 10;
const MOST: usize = 24;
/// Classes from which the five best answers say something.
const TOP5: usize = 6;
/// The mark of the best epoch so far.
const BEST: &str = "best";

impl RunPrinter {
    /// `next` makes the suggested next command from the path of the weights.
    pub fn new(out: Output, ends: RunEnds, next: impl Fn(&str) -> String + 'static) -> Self {
        RunPrinter {
            out,
            ends,
            start: None,
            first: None,
            drawn: None,
            next: Box::new(next),
            resume: String::new(),
            print_error: None,
        }
    }

    fn start(&mut self, e: &Start) {
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
        self.out.note(&format!("model: {}, {} parameters", e.model, e.parameters));
        self.out.note(&format!("data: {}, {samples}", e.data));
        if let Some(folder) = &e.folder {
            self.resume = command(Path::new(folder));
            let (epochs, steps) = (counted(e.epochs, "epoch"), counted(e.steps_per_epoch, "step"));
            self.out.note(&format!("run: {folder}, {epochs} of {steps}"));
        }
        (self.start, self.first) = (Some(e.clone()), None);
    }

    fn step(&mut self, e: &Step) {
        let Some(start) = &self.start else { return };
        let within = e.step - e.epoch * start.steps_per_epoch;
        let accuracy = if start.classes.is_some() { format!("top-1 {:.2} %", e.acc1) } else { String::new() };
        let speed = format!("{:.0} img/s", e.images_per_second);
        let wait = format!("data wait {:.0} %", e.data_wait);
        let epoch = format!("epoch {}/{}", e.epoch + 1, start.epochs);
        let step = format!("step {within}/{}", start.steps_per_epoch);
        if !self.out.is_interactive() {
            let parts = [
                (0, format!("{epoch} {step}")),
                (0, format!("loss {}", loss(e.loss))),
                (1, accuracy),
                (4, format!("lr {}", rate(e.lr))),
                (2, speed),
                (3, wait),
            ];
            self.out.note(&bar::fitted(&parts, COLUMNS));
            return;
        }
        if self.drawn.is_some_and(|drawn| drawn.elapsed() < PAUSE) {
            return;
        }
        let (began, first) = *self.first.get_or_insert((Instant::now(), e.step));
        let all = start.epochs * start.steps_per_epoch;
        let share = (e.step as f64 / all.max(1) as f64).min(1.0);
        let left = match e.step.saturating_sub(first) {
            0 => String::new(),
            done => {
                let left = began.elapsed().as_secs_f64() / done as f64 * all.saturating_sub(e.step) as f64;
                format!("{} left", seconds(left))
            }
        };
        let columns = bar::columns().saturating_sub(1);
        let mut parts = vec![
            (0, epoch),
            (8, step),
            (4, format!("loss {}", loss(e.loss))),
            (5, accuracy),
            (6, speed),
            (7, wait),
            (3, drawn(share, LEAST)),
            (1, format!("{:.0} %", 100.0 * share)),
            (2, left),
        ];
        // The bar takes the room that is left.
        let free = columns.saturating_sub(bar::fitted(&parts, columns).chars().count());
        parts[6].1 = drawn(share, (LEAST + free).min(MOST));
        bar::show(bar::fitted(&parts, columns));
        self.drawn = Some(Instant::now());
    }

    fn epoch(&mut self, e: &Epoch) -> Result<()> {
        let Some(start) = &self.start else { return Ok(()) };
        let mut parts = vec![
            (0, format!("epoch {}/{}: loss {}", e.epoch + 1, start.epochs, loss(e.train_loss))),
            // The line has room for the mark whether or not it has the mark.
            (0, if e.best { BEST.to_string() } else { " ".repeat(BEST.len()) }),
        ];
        let mut put = |number: u8, text: String| parts.insert(parts.len() - 1, (number, text));
        if e.val_loss.is_nan() {
            put(1, "no validation set".into());
        } else {
            let on = if e.val_part == ValPart::Train { "on training samples" } else { "val" };
            put(1, format!("{on} {}", loss(e.val_loss)));
            if e.val_samples < start.val_samples {
                put(1, format!("({} of {} read)", e.val_samples, start.val_samples));
            }
            if e.rmse.is_finite() {
                put(1, format!("RMSE {}", loss(e.rmse)));
            }
            if let Some(classes) = start.classes {
                put(1, format!("top-1 {:.2} %", e.acc1));
                if classes >= TOP5 {
                    put(2, format!("top-5 {:.2} %", e.acc5));
                }
            }
        }
        put(5, format!("lr {}", rate(e.lr)));
        put(3, seconds(e.seconds));
        put(4, format!("{:.0} img/s", e.images_per_second));
        let line = bar::fitted(&parts, COLUMNS);
        self.out.marked_line(line.trim_end(), if e.best { BEST } else { "" })
    }

    fn done(&mut self, e: &Done) -> Result<()> {
        bar::clear();
        // A run that is resumed after its end has nothing left to do.
        let was_done = e.ending != Ending::Interrupted && self.ends.resumed_step == Some(e.steps);
        let why = match e.ending {
            Ending::Interrupted => "interrupted: the step was completed and everything is saved",
            _ if was_done => "done before, nothing left to train",
            Ending::Complete => "done",
            Ending::EarlyStop => "stopped early: no improvement on the validation set",
        };
        let on = if e.val_part == ValPart::Train { " on the training samples" } else { "" };
        let has_hits = self.start.as_ref().is_some_and(|start| start.classes.is_some());
        self.result(&format!("{why}, {} in {}", counted(e.steps, "step"), seconds(e.seconds)))?;
        if e.best_rmse.is_finite() {
            self.result(&format!("best RMSE {}{on}", loss(e.best_rmse)))?;
        }
        if has_hits && !e.best_acc1.is_nan() {
            let guess = match e.acc1_guess.is_nan() {
                true => String::new(),
                false => format!(" (guessing the largest class: {:.2} %)", e.acc1_guess),
            };
            self.result(&format!("best top-1 {:.2} %{on}{guess}", e.best_acc1))?;
        }
        if was_done && !self.resume.is_empty() {
            let more = self.more(e);
            self.result(&format!("to continue: {} {more}", self.resume))?;
        }
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

    /// The flag that continues a run that has ended.
    fn more(&self, e: &Done) -> String {
        let RunEnds { max_steps, patience, lr_cuts, .. } = self.ends;
        match (e.ending, max_steps, patience, lr_cuts) {
            (Ending::EarlyStop, _, Some(patience), Some(cuts)) => {
                format!("--patience {} --lr-cuts {}", 2 * patience.max(1), cuts + 1)
            }
            (Ending::EarlyStop, _, Some(patience), None) => format!("--patience {}", 2 * patience.max(1)),
            (Ending::EarlyStop, _, _, Some(cuts)) => format!("--lr-cuts {}", cuts + 1),
            (_, Some(steps), _, _) if e.steps >= steps => format!("--max-steps {}", 2 * steps),
            _ => format!("--epochs {}", 2 * self.start.as_ref().map_or(1, |start| start.epochs)),
        }
    }

    fn warn(&self, message: &str) {
        self.note(&format!("warning: {message}"));
    }

    /// Prints a line on stderr.
    pub fn note(&self, line: &str) {
        self.out.note(line);
    }

    /// Prints a line on stdout.
    fn result(&self, line: &str) -> Result<()> {
        self.out.line(line)
    }
}

impl Drop for RunPrinter {
    /// A run that ends with an error has a line to itself.
    fn drop(&mut self) {
        bar::clear();
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
            if let Event::Start(Start { folder: Some(folder), .. }) = event {
                self.resume = command(Path::new(folder));
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

/// `1 step`, `2 steps`.
fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// A bar of `columns` between brackets, `share` of which is full.
fn drawn(share: f64, columns: usize) -> String {
    let full = (share * columns as f64) as usize;
    let head = if full < columns { ">" } else { "" };
    format!("[{:<columns$}]", format!("{}{head}", "=".repeat(full)))
}

/// Formats a loss, or another number of its kind, in few columns.
fn loss(value: f64) -> String {
    match value.abs() {
        size if size >= 1e4 || (size > 0.0 && size < 1e-3) => format!("{value:.2e}"),
        _ => format!("{value:.4}"),
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
    use super::*;

    #[test]
    fn learning_rates_are_short() {
        assert_eq!(rate(0.01), "0.01");
        assert_eq!(rate(0.008_765_43), "0.008765");
        assert_eq!(rate(1.234e-6), "1.234e-6");
        assert_eq!(rate(0.0), "0");
    }

    #[test]
    fn a_bar_is_as_long_as_it_is_asked_to_be() {
        assert_eq!([0.0, 0.5, 1.0].map(|share| drawn(share, 4)), ["[>   ]", "[==> ]", "[====]"]);
    }

    #[test]
    fn losses_are_short() {
        assert_eq!([0.17213, 0.0, 1.5e-5, 123_456.0].map(loss), ["0.1721", "0.0000", "1.50e-5", "1.23e5"]);
        assert_eq!(loss(f64::NAN), "NaN");
    }
}
