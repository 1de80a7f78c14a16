//! What a device reports while it is prepared.

use std::fmt;
use std::sync::Arc;

/// Progress of something that takes long, or a warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress<'a> {
    /// `done` of `all` pipelines of a program have been compiled. The first report has 0, the last has all.
    Compiling { done: usize, all: usize },
    /// `done` of `all` matrix products have been timed with every kernel. The first report has 0, the last has all.
    Tuning { done: usize, all: usize },
    /// Something is wrong, but work continues. One line.
    Warning(&'a str),
}

/// Receives [`Progress`], possibly from several threads at once. The default ignores it.
#[derive(Clone)]
pub struct ProgressListener(Arc<dyn Fn(Progress<'_>) + Send + Sync>);

impl ProgressListener {
    /// Calls `listener` with every report.
    pub fn new(listener: impl Fn(Progress<'_>) + Send + Sync + 'static) -> Self {
        ProgressListener(Arc::new(listener))
    }

    /// Passes a report on.
    pub fn report(&self, progress: Progress<'_>) {
        (self.0)(progress);
    }
}

impl Default for ProgressListener {
    fn default() -> Self {
        ProgressListener::new(|_| {})
    }
}

impl fmt::Debug for ProgressListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProgressListener")
    }
}
