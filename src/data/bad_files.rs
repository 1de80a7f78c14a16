//! Samples that cannot be read: they are left out and reported once, or end the run.

use super::dataset::{Dataset, Images};
use crate::error::{Error, Result};
use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bad samples that are named one by one; of the others only the number is reported.
const NAMED: usize = 20;

/// How to treat a sample that cannot be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnBadFile {
    /// Leave it out and report it.
    #[default]
    Skip,
    /// End with its error.
    Fail,
}

impl fmt::Display for OnBadFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            OnBadFile::Skip => "skip",
            OnBadFile::Fail => "fail",
        })
    }
}

impl FromStr for OnBadFile {
    type Err = Error;

    fn from_str(text: &str) -> Result<OnBadFile> {
        match text {
            "skip" => Ok(OnBadFile::Skip),
            "fail" => Ok(OnBadFile::Fail),
            _ => Err(Error::Usage(format!("on-bad-file: expected skip or fail, found {text}"))),
        }
    }
}

/// The samples of a run, or of a pass over a data set, that could not be read. Shared by all loaders of a run.
#[derive(Debug, Default)]
pub struct BadFiles {
    policy: OnBadFile,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Store (by its address) and index of the image.
    known: HashSet<(usize, u32)>,
    /// The errors of the first bad samples.
    named: Vec<String>,
    /// How many of `named` were reported.
    reported: usize,
    /// Errors that an earlier part of the run has reported, which are not reported again.
    before: HashSet<String>,
    /// Samples to report by their number only.
    others: usize,
}

impl BadFiles {
    pub fn new(policy: OnBadFile) -> Arc<BadFiles> {
        Arc::new(BadFiles { policy, state: Mutex::default() })
    }

    /// Whether `sample` was found bad before.
    pub(super) fn knows(&self, dataset: &Dataset, sample: usize) -> bool {
        key(dataset, sample).is_some_and(|key| self.state().known.contains(&key))
    }

    /// Records a sample that cannot be read; returns the error if it ends the run.
    pub(super) fn note(&self, dataset: &Dataset, sample: usize, error: Error) -> Result<()> {
        if self.policy == OnBadFile::Skip
            && !key(dataset, sample).is_none_or(|key| self.state().known.insert(key))
        {
            return Ok(());
        }
        self.add(error)
    }

    /// Records a bad sample that was not recorded before; returns the error if it ends the run.
    pub fn add(&self, error: Error) -> Result<()> {
        if self.policy == OnBadFile::Fail {
            return Err(error);
        }
        let mut state = self.state();
        let text = error.to_string();
        if state.before.contains(&text) {
            return Ok(());
        }
        if state.named.len() < NAMED {
            state.named.push(text);
        } else {
            state.others += 1;
        }
        Ok(())
    }

    /// The errors of the first 20 bad samples.
    pub fn named(&self) -> Vec<String> {
        self.state().named.clone()
    }

    /// The lines of `named` that `news` has given.
    pub fn reported(&self) -> Vec<String> {
        let state = self.state();
        state.named[..state.reported].to_vec()
    }

    /// Counts `named`, from an earlier part of the run, as reported.
    pub fn restore(&self, named: Vec<String>) {
        let mut state = self.state();
        state.before = named.iter().cloned().collect();
        // A loader may already have found bad samples: they are among `named` or come after them.
        let found = std::mem::replace(&mut state.named, named);
        state.reported = state.named.len();
        let new: Vec<String> = found.into_iter().filter(|text| !state.before.contains(text)).collect();
        state.named.extend(new);
    }

    /// One line for each bad sample since the last call, up to 20 in a run.
    pub fn news(&self) -> Vec<String> {
        let mut state = self.state();
        let news = state.named[state.reported..].iter().map(|text| format!("left out: {text}")).collect();
        state.reported = state.named.len();
        news
    }

    /// One line about the bad samples since the last call that `news` does not report.
    pub fn others(&self) -> Option<String> {
        let others = std::mem::take(&mut self.state().others);
        (others > 0).then(|| format!("left out: {others} more that cannot be read"))
    }

    /// The error of a pass over `dataset` that found nothing to read.
    pub(super) fn nothing_read(&self, dataset: &Dataset) -> Error {
        let first = self.state().named.first().cloned().unwrap_or_default();
        let what = format!("none of its {} samples can be read; the first: {first}", dataset.len());
        Error::data(&dataset.name, what)
    }

    /// The state is consistent after every statement, so a thread that panicked has not damaged it.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(dataset: &Dataset, sample: usize) -> Option<(usize, u32)> {
    match &dataset.images {
        Images::Stored(stored) => Some((Arc::as_ptr(&stored.store).addr(), stored.indices[sample])),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_earlier_part_of_a_run_has_told_is_not_told_again() {
        let bad = |text: &str| Error::data(text, "unreadable");
        let first = BadFiles::new(OnBadFile::Skip);
        first.add(bad("a")).unwrap();
        assert_eq!(first.news().len(), 1);
        first.add(bad("b")).unwrap();
        // "b" was found, but not reported.
        let reported = first.reported();
        assert_eq!(reported, ["a: unreadable"]);
        let second = BadFiles::new(OnBadFile::Skip);
        // A loader that has begun before.
        second.add(bad("c")).unwrap();
        second.add(bad("a")).unwrap();
        second.restore(reported);
        second.add(bad("a")).unwrap();
        second.add(bad("b")).unwrap();
        assert_eq!(second.news(), ["left out: c: unreadable", "left out: b: unreadable"]);
        assert!(second.news().is_empty() && second.others().is_none());
    }
}
