//! What a pass over all pictures looks like: a bar on a terminal, a warning for each picture that cannot be read, and
//! an end at the first Ctrl-C.

use crate::cli::output::Output;
use crate::cli::stop::{self, INTERRUPTED};
use crate::data::{BadFiles, OnBadFile, ScanObserver};
use crate::error::{Error, Result};
use indicatif::{ProgressBar, ProgressStyle};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub(super) struct Pass {
    out: Output,
    stop: Arc<AtomicBool>,
    bar: Option<ProgressBar>,
    pub bad: Arc<BadFiles>,
}

impl Pass {
    pub fn new(out: Output, policy: OnBadFile) -> Result<Pass> {
        let bar = out.is_interactive().then(|| {
            let bar = ProgressBar::new(0);
            let style =
                ProgressStyle::with_template("{pos}/{len} pictures [{bar:24}] {percent:>3} %, {eta} left");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> "));
            bar
        });
        Ok(Pass { out, stop: stop::on_signal()?, bar, bad: BadFiles::new(policy) })
    }

    /// What came of the pass: its result, or the exit code of one that a signal ended.
    pub fn end<T>(&mut self, result: Result<T>) -> Result<T, Result<u8>> {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        self.out.warn_of(&self.bad);
        match result {
            Err(_) if self.stop.load(Ordering::Relaxed) => {
                self.out.note("interrupted, nothing was written");
                Err(Ok(INTERRUPTED))
            }
            result => result.map_err(Err),
        }
    }
}

impl ScanObserver for Pass {
    fn bad(&mut self, error: Error) -> Result<()> {
        self.bad.add(error)?;
        for line in self.bad.news() {
            let line = format!("warning: {line}");
            match &self.bar {
                Some(bar) => bar.suspend(|| self.out.note(&line)),
                None => self.out.note(&line),
            }
        }
        Ok(())
    }

    fn done(&mut self, count: usize, all: usize) -> Result<()> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(Error::io("pictures", io::ErrorKind::Interrupted.into()));
        }
        if let Some(bar) = &self.bar {
            bar.set_length(all as u64);
            bar.set_position(count as u64);
        }
        Ok(())
    }
}
