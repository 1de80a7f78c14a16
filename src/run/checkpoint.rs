//! A run as one file, from which it resumes as if it had never stopped: every tensor that outlives a step, and in the file's
//! metadata the position of the run, its identity, and the hashes of each tensor and of the metadata. `history` keeps the
//! files of a folder.

mod comparison;
mod history;
mod identity;
mod version1;

use super::folder::RunFolder;
use super::space;
use crate::atomic::NewFile;
use crate::data::Splits;
use crate::error::{Error, Result, printable_path};
use crate::inference::Lineage;
use crate::interchange::{self, safetensors};
use crate::model::Spec;
use crate::tensor::Tensor;
use crate::train::{Options, Saved, State, Trainer};
use crate::view::Rules;
pub(super) use comparison::{Comparison, Difference, SHOWN, Subject, milestones};
pub(super) use history::{commit, file_name, make_newest};
pub(super) use identity::{Identity, identity};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::Xxh3;

/// The version of the metadata, and the version before, whose files can be resumed. A file of a later version is rejected.
const VERSION: &str = "2";
const VERSION_1: &str = "1";

/// Metadata keys of a checkpoint: its parts as JSON, its version, and the hash of all other metadata.
const STATE: &str = "state";
const IDENTITY: &str = "identity";
const TENSORS: &str = "tensors_xxh3";
const FORMAT: &str = "checkpoint";
const HASH: &str = "notes_xxh3";

/// The position of a run and its logs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Position {
    #[serde(flatten)]
    pub state: State,
    /// Bytes of `log.jsonl` and `metrics.csv` that belong to it.
    pub journals: [u64; 2],
}

/// A checkpoint that was read and found whole.
#[derive(Debug)]
pub struct Checkpoint {
    /// The file that it was read from.
    pub path: PathBuf,
    /// The faults of newer checkpoints, one line each.
    pub warnings: Vec<String>,
    tensors: BTreeMap<String, Tensor>,
    position: Position,
    identity: Identity,
    /// Whether `identity` has the lines of format 1.
    is_version_1: bool,
    lineage: Lineage,
    outputs: Option<usize>,
    model: Option<String>,
}

/// Stages the file of a checkpoint, which has yet to get its name. `metadata` holds further entries, for people and other
/// programs.
pub(super) fn stage(
    path: &Path,
    tensors: &[(String, Tensor)],
    mut metadata: BTreeMap<String, String>,
    position: &Position,
    identity: &Identity,
) -> Result<NewFile> {
    let hashes: BTreeMap<&str, String> =
        tensors.iter().map(|(name, tensor)| (name.as_str(), interchange::xxh3(tensor))).collect();
    let json = |result: serde_json::Result<String>| {
        result.map_err(|error| Error::Internal(format!("metadata of a checkpoint: {error}")))
    };
    metadata.insert(STATE.into(), json(serde_json::to_string(position))?);
    metadata.insert(IDENTITY.into(), json(serde_json::to_string(identity))?);
    metadata.insert(TENSORS.into(), json(serde_json::to_string(&hashes))?);
    metadata.insert(FORMAT.into(), VERSION.into());
    metadata.insert(HASH.into(), hash(&metadata));
    space::check_file(path, tensors, &metadata)?;
    safetensors::stage(path, tensors, &metadata)
}

