//! Where a trainer keeps its files. The trainer decides when to save; the store decides how.

use super::event::Event;
use super::state::State;
use crate::error::Result;
use crate::tensor::Tensor;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::{Path, PathBuf};

/// A weights file of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weights {
    /// The weights after the last finished epoch, or where the run was stopped.
    Last,
    /// The weights of the epoch with the best validation result.
    Best,
}

/// Keeps the files of a run. A file is replaced completely or not at all.
pub trait Store: Debug {
    /// The folder of the run's files.
    fn path(&self) -> &Path;

    /// The path of these weights, whether or not they exist.
    fn weights_path(&self, which: Weights) -> PathBuf;

    /// Appends an event to the logs. A line that cannot be written is kept and written with the next one.
    fn record(&mut self, event: &Event) -> Result<()>;

    /// Writes weights with their metadata.
    fn save_weights(
        &mut self,
        which: Weights,
        tensors: &[(String, Tensor)],
        metadata: &BTreeMap<String, String>,
    ) -> Result<()>;

    /// Writes a checkpoint: every tensor that outlives a step, and the state of the run.
    fn save_checkpoint(
        &mut self,
        tensors: &[(String, Tensor)],
        metadata: BTreeMap<String, String>,
        state: &State,
    ) -> Result<()>;
}
