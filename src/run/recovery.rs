//! Training through losses of the device. A lost device takes its memory with it, so nothing of it is used any more: it is
//! reopened, and the run resumes from its newest checkpoint, as `--resume` does, or restarts where there is none yet. The
//! results, logs included, are bit-identical to those of a run without the loss.

use super::checkpoint::Checkpoint;
use super::folder::RunFolder;
use crate::error::{Error, Result, printable_path};
use crate::inference::Assessment;
use crate::program::Executor;
use crate::train::{
    DeviceId, Done, Event, ExecutorFactory, LearningRate, Observer, Prefetcher, Trainer, TrainingTask,
};
use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Losses in a row, without a new step between them, after which a device is given up.
pub(super) const LOSSES: usize = 3;
/// Pause before a device is reopened after a loss that followed another: a driver may need a moment to start again.
const PAUSE: Duration = Duration::from_secs(1);

/// What to do when the device is lost, or has no memory left, while it trains.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnDeviceLost {
    /// Reopen it and resume from the newest checkpoint.
    #[default]
    Retry,
    /// End with the error, which says how to resume.
    Stop,
}

impl fmt::Display for OnDeviceLost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            OnDeviceLost::Retry => "retry",
            OnDeviceLost::Stop => "stop",
        })
    }
}

impl FromStr for OnDeviceLost {
    type Err = Error;

    fn from_str(text: &str) -> Result<OnDeviceLost> {
        match text {
            "retry" => Ok(OnDeviceLost::Retry),
            "stop" => Ok(OnDeviceLost::Stop),
            _ => Err(Error::Usage(format!("on-device-lost: expected retry or stop, found {text}"))),
        }
    }
}

/// An executor that holds a run's initial values, and its device.
pub struct DeviceExecutor {
    pub executor: Box<dyn Executor>,
    pub device: DeviceId,
}

impl fmt::Debug for DeviceExecutor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceExecutor").field("device", &self.device).finish_non_exhaustive()
    }
}

/// Makes the learning rate that takes the place of the recipe's.
pub type RuleFn<'a> = dyn Fn() -> Option<Box<dyn LearningRate + 'a>> + 'a;

/// A run that is ready to start or to resume.
#[derive(Debug)]
pub struct PreparedRun<'a> {
    /// The task; its device is replaced by that of `device_executor`.
    pub task: TrainingTask<'a>,
    /// The executor to train with, and its device.
    pub device_executor: DeviceExecutor,
    /// Prepares the batches of the task; may already have started.
    pub prefetcher: Prefetcher,
    /// Where checkpoints and logs are written, if anywhere.
    pub folder: Option<RunFolder>,
    /// The checkpoint to resume from.
    pub checkpoint: Option<Checkpoint>,
    /// Whether to resume even if the checkpoint belongs to a different run; see [`Checkpoint::resume`].
    pub force: bool,
    /// Text for the `args.toml` of a resumed run, written once the resume has succeeded.
    pub args: String,
}

/// A run that has ended.
pub(super) struct Finished {
    pub done: Done,
    /// With the values that training ended with.
    pub executor: Box<dyn Executor>,
    /// The answers of the best epoch, if it is not of the time before the run was resumed, or before a loss of the device.
    pub assessment: Option<Assessment>,
}

/// Opens devices for a run and trains it through their losses. A run without a folder restarts after each loss.
pub struct Recovery<'a> {
    policy: OnDeviceLost,
    open: Box<dyn FnMut() -> Result<DeviceExecutor> + 'a>,
    /// The command that resumes the run.
    resume_command: String,
    save: Option<&'a AtomicBool>,
    executors: Option<&'a ExecutorFactory<'a>>,
    rule: Option<&'a RuleFn<'a>>,
    /// Losses since the last new step.
    losses: usize,
    /// Updates whose results have arrived.
    steps: usize,
}

impl fmt::Debug for Recovery<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Recovery { policy, losses, steps, .. } = self;
        f.debug_struct("Recovery")
            .field("policy", policy)
            .field("losses", losses)
            .field("steps", steps)
            .finish_non_exhaustive()
    }
}

impl<'a> Recovery<'a> {
    /// `open` opens the device and makes an executor with the run's initial values; it is asked again after each loss, when
    /// nothing of the lost executor is left.
    pub fn new(policy: OnDeviceLost, open: impl FnMut() -> Result<DeviceExecutor> + 'a) -> Self {
        let open = Box::new(open);
        Recovery {
            policy,
            open,
            resume_command: String::new(),
            save: None,
            executors: None,
            rule: None,
            losses: 0,
            steps: 0,
        }
    }