/// XXH3 (128 bits) of all metadata except the hash itself.
fn hash(metadata: &BTreeMap<String, String>) -> String {
    let mut hash = Xxh3::new();
    for text in metadata.iter().filter(|(key, _)| *key != HASH).flat_map(|(key, value)| [key, value]) {
        hash.update(&(text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    }
    format!("{:032x}", hash.digest128())
}

impl Checkpoint {
    /// The checkpoints that `path` (a run's folder, or one of its checkpoints) names, the one to take first, and the folder. An
    /// error if there is none, or if the file has another name: a run resumes in the folder of its checkpoint, which must be its
    /// own.
    pub fn find(path: &Path) -> Result<(PathBuf, Vec<PathBuf>)> {
        let found = std::fs::metadata(path).map_err(|e| Error::io(path, e))?;
        if found.is_dir() {
            let all = history::list(path)?;
            if all.is_empty() {
                let what = format!("expected a run's folder with a {}, found none in it", file_name(0));
                return Err(Error::data(path, what));
            }
            return Ok((path.to_path_buf(), all));
        }
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
            _ => PathBuf::from("."),
        };
        let Some(own) = history::age(path) else {
            let what = format!(
                "expected a run's folder, or its {} or {}, found a file of another name; to resume from a copy, give it that name in a separate folder",
                file_name(0),
                file_name(1)
            );
            return Err(Error::data(path, what));
        };
        let mut all = history::list(&folder)?;
        all.retain(|path| history::age(path).is_some_and(|age| age >= own));
        Ok((folder, all))
    }

    /// The newest whole checkpoint in `folder`; `None` if there is none at all.
    pub(super) fn newest(folder: &Path) -> Result<Option<Checkpoint>> {
        let all = history::list(folder)?;
        if all.is_empty() { Ok(None) } else { Checkpoint::read_first(&all).map(Some) }
    }

    /// The first of `paths` that is whole; its `warnings` name the faults of those before. If none is, the error is
    /// that of the first.
    pub fn read_first(paths: &[PathBuf]) -> Result<Checkpoint> {
        let mut warnings = Vec::new();
        let mut first = None;
        for (number, path) in paths.iter().enumerate() {
            match Checkpoint::read(path) {
                Ok(checkpoint) => return Ok(Checkpoint { warnings, ..checkpoint }),
                Err(error) => {
                    if let Some(next) = paths.get(number + 1) {
                        warnings.push(format!("{error}; taking {} instead", printable_path(next)));
                    }
                    first.get_or_insert(error);
                }
            }
        }
        match first {
            Some(Error::Data { path, message }) if paths.len() > 1 => {
                let what = format!("{message}; nor is any of the {} before it whole", paths.len() - 1);
                Err(Error::Data { path, message: what })
            }
            Some(error) => Err(error),
            None => Err(Error::Internal("no checkpoint to read".into())),
        }
    }

    /// Reads the file at `path` and holds everything in it against its hashes.
    pub fn read(path: &Path) -> Result<Checkpoint> {
        let bad = |what: String| Error::data(path, what);
        let interchange::File { tensors, metadata, .. } = safetensors::read(path)?;
        let entry = |key: &str| {
            metadata
                .get(key)
                .ok_or_else(|| bad(format!("{key}: expected a checkpoint with this metadata, found none")))
        };
        let (kept, found) = (entry(HASH)?, hash(&metadata));
        if *kept != found {
            return Err(bad(format!(
                "metadata: expected the hash {kept}, found {found}: the file is damaged"
            )));
        }
        let version = entry(FORMAT)?;
        let is_version_1 = version == VERSION_1;
        if version != VERSION && !is_version_1 {
            return Err(bad(format!(
                "checkpoint: expected version {VERSION_1} or {VERSION}, found {version}"
            )));
        }
        fn parse<T: serde::de::DeserializeOwned>(path: &Path, key: &str, text: &str) -> Result<T> {
            serde_json::from_str(text).map_err(|error| Error::data(path, format!("{key}: {error}")))
        }
        let hashes: BTreeMap<String, String> = parse(path, TENSORS, entry(TENSORS)?)?;
        if let Some(name) = hashes.keys().find(|name| !tensors.contains_key(*name)) {
            return Err(bad(format!(
                "tensor {name}: expected by the metadata, found none: the file is damaged"
            )));
        }
        for (name, tensor) in &tensors {
            let found = interchange::xxh3(tensor);
            let kept = hashes.get(name).map_or("none", String::as_str);
            if kept != found {
                return Err(bad(format!(
                    "tensor {name}: expected the hash {kept}, found {found}: the file is damaged"
                )));
            }
        }
        let position: Position = parse(path, STATE, entry(STATE)?)?;
        let identity = parse(path, IDENTITY, entry(IDENTITY)?)?;
        position.state.check().map_err(|what| bad(format!("state: {what}")))?;
        let lineage = Lineage::read(path, &metadata)?;
        let outputs = metadata.get("num_classes").and_then(|text| text.parse().ok());
        let model = metadata.get("arch").cloned();
        let (path, warnings) = (path.to_path_buf(), Vec::new());
        Ok(Checkpoint { path, warnings, tensors, position, identity, is_version_1, lineage, outputs, model })
    }

    /// An error that says field by field what differs, if the run that made it was not one of `spec` on `data` under
    /// `options`. How long it was to go on may differ: epochs, patience and what the learning rate does in epochs to come.
    pub fn check(&self, spec: &Spec, data: &Splits, options: &Options) -> Result<()> {
        let differences = self.compare(spec, data, options)?.differences;
        if differences.is_empty() {
            return Ok(());
        }
        let (path, what) = (printable_path(&self.path), comparison::in_one_line(&differences));
        Err(Error::Usage(format!("{path}: this is not the run that made it: {what}")))
    }

    /// How a run of `spec` on `data` under `options` differs from the one that made it.
    pub(super) fn compare(&self, spec: &Spec, data: &Splits, options: &Options) -> Result<Comparison> {
        let now = match self.is_version_1 {
            true => version1::identity(spec, data, options),
            false => identity(spec, data, options)?,
        };
        Ok(comparison::compare(&self.identity, &now, self.state().epochs_begun()))
    }

    /// The value of the option `name` in the run that made it, as text.
    pub(super) fn option(&self, name: &str) -> Option<&str> {
        self.identity.get(name).map(String::as_str)
    }

    /// The name of its network.
    pub(super) fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    /// The runs that it comes from; the newest is its own. Checkpoints of versions that kept none drew validation samples in
    /// the way of version 1 ([`crate::data::Division`]).
    pub fn lineage(&self) -> &Lineage {
        &self.lineage
    }

    /// Outputs of its network.
    pub fn outputs(&self) -> Option<usize> {
        self.outputs
    }

    /// The batch size of the run.
    pub(super) fn batch_size(&self) -> Option<usize> {
        self.identity.get("batch-size")?.parse().ok().filter(|&size| size > 0)
    }

    /// The rules by which the run resizes and crops its images.
    pub fn rules(&self) -> Rules {
        identity::rules(&self.identity)
    }

    /// Where the run stands.
    pub fn state(&self) -> &State {
        &self.position.state
    }

    /// Updates of the run so far.
    pub fn step(&self) -> usize {
        self.state().step()
    }

    /// Continues `trainer` from here as if the run had never stopped, with the files of `folder`, whose later lines go.
    ///
    /// An error if the checkpoint is of another run (see [`Checkpoint::check`]); with `force` what fits is taken all the
    /// same, and the rest starts again.
    pub fn resume<'a>(
        self,
        trainer: Trainer<'a>,
        folder: Option<RunFolder>,
        force: bool,
    ) -> Result<Trainer<'a>> {
        let task = trainer.task();
        if !force {
            self.check(task.spec, task.data, task.options)?;
        }
        let has_changes = !self.compare(task.spec, task.data, task.options)?.changes.is_empty();
        let optimizer = task.spec.recipe.optimizer;
        let name =
            if self.is_version_1 { version1::optimizer(optimizer).into() } else { optimizer.to_string() };
        let is_other_optimizer = self.identity.get("opt") != Some(&name);
        let Checkpoint { path, warnings, tensors, position: Position { state, journals }, .. } = self;
        let saved = Saved { path: path.clone(), tensors, state, is_other_optimizer };
        let mut trainer = warnings.into_iter().fold(trainer, Trainer::with_notice).resume(saved, force)?;
        if has_changes {
            trainer = trainer.with_start_in_log();
        }
        let Some(mut folder) = folder else { return Ok(trainer) };
        let notices = folder.rewind(&path, journals)?;
        Ok(folder.keep(notices.into_iter().fold(trainer, Trainer::with_notice)))
    }
}
