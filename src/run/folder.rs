//! The folder of a run: `last.safetensors`, `best.safetensors`, checkpoints, `args.toml`, `metrics.csv` and `log.jsonl`. A
//! new run never writes to a folder that exists: the next free name gets `-2`, `-3`, ... A resumed run writes to its
//! own folder unless another process does: the writer holds the lock of the file `.lock`, which the operating system
//! releases when the process ends for any reason.

use super::checkpoint::{self, Identity, Position};
use super::journal::Journal;
use super::metrics;
use super::space;
use crate::atomic;
use crate::error::{Error, Result, printable_path};
use crate::interchange::safetensors;
use crate::tensor::Tensor;
use crate::train::{Event, Weights};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The name of a weights file.
pub(super) fn weights_name(which: Weights) -> &'static str {
    match which {
        Weights::Last => "last.safetensors",
        Weights::Best => "best.safetensors",
    }
}

/// The open folder of one run.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    log: Journal,
    metrics: Journal,
    /// How many of the [`metrics::COLUMNS`] `metrics.csv` has.
    columns: usize,
    /// Held until this and every [`Hold`] is dropped.
    lock: Arc<File>,
}

/// The lock of a run's folder, kept while the folder is closed and opened again.
#[derive(Debug)]
pub(super) struct Hold {
    path: PathBuf,
    lock: Arc<File>,
}

impl Hold {
    /// The path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes `args` as the run's `args.toml`, replacing an existing one.
    pub fn describe(&self, args: &str) -> Result<()> {
        describe(&self.path, args)
    }

    /// Opens the folder again.
    pub fn open(&self) -> Result<RunFolder> {
        RunFolder::under(&self.path, Arc::clone(&self.lock))
    }
}

/// The file that records the options of a run.
const ARGS: &str = "args.toml";
/// Its maximum size in bytes.
const LONGEST_ARGS: u64 = 1 << 20;
pub(super) const LOG: &str = "log.jsonl";
pub(super) const METRICS: &str = "metrics.csv";
const LOCK: &str = ".lock";

impl RunFolder {
    /// Makes `output_dir/name`, or `name-2`, `name-3`, ... if that is taken, with `args` as its `args.toml`.
    ///
    /// Characters of `name` other than letters, digits, `.`, `_` and `-` become `_`.
    pub fn create(output_dir: &Path, name: &str, args: &str) -> Result<Self> {
        atomic::create_folders(output_dir)?;
        let path = claim(output_dir, &folder_name(name))?;
        let lock = lock(&path)?;
        // Files are only as durable as the folder that holds them.
        atomic::keep_folder(&path)?;
        let log = Journal::create(&path.join(LOG))?;
        let mut table = Journal::create(&path.join(METRICS))?;
        table.append(metrics::COLUMNS)?;
        let folder = RunFolder { path, log, metrics: table, columns: metrics::all(), lock: Arc::new(lock) };
        describe(&folder.path, args)?;
        Ok(folder)
    }

    /// Opens the folder of a run to resume. A usage error if another process writes to it; an error of data if files of
    /// the names of logs are there and nothing says that they are a run's, or if one of its files is none but a link or a pipe.
    pub fn reopen(path: &Path) -> Result<Self> {
        for name in [ARGS, LOG, METRICS, LOCK] {
            atomic::expect_plain(&path.join(name))?;
        }
        let is_run = path.join(LOCK).exists()
            || RunFolder::description(path).is_ok_and(|text| {
                text.parse::<toml::Table>().is_ok_and(|table| table.contains_key("striate"))
            });
        if let Some(other) = [LOG, METRICS].into_iter().find(|name| !is_run && path.join(name).exists()) {
            let what =
                "expected a run's folder, with its args.toml, found a file of this name by another program";
            return Err(Error::data(path.join(other), what));
        }
        let lock = lock(path)?;
        RunFolder::under(path, Arc::new(lock))
    }

    fn under(path: &Path, lock: Arc<File>) -> Result<Self> {
        let log = Journal::reopen(&path.join(LOG))?;
        let mut table = Journal::reopen(&path.join(METRICS))?;
        let mut columns = metrics::all();
        if table.is_empty() {
            table.append(metrics::COLUMNS)?;
        } else {
            columns = metrics::columns_of(&path.join(METRICS));
        }
        Ok(RunFolder { path: path.to_path_buf(), log, metrics: table, columns, lock })
    }

    /// The text of the `args.toml` of the run in `folder`.
    pub fn description(folder: &Path) -> Result<String> {
        let path = folder.join(ARGS);
        atomic::expect_plain(&path)?;
        let mut text = String::new();
        let read = File::open(&path).and_then(|file| file.take(LONGEST_ARGS + 1).read_to_string(&mut text));
        read.map_err(|e| Error::io(&path, e))?;
        if text.len() as u64 > LONGEST_ARGS {
            return Err(Error::data(path, format!("expected at most {LONGEST_ARGS} bytes, found more")));
        }
        Ok(text)
    }