    /// Sets the command that resumes the run, for the error that ends it.
    pub fn with_resume_command(mut self, command: String) -> Self {
        self.resume_command = command;
        self
    }

    /// As [`Trainer::with_save_request`].
    pub fn with_save_request(mut self, save: &'a AtomicBool) -> Self {
        self.save = Some(save);
        self
    }

    /// As [`Trainer::with_executor_factory`].
    pub fn with_executor_factory(mut self, executors: &'a ExecutorFactory<'a>) -> Self {
        self.executors = Some(executors);
        self
    }

    /// Takes the learning rate from what `rule` makes, if it makes one, whenever training starts.
    pub fn with_learning_rate(mut self, rule: &'a RuleFn<'a>) -> Self {
        self.rule = Some(rule);
        self
    }

    /// Opens the device for the first time. `tell` receives losses, one line each.
    ///
    /// # Errors
    /// The error of `open`; a loss only if it was the third in a row or the policy is to stop.
    pub fn open(&mut self, tell: &mut dyn FnMut(String) -> Result<()>) -> Result<DeviceExecutor> {
        self.reopen(None, tell)
    }

    /// Trains `run` to the end. After a loss its reports continue where the run resumes: repeated steps are reported once
    /// more.
    ///
    /// # Errors
    /// As [`Trainer::run`]; [`Error::Lost`] or [`Error::Memory`] when the device is given up: the checkpoint that it names is
    /// whole.
    pub fn train(self, run: PreparedRun<'_>, observer: &mut dyn Observer, stop: &AtomicBool) -> Result<Done> {
        self.train_and_return(run, observer, stop).map(|finished| finished.done)
    }

    /// As [`Recovery::train`], with what is left of the training.
    pub(super) fn train_and_return(
        mut self,
        run: PreparedRun<'_>,
        observer: &mut dyn Observer,
        stop: &AtomicBool,
    ) -> Result<Finished> {
        let PreparedRun {
            mut task,
            mut device_executor,
            mut prefetcher,
            mut folder,
            mut checkpoint,
            force,
            args,
        } = run;
        let hold = folder.as_ref().map(RunFolder::hold);
        let given = checkpoint.as_ref().map(|checkpoint| checkpoint.path.clone());
        // Whether this run resumes from the checkpoints of the folder.
        let mut is_ours = given.is_none();
        loop {
            task.device.clone_from(&device_executor.device);
            let first = checkpoint.as_ref().map_or(0, Checkpoint::step);
            self.steps = self.steps.max(first);
            let attempt = || {
                let executor = device_executor.executor.as_mut();
                let mut trainer =
                    Trainer::with_prefetcher(task.clone(), prefetcher, executor, observer, stop)?;
                let rule = self.rule.and_then(|rule| rule());
                trainer = rule.into_iter().fold(trainer, Trainer::with_learning_rate);
                trainer = match (checkpoint.take(), folder.take()) {
                    (None, None) => trainer,
                    (None, Some(folder)) => folder.keep(trainer),
                    (Some(checkpoint), folder) => {
                        trainer = checkpoint.resume(trainer, folder, force)?;
                        hold.as_ref().map_or(Ok(()), |hold| hold.describe(&args))?;
                        trainer
                    }
                };
                is_ours = true;
                trainer = self.save.into_iter().fold(trainer, Trainer::with_save_request);
                trainer = self.executors.into_iter().fold(trainer, Trainer::with_executor_factory);
                let done = trainer.train().map(|done| (done, trainer.take_assessment()));
                if trainer.arrived() > self.steps {
                    (self.steps, self.losses) = (trainer.arrived(), 0);
                }
                done
            };
            let error = match attempt() {
                Err(error @ (Error::Lost(_) | Error::Memory(_))) => error,
                other => {
                    let (done, assessment) = other?;
                    return Ok(Finished { done, executor: device_executor.executor, assessment });
                }
            };
            // What was under way ends, and the memory of the device is free before it is asked for again.
            let _ = device_executor.executor.wait();
            drop(device_executor);
            let path = hold.as_ref().map(|hold| hold.path());
            checkpoint = match (&given, path) {
                (Some(given), _) if !is_ours => Some(Checkpoint::read(given)?),
                (_, Some(path)) => Checkpoint::newest(path)?,
                (_, None) => None,
            };
            let point = ResumePoint { checkpoint: checkpoint.as_ref(), folder: path };
            let mut tell = |text: String| observer.event(&Event::Warning(text));
            self.lost(error, Some(&point), &mut tell)?;
            device_executor = self.reopen(Some(&point), &mut tell)?;
            folder = hold.as_ref().map(|hold| hold.open()).transpose()?;
            if let (Some(folder), None) = (&mut folder, &checkpoint) {
                folder.restart()?;
            }
            prefetcher = Prefetcher::resume(
                task.spec,
                task.model,
                task.data,
                task.options,
                checkpoint.as_ref().map(Checkpoint::state),
            )?;
        }
    }

