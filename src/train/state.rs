//! Where a run stands between two updates: all that the next one needs beside the tensors on the device. It is what a
//! checkpoint holds; how it is kept in a file is no concern of the trainer.

use super::judge::Verdicts;
use super::probe::Probe;
use super::progress::Progress;
use super::watch::Seen;
use crate::inference::exact;
use crate::tensor::Tensor;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Where a run stands.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct State {
    /// The current epoch, counted from 0.
    pub(super) epoch: usize,
    /// Updates of that epoch so far.
    pub(super) position: usize,
    /// Updates of the run so far.
    pub(super) step: usize,
    /// Computations of gradients so far.
    pub(super) draw: usize,
    pub(super) steps_per_epoch: usize,
    /// Of the epoch so far.
    pub(super) progress: Progress,
    pub(super) verdicts: Verdicts,
    pub(super) seen: Seen,
    pub(super) probe: Probe,
    /// The state of the learning rate's rule.
    pub(super) schedule: String,
    /// Samples that could not be read, as they were reported.
    pub(super) bad: Vec<String>,
    /// Seconds that the run has taken.
    #[serde(with = "exact")]
    pub(super) seconds: f64,
    /// The device that the run was on.
    pub(super) device: String,
}

impl State {
    /// Updates of the run so far.
    pub fn step(&self) -> usize {
        self.step
    }

    /// Updates of the current epoch so far.
    pub fn position(&self) -> usize {
        self.position
    }

    /// Computations of gradients so far.
    pub fn draw(&self) -> usize {
        self.draw
    }

    /// What is wrong with it, if anything is: a file that was made by hand may say anything.
    pub fn check(&self) -> std::result::Result<(), String> {
        let State { epoch, position, step, steps_per_epoch: most, .. } = self;
        if position > most || epoch.max(step) > &(u32::MAX as usize) {
            return Err(format!("expected at most {most} updates of an epoch, found {position}"));
        }
        Ok(())
    }

    /// The epoch to continue, from 0, and how many of its updates have been made. With another number of updates in an
    /// epoch, the epoch starts again.
    pub fn place(&self, steps_per_epoch: usize) -> [usize; 2] {
        [self.epoch, if self.steps_per_epoch == steps_per_epoch { self.position } else { 0 }]
    }
}

/// What a trainer resumes from.
#[derive(Debug)]
pub struct Saved {
    /// The file that it was read from, for messages.
    pub path: PathBuf,
    /// Every tensor that outlives a step, by the name of its buffer.
    pub tensors: BTreeMap<String, Tensor>,
    pub state: State,
    /// Whether the run had another optimiser, whose state means nothing to this one's.
    pub is_other_optimizer: bool,
}
