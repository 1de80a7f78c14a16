//! Saving: weights after every epoch, checkpoints after every epoch and in between. A file that cannot be written is tried
//! again on the next occasion; the third failure in a row ends the run.

use super::store::{Store, Weights};
use crate::error::{Error, Result};
use crate::inference::Named;
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

/// Consecutive occasions on which saving may fail before the run ends.
const ATTEMPTS: usize = 3;

/// Saves the files of a run in a [`Store`]; without one it saves nothing.
#[derive(Debug, Default)]
pub(super) struct Saver<'a> {
    pub store: Option<Box<dyn Store + 'a>>,
    /// Set to request a checkpoint after the current step.
    pub requested: Option<&'a AtomicBool>,
    /// Consecutive occasions on which saving has failed.
    failures: usize,
    /// Weights of the best epoch that could not be saved yet, with their metadata.
    unsaved: Option<(Named, BTreeMap<String, String>)>,
}

impl Saver<'_> {
    /// Whether a checkpoint is due after update `step`, of which one in `every` has one. Resets the request.
    pub fn is_due(&self, step: usize, every: Option<usize>) -> bool {
        let requested = self.requested.is_some_and(|requested| requested.swap(false, Ordering::Relaxed));
        requested || every.is_some_and(|every| step.is_multiple_of(every.max(1)))
    }

    /// Where these weights are saved; `None` without a store.
    pub fn weights_path(&self, which: Weights) -> Option<PathBuf> {
        self.store.as_ref().map(|store| store.weights_path(which))
    }

    /// Writes the weights that an epoch ended with, and those of the best epoch if they could not be written before.
    pub fn save_weights(
        &mut self,
        tensors: &Named,
        metadata: BTreeMap<String, String>,
        is_best: bool,
    ) -> Result<()> {
        let Some(store) = &mut self.store else { return Ok(()) };
        store
            .save_weights(Weights::Last, tensors, &metadata)
            .and_then(|()| match (is_best, &self.unsaved) {
                (true, _) => store.save_weights(Weights::Best, tensors, &metadata),
                (false, Some((tensors, metadata))) => store.save_weights(Weights::Best, tensors, metadata),
                (false, None) => Ok(()),
            })
            .inspect(|()| self.unsaved = None)
            .inspect_err(|_| {
                if is_best {
                    self.unsaved = Some((tensors.clone(), metadata.clone()));
                }
            })
    }

    /// Writes the weights of an epoch that was interrupted.
    pub fn save_interrupted(&mut self, tensors: &Named, metadata: &BTreeMap<String, String>) -> Result<()> {
        match &mut self.store {
            Some(store) => store.save_weights(Weights::Last, tensors, metadata),
            None => Ok(()),
        }
    }

    /// Whether the last attempt to save has failed.
    pub fn has_failed(&self) -> bool {
        self.failures > 0
    }

    /// Counts how saving went. A failure is a warning, which is returned, and an error once it is the third in a row.
    pub fn count(&mut self, saved: Result<()>) -> Result<Option<String>> {
        let (path, source) = match saved {
            Ok(()) => {
                self.failures = 0;
                return Ok(None);
            }
            Err(Error::Io { path, source }) => (path, source),
            Err(error) => return Err(error),
        };
        self.failures += 1;
        if self.failures < ATTEMPTS {
            let error = Error::Io { path, source };
            return Ok(Some(format!("{error}: not saved; the run continues and tries again")));
        }
        let what = format!("{source}: the run ends, as nothing could be saved {ATTEMPTS} times in a row");
        // The exit code is that of a full disk or of a failed run, not of a wrong path.
        let kind = match source.kind() {
            full @ (io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => full,
            _ => io::ErrorKind::Other,
        };
        Err(Error::io(path, io::Error::new(kind, what)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_third_failure_in_a_row_ends_the_run() {
        let failed = || Err(Error::io("w", io::Error::new(io::ErrorKind::PermissionDenied, "no")));
        let mut saver = Saver::default();
        assert!(saver.count(failed()).unwrap().is_some() && saver.has_failed());
        assert!(saver.count(failed()).unwrap().is_some());
        assert_eq!(saver.count(Ok(())).unwrap(), None);
        assert!(!saver.has_failed());
        assert!(saver.count(failed()).unwrap().is_some() && saver.count(failed()).unwrap().is_some());
        let error = saver.count(failed()).unwrap_err();
        assert_eq!((error.exit_code(), error.to_string().contains("3 times in a row")), (1, true));
        let full = Err(Error::io("w", io::Error::new(io::ErrorKind::StorageFull, "no")));
        assert_eq!(saver.count(full).unwrap_err().exit_code(), 3);
    }

    #[test]
    fn a_checkpoint_is_due_on_request_and_every_so_many_steps() {
        let request = AtomicBool::new(true);
        let saver = Saver { requested: Some(&request), ..Saver::default() };
        assert!(saver.is_due(1, None) && !saver.is_due(1, None));
        assert!(saver.is_due(6, Some(3)) && !saver.is_due(7, Some(3)));
    }
}