    /// The newest folder of the name `name` in `output_dir` (of `name`, `name-2`, `name-3`, ... the last) that has a
    /// checkpoint.
    pub fn latest(output_dir: &Path, name: &str) -> Option<PathBuf> {
        let name = folder_name(name);
        let number = |found: &str| match found.strip_prefix(name.as_str())? {
            "" => Some(1u32),
            rest => rest.strip_prefix('-')?.parse().ok().filter(|&number| number > 1),
        };
        let folders = std::fs::read_dir(output_dir).ok()?.flatten();
        let numbers = folders.filter_map(|entry| number(entry.file_name().to_str()?));
        let paths = numbers.map(|number| (number, numbered(output_dir, &name, number)));
        let whole = paths.filter(|(_, path)| checkpoint::Checkpoint::find(path).is_ok());
        whole.max().map(|(_, path)| path)
    }

    /// The folder in `output_dir` whose checkpoint was written last.
    pub fn newest(output_dir: &Path) -> Option<PathBuf> {
        let folders = std::fs::read_dir(output_dir).ok()?.flatten().map(|entry| entry.path());
        let written = |folder: PathBuf| {
            let (_, checkpoints) = checkpoint::Checkpoint::find(&folder).ok()?;
            let times = checkpoints.iter().filter_map(|path| std::fs::metadata(path).ok()?.modified().ok());
            Some((times.max()?, folder))
        };
        folders.filter_map(written).max().map(|(_, folder)| folder)
    }

    /// The lock of this folder, which may outlive it.
    pub(super) fn hold(&self) -> Hold {
        Hold { path: self.path.clone(), lock: Arc::clone(&self.lock) }
    }

    /// Truncates the logs to the state of a new folder.
    pub(super) fn restart(&mut self) -> Result<()> {
        atomic::sweep(&self.path)?;
        self.log.rewind(0)?;
        self.metrics.rewind(0)?;
        self.columns = metrics::all();
        self.metrics.append(metrics::COLUMNS)
    }

    /// Restores the files to the state when the checkpoint at `from` was written: it becomes the newest, the logs are
    /// truncated to the lengths `journals`, and half-written files of a killed process are removed. Returns one warning per
    /// file that cannot be restored.
    pub(super) fn rewind(&mut self, from: &Path, journals: [u64; 2]) -> Result<Vec<String>> {
        checkpoint::make_newest(from, &self.path)?;
        atomic::sweep(&self.path)?;
        let mut notices = Vec::new();
        for (journal, length) in [(&mut self.log, journals[0]), (&mut self.metrics, journals[1])] {
            if !journal.rewind(length)? {
                let path = printable_path(journal.path());
                notices.push(format!(
                    "{path}: expected at least {length} bytes, found fewer: lines are missing"
                ));
            }
        }
        Ok(notices)
    }

    /// Forces the logs to the disk; the lengths of `log.jsonl` and `metrics.csv` in bytes.
    pub(super) fn sync(&mut self) -> Result<[u64; 2]> {
        Ok([self.log.sync()?, self.metrics.sync()?])
    }

    /// Writes a checkpoint and keeps `keep` in all. At any moment the newest whole one is there.
    pub(super) fn checkpoint(
        &self,
        tensors: &[(String, Tensor)],
        metadata: BTreeMap<String, String>,
        position: &Position,
        identity: &Identity,
        keep: usize,
    ) -> Result<()> {
        let path = self.path.join(checkpoint::file_name(0));
        let file = checkpoint::stage(&path, tensors, metadata, position, identity)?;
        checkpoint::commit(file, &self.path, keep)
    }

    /// The path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of these weights, whether or not they exist.
    pub fn weights_path(&self, which: Weights) -> PathBuf {
        self.path.join(weights_name(which))
    }

    /// Writes weights; on an error the previous file is unchanged.
    pub fn save(
        &self,
        which: Weights,
        tensors: &[(String, Tensor)],
        metadata: &BTreeMap<String, String>,
    ) -> Result<()> {
        let path = self.weights_path(which);
        space::check_file(&path, tensors, metadata)?;
        safetensors::write(path, tensors, metadata)
    }

    /// Appends an event to `log.jsonl`, and an epoch also to `metrics.csv`. A line that cannot be written is kept and
    /// written with the next one.
    pub fn record(&mut self, event: &Event) -> Result<()> {
        let logged = self.log.append(&event.json());
        match event {
            Event::Epoch(epoch) => logged.and(self.metrics.append(&metrics::row(epoch, self.columns))),
            _ => logged,
        }
    }
}

/// Writes `args` as the `args.toml` of the run in `folder`, replacing an existing one.
fn describe(folder: &Path, args: &str) -> Result<()> {
    atomic::write(folder.join(ARGS), |out| out.write_all(args.as_bytes()))
}

/// Longest name of a run's folder, in bytes: file systems allow 255, of which a number may take some.
const LONGEST_NAME: usize = 200;

