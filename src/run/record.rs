//! What a run's folder says of the run: its logs and `args.toml`, read without a lock, also while the run goes on. A line that
//! cannot be read is counted and left out.

use super::description::table;
use super::folder::{LOG, METRICS};
use super::options::RunOptions;
use crate::error::{Error, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// The longest line that is read, in bytes.
const LONGEST: u64 = 1 << 20;
/// As much of `metrics.csv` is read, in bytes.
const LONGEST_TABLE: u64 = 1 << 26;
/// Most characters of a warning that are kept.
const LETTERS: usize = 1000;
/// Most points of a curve over steps. Neighbours are joined where there are more.
const POINTS: usize = 2000;
/// Most warnings that are kept.
const WARNINGS: usize = 100;

/// A number of an epoch.
type Number<'a> = dyn Fn(&EpochRecord) -> Option<f64> + 'a;

/// The record of a run.
#[derive(Clone, Debug, Default)]
pub(super) struct RunRecord {
    pub folder: PathBuf,
    /// The epochs that are done, in their order.
    pub epochs: Vec<EpochRecord>,
    pub steps: Steps,
    /// The newest start, as far as the log has one.
    pub start: Option<StartRecord>,
    /// How the run ended, if its log says so.
    pub done: Option<DoneRecord>,
    pub warnings: Vec<String>,
    /// Lines of the logs that could not be read, and warnings beyond those that are kept.
    pub unreadable: usize,
    pub more_warnings: usize,
    /// The content of `args.toml`; empty if there is none, or if it cannot be read.
    pub args: toml::Table,
    /// The options in it.
    pub options: Option<RunOptions>,
}

/// An epoch. Numbers that there are none of are `None`.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct EpochRecord {
    /// Counted from 0.
    pub epoch: usize,
    pub train_loss: Option<f64>,
    pub train_acc1: Option<f64>,
    pub val_loss: Option<f64>,
    pub acc1: Option<f64>,
    pub acc5: Option<f64>,
    pub rmse: Option<f64>,
    pub balanced_accuracy: Option<f64>,
    pub macro_f1: Option<f64>,
    pub lr: Option<f64>,
    pub seconds: Option<f64>,
    pub images_per_second: Option<f64>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct StartRecord {
    pub device: Option<String>,
    pub model: Option<String>,
    pub data: Option<String>,
    pub parameters: Option<u64>,
    /// `None` where accuracies mean nothing; earlier versions did not say.
    #[serde(default, deserialize_with = "present")]
    pub classes: Option<Option<u64>>,
    pub epochs: Option<usize>,
    pub steps_per_epoch: Option<usize>,
    pub train_samples: Option<u64>,
    pub val_samples: Option<u64>,
    pub val_part: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct DoneRecord {
    pub ending: Option<String>,
    pub steps: Option<u64>,
    pub seconds: Option<f64>,
    pub acc1_guess: Option<f64>,
}

#[derive(Deserialize)]
struct StepLine {
    step: u64,
    loss: Option<f64>,
    acc1: Option<f64>,
    lr: Option<f64>,
}

#[derive(Deserialize)]
struct WarningLine {
    message: String,
}

#[derive(Deserialize)]
struct Kind {
    event: String,
}

/// Tells `null` from a key that is missing.
fn present<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Option<u64>>, D::Error> {
    Option::deserialize(from).map(Some)
}

/// Means over consecutive reports of steps, so many of them together that there are at most 2000.
#[derive(Clone, Debug)]
pub(super) struct Steps {
    together: u64,
    waiting: Mean,
    means: Vec<Mean>,
}

/// Sums over some reports.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Mean {
    reports: u64,
    /// The last of them.
    step: u64,
    loss: f64,
    acc1: f64,
    lr: f64,
}

impl Default for Steps {
    fn default() -> Steps {
        Steps { together: 1, waiting: Mean::default(), means: Vec::new() }
    }
}

impl Mean {
    fn and(self, next: Mean) -> Mean {
        Mean {
            reports: self.reports + next.reports,
            step: next.step,
            loss: self.loss + next.loss,
            acc1: self.acc1 + next.acc1,
            // A rate is shown at its step.
            lr: next.lr,
        }
    }
}

impl Steps {
    fn add(&mut self, step: StepLine) {
        let number = |value: Option<f64>| value.unwrap_or(f64::NAN);
        let StepLine { step, loss, acc1, lr } = step;
        // A run without checkpoint starts its log again; one that another program joined has steps out of order.
        if self.waiting.step.max(self.means.last().map_or(0, |mean| mean.step)) >= step {
            return;
        }
        let one = Mean { reports: 1, step, loss: number(loss), acc1: number(acc1), lr: number(lr) };
        self.waiting = self.waiting.and(one);
        if self.waiting.reports < self.together {
            return;
        }
        self.means.push(std::mem::take(&mut self.waiting));
        if self.means.len() >= POINTS {
            let pairs = self.means.chunks(2);
            self.means = pairs.filter_map(|pair| pair.iter().copied().reduce(Mean::and)).collect();
            self.together *= 2;
        }
    }

    /// Points of a curve: step, and what `value` takes of the means of loss, top-1 and learning rate.
    pub fn curve(&self, value: impl Fn([f64; 3]) -> f64) -> Vec<[f64; 2]> {
        let waiting = Some(self.waiting).filter(|waiting| waiting.reports > 0);
        let point = |mean: &Mean| {
            let count = mean.reports as f64;
            [mean.step as f64, value([mean.loss / count, mean.acc1 / count, mean.lr])]
        };
        self.means.iter().chain(&waiting).map(point).collect()
    }
}

impl RunRecord {
    /// Reads the record of the run in `folder`.
    ///
    /// # Errors
    /// [`Error::Data`] unless `folder` has `log.jsonl` or `metrics.csv`; [`Error::Io`] if one of them cannot be read.
    pub fn read(folder: &Path) -> Result<RunRecord> {
        let mut record = RunRecord { folder: folder.to_path_buf(), ..RunRecord::default() };
        let (log, metrics) = (folder.join(LOG), folder.join(METRICS));
        if !log.is_file() && !metrics.is_file() {
            if !folder.exists() {
                return Err(Error::io(folder, std::io::ErrorKind::NotFound.into()));
            }
            let what = "expected the folder of a run, with log.jsonl or metrics.csv, found neither";
            return Err(Error::data(folder, what));
        }
        let mut epochs = BTreeMap::new();
        if metrics.is_file() {
            record.read_metrics(&metrics, &mut epochs)?;
        }
        if log.is_file() {
            record.read_log(&log, &mut epochs)?;
        }
        record.epochs = epochs.into_values().collect();
        record.args = table(folder).ok().flatten().unwrap_or_default();
        record.options = RunOptions::of_folder(folder).ok().flatten();
        Ok(record)
    }

    fn read_metrics(&mut self, path: &Path, epochs: &mut BTreeMap<usize, EpochRecord>) -> Result<()> {
        let file = File::open(path).map_err(|e| Error::io(path, e))?;
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(file.take(LONGEST_TABLE));
        let Ok(head) = reader.headers().cloned() else {
            self.unreadable += 1;
            return Ok(());
        };
        for row in reader.records() {
            let parsed = row.ok().and_then(|row| {
                let text = |name: &str| row.get(head.iter().position(|column| column == name)?);
                let number = |name: &str| text(name)?.parse::<f64>().ok().filter(|value| value.is_finite());
                let epoch = text("epoch")?.parse().ok()?;
                Some(EpochRecord {
                    epoch,
                    train_loss: number("train_loss"),
                    train_acc1: number("train_acc1"),
                    val_loss: number("val_loss"),
                    acc1: number("acc1"),
                    acc5: number("acc5"),
                    rmse: number("rmse"),
                    lr: number("lr"),
                    seconds: number("seconds"),
                    images_per_second: number("images_per_second"),
                    ..EpochRecord::default()
                })
            });
            match parsed {
                Some(epoch) => drop(epochs.insert(epoch.epoch, epoch)),
                None => self.unreadable += 1,
            }
        }
        Ok(())
    }

    fn read_log(&mut self, path: &Path, epochs: &mut BTreeMap<usize, EpochRecord>) -> Result<()> {
        let file = File::open(path).map_err(|e| Error::io(path, e))?;
        let mut reader = BufReader::new(file);
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = reader.by_ref().take(LONGEST).read_until(b'\n', &mut line);
            if read.map_err(|e| Error::io(path, e))? == 0 {
                return Ok(());
            }
            if self.take_line(&line, epochs).is_none() {
                self.unreadable += 1;
            }
        }
    }

    /// Takes in one line of the log; `None` if it is none.
    fn take_line(&mut self, line: &[u8], epochs: &mut BTreeMap<usize, EpochRecord>) -> Option<()> {
        fn parsed<T: for<'de> Deserialize<'de>>(line: &[u8]) -> Option<T> {
            serde_json::from_slice(line).ok()
        }
        match parsed::<Kind>(line)?.event.as_str() {
            "start" => self.start = Some(parsed(line)?),
            "step" => self.steps.add(parsed(line)?),
            "epoch" => {
                let epoch: EpochRecord = parsed(line)?;
                // A run that goes on has not ended.
                self.done = None;
                epochs.insert(epoch.epoch, epoch);
            }
            "done" => self.done = Some(parsed(line)?),
            "warning" => {
                let WarningLine { message } = parsed(line)?;
                if self.warnings.len() < WARNINGS {
                    self.warnings.push(message.chars().take(LETTERS).collect());
                } else {
                    self.more_warnings += 1;
                }
            }
            // Of a later version.
            _ => {}
        }
        Some(())
    }

    /// Whether predictions are right or wrong, so that accuracies mean something.
    pub fn has_hits(&self) -> bool {
        match self.start.as_ref().and_then(|start| start.classes) {
            Some(classes) => classes.is_some(),
            None => !self.epochs.iter().any(|epoch| epoch.rmse.is_some()),
        }
    }

    /// The best epoch: the lowest top-1 error, else the lowest RMSE, else the lowest loss, on the validation set if there is one;
    /// of equal ones the one with the lower loss, then the first. Epochs without that number are passed over.
    pub fn best(&self) -> Option<&EpochRecord> {
        let loss = |epoch: &EpochRecord| epoch.val_loss.or(epoch.train_loss);
        // A run whose labels are values chose by its loss.
        let is_of_classes =
            |epoch: &EpochRecord| self.has_hits() && epoch.val_loss.is_some() && epoch.rmse.is_none();
        let error = |epoch: &EpochRecord| epoch.acc1.filter(|_| is_of_classes(epoch));
        let keys: [&Number<'_>; 4] =
            [&|epoch| Some(100.0 - error(epoch)?), &|epoch| epoch.rmse, &|epoch| epoch.val_loss, &loss];
        let key = keys.into_iter().find(|key| self.epochs.iter().any(|epoch| key(epoch).is_some()))?;
        let ranked = self.epochs.iter().filter_map(|epoch| Some((epoch, key(epoch)?)));
        let tie = |epoch: &EpochRecord| loss(epoch).unwrap_or(f64::INFINITY);
        let best = ranked.min_by(|a, b| a.1.total_cmp(&b.1).then(tie(a.0).total_cmp(&tie(b.0))));
        best.map(|(epoch, _)| epoch)
    }

    /// The name of the folder.
    pub fn name(&self) -> String {
        // `.` and `..` have one too.
        let path = self.folder.canonicalize().unwrap_or_else(|_| self.folder.clone());
        path.file_name().map_or_else(|| "run".into(), |name| name.to_string_lossy().into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(log: &str, metrics: Option<&str>) -> Result<RunRecord> {
        let folder = tempfile::tempdir().unwrap();
        if !log.is_empty() {
            std::fs::write(folder.path().join(LOG), log).unwrap();
        }
        if let Some(text) = metrics {
            std::fs::write(folder.path().join(METRICS), text).unwrap();
        }
        RunRecord::read(folder.path())
    }

    #[test]
    fn many_steps_become_means_over_neighbours() {
        let mut steps = Steps::default();
        let count = 10_001;
        for step in 1..=count {
            let loss = if step % 2 == 0 { 1.0 } else { 3.0 };
            steps.add(StepLine { step, loss: Some(loss), acc1: None, lr: Some(step as f64) });
        }
        let curve = steps.curve(|[loss, ..]| loss);
        assert!((POINTS / 2..=POINTS).contains(&curve.len()), "{}", curve.len());
        let (last, others) = curve.split_last().unwrap();
        assert!(others.iter().all(|point| point[1] == 2.0));
        assert_eq!((last[0], others[0][0]), (count as f64, 8.0));
        assert_eq!(steps.curve(|[.., lr]| lr)[0], [8.0, 8.0]);
    }

    #[test]
    fn a_torn_line_is_counted_and_the_rest_is_read() {
        let log = concat!(
            "{\"event\":\"start\",\"device\":\"cpu\",\"classes\":null,\"memory_bytes\":5}\n",
            "{\"event\":\"step\",\"epoch\":0,\"step\":1,\"loss\":2.5,\"acc1\":1.0,\"lr\":0.1}\n",
            "{\"event\":\"epoch\",\"epoch\":0,\"train_loss\":2.0,\"val_loss\":null,\"rmse\":1.5}\n",
            "{\"event\":\"warning\",\"message\":\"<b>\"}\n",
            "{\"event\":\"later\"}\n\u{0}\u{0}\n{\"event\":\"epoch\",\"epo"
        );
        let record = record(log, None).unwrap();
        assert_eq!((record.epochs.len(), record.unreadable, record.has_hits()), (1, 2, false));
        assert_eq!((record.epochs[0].val_loss, record.epochs[0].rmse), (None, Some(1.5)));
        assert_eq!(record.warnings, ["<b>"]);
    }

    #[test]
    fn without_a_log_the_table_is_read_and_without_both_it_is_no_run() {
        let table =
            "epoch,train_loss,acc1,val_loss,new\n0,2.5,50.0,1.0,x\n1,2.0,60.0,,x\n2,1.5,60.0,0.5,x\nbad,1\n";
        let read = record("", Some(table)).unwrap();
        assert_eq!((read.epochs.len(), read.unreadable), (3, 1));
        assert_eq!((read.epochs[1].val_loss, read.best().unwrap().epoch), (None, 2));
        // Neither is any number the best, nor the top-1 of labels that are values.
        let table = "epoch,acc1,val_loss,rmse\n0,90.0,1.0,0.9\n1,60.0,2.0,0.5\n2,70.0,-nan,0.7\n";
        let read = record("{\"event\":\"start\",\"classes\":2}\n", Some(table)).unwrap();
        assert!(read.has_hits() && read.epochs[2].val_loss.is_none());
        assert_eq!(read.best().unwrap().epoch, 1);
        let error = record("", None).unwrap_err();
        assert_eq!(error.exit_code(), 4);
        assert!(error.to_string().contains("log.jsonl or metrics.csv"), "{error}");
        assert_eq!(RunRecord::read(Path::new("/no/such")).unwrap_err().exit_code(), 4);
    }
}
