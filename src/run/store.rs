//! The files of a trainer, kept in a run's folder.

use super::checkpoint::{self, Identity, Position};
use super::folder::RunFolder;
use crate::error::Result;
use crate::tensor::Tensor;
use crate::train::{Event, State, Store, Trainer, TrainingTask, Weights};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Keeps the files of a trainer in a folder.
#[derive(Debug)]
struct FolderStore<'a> {
    folder: RunFolder,
    task: TrainingTask<'a>,
    /// The identity of the run, computed on first use.
    identity: Option<Identity>,
}

impl Store for FolderStore<'_> {
    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn weights_path(&self, which: Weights) -> PathBuf {
        self.folder.weights_path(which)
    }

    fn record(&mut self, event: &Event) -> Result<()> {
        self.folder.record(event)
    }

    fn save_weights(
        &mut self,
        which: Weights,
        tensors: &[(String, Tensor)],
        metadata: &BTreeMap<String, String>,
    ) -> Result<()> {
        self.folder.save(which, tensors, metadata)
    }

    fn save_checkpoint(
        &mut self,
        tensors: &[(String, Tensor)],
        metadata: BTreeMap<String, String>,
        state: &State,
    ) -> Result<()> {
        let TrainingTask { spec, data, options, .. } = self.task;
        let identity = match &mut self.identity {
            Some(identity) => identity,
            none => none.insert(checkpoint::identity(spec, data, options)?),
        };
        // On the disk before the file that counts on them.
        let position = Position { state: state.clone(), journals: self.folder.sync()? };
        self.folder.checkpoint(tensors, metadata, &position, identity, options.checkpoint_hist)
    }
}

impl RunFolder {
    /// `trainer`, which keeps its files here.
    pub fn keep(self, trainer: Trainer<'_>) -> Trainer<'_> {
        let task = trainer.task().clone();
        trainer.with_store(Box::new(FolderStore { folder: self, task, identity: None }))
    }
}