    /// Reopens the device until that succeeds. At the first opening (`point` is `None`) only a loss is tried again.
    fn reopen(
        &mut self,
        point: Option<&ResumePoint<'_>>,
        tell: &mut dyn FnMut(String) -> Result<()>,
    ) -> Result<DeviceExecutor> {
        loop {
            if self.losses > 1 {
                std::thread::sleep(PAUSE);
            }
            match (self.open)() {
                Err(error @ Error::Lost(_)) => self.lost(error, point, tell)?,
                // It may be gone for a while, or its memory taken by what is being cleared away.
                Err(error @ (Error::Device(_) | Error::Memory(_))) if point.is_some() => {
                    self.lost(error, point, tell)?;
                }
                other => return other,
            }
        }
    }

    /// Records a loss: reports what happens next, or ends the run.
    fn lost(
        &mut self,
        error: Error,
        point: Option<&ResumePoint<'_>>,
        tell: &mut dyn FnMut(String) -> Result<()>,
    ) -> Result<()> {
        self.losses += 1;
        if self.policy == OnDeviceLost::Retry && self.losses < LOSSES {
            let from = match point {
                None => "trying again".to_string(),
                Some(ResumePoint { checkpoint: Some(checkpoint), .. }) => {
                    format!(
                        "the run resumes from {}, step {}",
                        printable_path(&checkpoint.path),
                        checkpoint.step()
                    )
                }
                Some(_) => "the run restarts".to_string(),
            };
            return tell(format!("{error}; reopening the device, {from}"));
        }
        let often = match self.policy {
            OnDeviceLost::Retry => format!("; {LOSSES} times in a row without a new step"),
            OnDeviceLost::Stop => String::new(),
        };
        let kept = match point {
            Some(ResumePoint { checkpoint: Some(checkpoint), .. }) => {
                format!("; {} holds step {}", printable_path(&checkpoint.path), checkpoint.step())
            }
            Some(ResumePoint { folder: Some(folder), .. }) => {
                format!("; {} has no checkpoint yet", printable_path(folder))
            }
            _ => String::new(),
        };
        let has_checkpoint = point.is_some_and(|point| point.checkpoint.is_some());
        let next = match self.resume_command.as_str() {
            command if has_checkpoint && !command.is_empty() => format!("; to resume: {command}"),
            _ => String::new(),
        };
        let text = format!("{error}{often}{kept}{next}");
        Err(match error {
            Error::Memory(_) => Error::Memory(text),
            Error::Device(_) => Error::Device(text),
            _ => Error::Lost(text),
        })
    }
}

/// Where a run resumes.
struct ResumePoint<'a> {
    checkpoint: Option<&'a Checkpoint>,
    folder: Option<&'a Path>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_parse_from_their_names() {
        for policy in [OnDeviceLost::Retry, OnDeviceLost::Stop] {
            assert_eq!(policy.to_string().parse::<OnDeviceLost>().unwrap(), policy);
        }
        assert_eq!("never".parse::<OnDeviceLost>().unwrap_err().exit_code(), 2);
    }

    #[test]
    fn a_device_that_cannot_be_opened_for_the_first_time_is_not_tried_again() {
        let mut tries = 0;
        let mut reported = Vec::new();
        let mut tell = |text| {
            reported.push(text);
            Ok(())
        };
        let none = || {
            tries += 1;
            Err(Error::Device("no adapter".into()))
        };
        let error = Recovery::new(OnDeviceLost::Retry, none).open(&mut tell).unwrap_err();
        assert_eq!((error.to_string().as_str(), tries), ("no adapter", 1));
        let lost = || {
            tries += 1;
            Err(Error::Lost("gone".into()))
        };
        let error = Recovery::new(OnDeviceLost::Stop, lost).open(&mut tell).unwrap_err();
        assert_eq!((error.to_string().as_str(), error.exit_code(), tries), ("gone", 3, 2));
        assert!(reported.is_empty());
    }
}
