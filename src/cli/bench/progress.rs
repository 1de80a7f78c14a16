//! How far a benchmark has come, on a terminal: one line that is gone when the results are printed.

use super::super::output::Output;
use crate::error::Result;
use indicatif::{ProgressBar, ProgressStyle};
use std::time::Duration;

/// Prints the progress of a number of measurements.
pub(super) struct Progress {
    out: Output,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// For this many measurements.
    pub fn new(out: Output, measurements: usize) -> Progress {
        let bar = out.is_interactive().then(|| {
            let bar = ProgressBar::new(measurements as u64);
            let style = ProgressStyle::with_template("{spinner} {pos}/{len} {wide_msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        Progress { out, bar }
    }

    /// Names the measurement that begins; the one before it is done. Where there is no terminal, it is a note if it is
    /// `aloud`.
    pub fn begin(&self, what: &str, aloud: bool) {
        match &self.bar {
            Some(bar) => {
                if !bar.message().is_empty() {
                    bar.inc(1);
                }
                bar.set_message(what.to_string());
            }
            None if aloud => self.out.note(what),
            None => (),
        }
    }

    /// Says beside the name of the measurement that `done` rounds of at most `all` are over.
    pub fn round(&self, what: &str, done: usize, all: usize) {
        if let Some(bar) = &self.bar {
            bar.set_message(format!("{what}, sample {done} of {all}"));
        }
    }

    /// Prints a result.
    pub fn line(&self, text: &str) -> Result<()> {
        match &self.bar {
            Some(bar) => bar.suspend(|| self.out.line(text)),
            None => self.out.line(text),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
