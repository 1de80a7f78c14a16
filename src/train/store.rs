//! Where a trainer leaves what has to outlive it. The trainer knows when something is to be kept; the store knows how.

use super::event::Event;
use super::state::State;
use crate::error::Result;
use crate::tensor::Tensor;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::{Path, PathBuf};

/// Which weights file of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weights {
    /// After the last finished epoch, or where the run was stopped.
    Last,
    /// Of the epoch with the best validation result.
    Best,
}

/// Keeps the files of a run. Each file is complete or as it was before.
pub trait Store: Debug {
    /// Where the run's files lie.
    fn path(&self) -> &Path;

    /// Where these weights lie, or will lie.
    fn weights_path(&self, which: Weights) -> PathBuf;

    /// Appends an event to the logs. A line that cannot be written now is kept, and written with the next.
    fn record(&mut self, event: &Event) -> Result<()>;

    /// Writes weights with their metadata.
    fn save_weights(
        &mut self,
        which: Weights,
        tensors: &[(String, Tensor)],
        metadata: &BTreeMap<String, String>,
    ) -> Result<()>;

    /// Writes a checkpoint: every tensor that outlives a step, and where the run stands.
    fn save_checkpoint(
        &mut self,
        tensors: &[(String, Tensor)],
        metadata: BTreeMap<String, String>,
        state: &State,
    ) -> Result<()>;
}