fn folder_name(name: &str) -> String {
    let kept = |c: char| if c.is_alphanumeric() || "._-".contains(c) { c } else { '_' };
    let mut room = LONGEST_NAME;
    let fits = |c: &char| {
        let rest = usize::checked_sub(room, c.len_utf8());
        room = rest.unwrap_or(0);
        rest.is_some()
    };
    let name: String = name.chars().map(kept).take_while(fits).collect();
    // A name of dots alone would be this folder or the one above.
    if name.trim_matches('.').is_empty() { "run".into() } else { name }
}

/// Makes the first of `name`, `name-2`, `name-3`, ... that does not exist. Two runs that start at once get two folders,
/// because making a folder fails if it is there.
fn claim(parent: &Path, name: &str) -> Result<PathBuf> {
    for number in 1u32.. {
        let path = numbered(parent, name, number);
        match std::fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
            Err(e) => return Err(Error::io(path, e)),
        }
    }
    Err(Error::Internal("no free folder name".into()))
}

fn numbered(parent: &Path, name: &str, number: u32) -> PathBuf {
    parent.join(if number == 1 { name.to_string() } else { format!("{name}-{number}") })
}

/// Locks the folder at `path` for writing.
fn lock(path: &Path) -> Result<File> {
    let file = path.join(LOCK);
    let open = OpenOptions::new().write(true).create(true).truncate(false).open(&file);
    let open = open.map_err(|e| Error::io(&file, e))?;
    match fs4::FileExt::try_lock(&open) {
        Ok(()) => Ok(open),
        Err(fs4::TryLockError::WouldBlock) => {
            Err(Error::Usage(format!("{}: another run is writing to this folder", printable_path(path))))
        }
        // A file system without locks is no reason not to train.
        Err(fs4::TryLockError::Error(e)) if e.kind() == ErrorKind::Unsupported => Ok(open),
        Err(fs4::TryLockError::Error(e)) => Err(Error::io(&file, e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Division;
    use crate::train::{Epoch, ValPart};

    #[test]
    fn a_folder_is_never_used_twice() {
        let parent = tempfile::tempdir().unwrap();
        let names: Vec<_> = (0..3)
            .map(|_| RunFolder::create(parent.path(), "net", "seed = 1\n").unwrap())
            .map(|f| f.path().file_name().unwrap().to_string_lossy().into_owned())
            .collect();
        assert_eq!(names, ["net", "net-2", "net-3"]);
        assert_eq!(std::fs::read_to_string(parent.path().join("net-3/args.toml")).unwrap(), "seed = 1\n");
    }

    #[test]
    fn the_latest_folder_is_the_one_with_the_highest_number_that_has_a_checkpoint() {
        let parent = tempfile::tempdir().unwrap();
        assert_eq!(RunFolder::latest(&parent.path().join("none"), "net"), None);
        for name in ["net", "net-2", "net-10", "net-11", "net-x", "network"] {
            let path = parent.path().join(name);
            std::fs::create_dir(&path).unwrap();
            if name != "net-11" {
                std::fs::write(path.join("checkpoint-1.safetensors"), "").unwrap();
            }
        }
        assert_eq!(RunFolder::latest(parent.path(), "net"), Some(parent.path().join("net-10")));
        assert_eq!(RunFolder::latest(parent.path(), "ne"), None);
    }

    #[test]
    fn names_stay_inside_the_output_folder() {
        assert_eq!(folder_name("../a b/c"), ".._a_b_c");
        assert_eq!(folder_name(".."), "run");
        assert_eq!(folder_name(""), "run");
        assert_eq!(folder_name("alexnet-2012"), "alexnet-2012");
    }

    #[test]
    fn an_epoch_goes_to_both_logs() {
        let parent = tempfile::tempdir().unwrap();
        let mut folder = RunFolder::create(parent.path(), "net", "").unwrap();
        let epoch = Epoch {
            epoch: 3,
            train_loss: 0.5,
            train_acc1: 50.0,
            val_loss: f64::NAN,
            acc1: f64::NAN,
            acc5: f64::NAN,
            rmse: f64::NAN,
            balanced_accuracy: f64::NAN,
            macro_f1: f64::NAN,
            train_samples: 40,
            val_samples: 0,
            val_part: ValPart::HeldOut(Division::All),
            lr: 0.1,
            seconds: 2.0,
            images_per_second: 100.0,
            data_wait: 0.0,
            weights_sha256: "ab".into(),
            best: true,
        };
        folder.record(&Event::Epoch(epoch)).unwrap();
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        let csv = read("metrics.csv");
        let lines: Vec<_> = csv.lines().collect();
        assert_eq!(lines[0].split(',').count(), lines[1].split(',').count());
        assert!(
            lines[1].starts_with("3,0.500000000,50.0000000,,,,40,0,0.1,2.00000000,100.000000,ab,held-out,"),
            "{csv}"
        );
        assert_eq!(read("log.jsonl").lines().count(), 1);
    }
}
