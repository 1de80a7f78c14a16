//! Progress of a scan over all images: a bar on a terminal, a warning for each unreadable image, and a clean end at the
//! first Ctrl-C.

use crate::cli::output::Output;
use crate::cli::stop::{self, INTERRUPTED};
use crate::data::{BadFiles, OnBadFile, ScanObserver};
use crate::error::{Error, Result};
use indicatif::{ProgressBar, ProgressStyle};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Shows the progress of a scan and ends it on a signal.
pub(super) struct ScanProgress {
    out: Output,
    stop: Arc<AtomicBool>,
    bar: Option<ProgressBar>,
    pub bad: Arc<BadFiles>,
}

impl ScanProgress {
    pub fn new(out: Output, policy: OnBadFile) -> Result<ScanProgress> {
        let bar = out.is_interactive().then(|| {
            let bar = ProgressBar::new(0);
            let style =
                ProgressStyle::with_template("{pos}/{len} images [{bar:24}] {percent:>3} %, {eta} left");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> "));
            bar
        });
        Ok(ScanProgress { out, stop: stop::on_signal()?, bar, bad: BadFiles::new(policy) })
    }

    /// Ends the scan: returns its result, or the exit code if a signal ended it.
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

impl ScanObserver for ScanProgress {
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
            return Err(Error::io("images", io::ErrorKind::Interrupted.into()));
        }
        if let Some(bar) = &self.bar {
            bar.set_length(all as u64);
            bar.set_position(count as u64);
        }
        Ok(())
    }
}
