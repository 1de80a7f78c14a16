//! The loop: epochs of steps, evaluation, schedule, early stopping, the run's files. It prints nothing, names no
//! device, and never waits for a step whose metrics it does not need yet.

mod diagnosis;
mod epoch;
mod reports;
mod saving;
mod scaling;

use super::event::{Done, Ending, Epoch, Event, Observer};
use super::judge::Judge;
use super::lone::lone_values;
use super::options::{Options, schedule};
use super::probe::{Probe, Workbench};
use super::progress::{Progress, percent};
use super::schedule::LearningRate;
use super::store::{Store, Weights};
use super::supply::Supply;
use super::watch::Watch;
use crate::data::{Labels, Splits};
use crate::error::{Error, Result};
use crate::inference::{Named, Totals, check_recipe, pass, sha256};
use crate::model::{Model, Spec};
use crate::program::Executor;
use diagnosis::{Cause, Snapshot};
use saving::Unsaved;
use scaling::Losses;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What is trained, on what, and how.
#[derive(Clone)]
pub struct Task<'a> {
    /// With the recipe that flags may have changed.
    pub spec: &'a Spec,
    /// Built from `spec` with [`Options::build_options`].
    pub model: &'a Model,
    pub data: &'a Splits,
    pub options: &'a Options,
    /// What to call the device in reports.
    pub device: String,
}

/// Trains a model on an executor that already holds its initial values.
pub struct Trainer<'a> {
    task: Task<'a>,
    executor: &'a mut dyn Executor,
    store: Option<Box<dyn Store + 'a>>,
    observer: &'a mut dyn Observer,
    stop: &'a AtomicBool,
    supply: Supply,
    schedule: Box<dyn LearningRate + 'a>,
    steps_per_epoch: usize,
    /// The epoch that the run begins or goes on with, and what has arrived of it.
    epoch: usize,
    progress: Progress,
    /// Updates so far.
    step: usize,
    /// Updates whose results have arrived.
    arrived: usize,
    /// Computations of gradients so far.
    draw: usize,
    judge: Judge,
    watch: Watch,
    losses: Losses,
    probe: Probe,
    workbench: Option<&'a Workbench<'a>>,
    /// For a loss that is no number, to find out why.
    snapshot: Option<Snapshot>,
    started: Instant,
    /// Seconds that the run took before it was stopped.
    earlier: f64,
    is_resumed: bool,
    /// To be told at the start.
    notices: Vec<String>,
    /// Set by whoever wants a checkpoint now.
    save: Option<&'a AtomicBool>,
    /// Occasions in a row at which saving failed, and what has to be made up for.
    failures: usize,
    unsaved: Unsaved,
    /// Whether the last line could not be written to the log.
    is_silent: bool,
}

impl fmt::Debug for Task<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Task { spec, data, options, device, .. } = self;
        f.debug_struct("Task")
            .field("spec", &spec.name)
            .field("data", &data.train.name)
            .field("options", options)
            .field("device", device)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Trainer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trainer")
            .field("task", &self.task)
            .field("store", &self.store)
            .field("step", &self.step)
            .field("judge", &self.judge)
            .finish_non_exhaustive()
    }
}

impl<'a> Trainer<'a> {
    /// A trainer at step 0. Once `stop` is set it finishes its step, saves and returns.
    pub fn new(
        task: Task<'a>,
        executor: &'a mut dyn Executor,
        observer: &'a mut dyn Observer,
        stop: &'a AtomicBool,
    ) -> Result<Self> {
        check_recipe(&task.spec.recipe)?;
        let supply = Supply::start(task.spec, task.model, task.data, task.options)?;
        Self::with_supply(task, supply, executor, observer, stop)
    }

    /// As [`Trainer::new`], with batches of the same task that are being prepared already.
    pub fn with_supply(
        task: Task<'a>,
        supply: Supply,
        executor: &'a mut dyn Executor,
        observer: &'a mut dyn Observer,
        stop: &'a AtomicBool,
    ) -> Result<Self> {
        let recipe = &task.spec.recipe;
        check_recipe(recipe)?;
        let steps_per_epoch = supply.steps_per_epoch();
        let schedule = schedule(recipe, steps_per_epoch)?;
        let by_loss = matches!(task.data.train.labels, Labels::Values { .. });
        let judge = Judge::new(by_loss, recipe.patience);
        let watch = Watch::new(recipe, task.model, &task.data.train, steps_per_epoch);
        Ok(Trainer {
            executor,
            store: None,
            observer,
            stop,
            supply,
            schedule: Box::new(schedule),
            steps_per_epoch,
            epoch: 0,
            progress: Progress::default(),
            step: 0,
            arrived: 0,
            draw: 0,
            judge,
            watch,
            losses: Losses::default(),
            probe: Probe::default(),
            workbench: None,
            snapshot: None,
            started: Instant::now(),
            earlier: 0.0,
            is_resumed: false,
            notices: Vec::new(),
            save: None,
            failures: 0,
            unsaved: None,
            is_silent: false,
            task,
        })
    }

    /// Lets it look inside the network: for dead ReLUs after the first epoch and now and then after others, and for the
    /// layer where a loss that is no number comes from. Every value is kept in the programs that `workbench` makes executors
    /// for, within 1 GiB; where it has no memory for one, there is no look.
    pub fn with_workbench(mut self, workbench: &'a Workbench<'a>) -> Self {
        self.workbench = Some(workbench);
        self
    }

    /// Keeps its files in `store`: weights and a checkpoint after every epoch, and a line in its logs for every event. To be
    /// given after [`Trainer::resume`], if the run is resumed.
    pub fn with_store(mut self, store: Box<dyn Store + 'a>) -> Self {
        let best = store.weights_path(Weights::Best);
        if self.judge.has_best() && !best.is_file() {
            let what = "is gone: the best of the epochs to come takes its place";
            self.notices.push(format!("{} {what}", best.display()));
            self.judge.forget_best();
        }
        self.store = Some(store);
        self
    }

    /// Reports `text` as a warning when the run starts.
    pub fn with_notice(mut self, text: String) -> Self {
        self.notices.push(text);
        self
    }

    /// What is trained.
    pub fn task(&self) -> &Task<'a> {
        &self.task
    }

    /// Updates whose results have arrived.
    pub fn arrived(&self) -> usize {
        self.arrived
    }

    /// Writes a checkpoint after the step in which `save` becomes true, and sets it back.
    pub fn with_save_request(mut self, save: &'a AtomicBool) -> Self {
        self.save = Some(save);
        self
    }

    /// Takes the learning rate of every update from `rule` instead of the recipe.
    pub fn with_learning_rate(mut self, rule: Box<dyn LearningRate + 'a>) -> Self {
        self.schedule = rule;
        self
    }

    /// Trains to the end. With a store it writes weights and a checkpoint after every epoch; a file that cannot be
    /// written is a warning, and an error if it happens three times in a row or at the end.
    ///
    /// A loss or weight that is not a number, or a loss that has grown beyond all bounds, is an error
    /// ([`Error::Verification`]); the weights of earlier epochs stay where they are kept.
    pub fn run(mut self) -> Result<Done> {
        self.train()
    }

    /// As [`Trainer::run`], once.
    pub(crate) fn train(&mut self) -> Result<Done> {
        self.started = Instant::now();
        self.begin()?;
        let (mut epoch, mut progress) = (self.epoch, std::mem::take(&mut self.progress));
        let is_between = self.step == epoch * self.steps_per_epoch;
        let mut ending = if is_between { self.over(epoch) } else { None };
        while ending.is_none() {
            progress = self.train_epoch(epoch, progress)?;
            let trained = Instant::now();
            let validation = if self.stopped() { Totals::default() } else { self.evaluate()? };
            // An evaluation that was cut short is no result.
            if self.stopped() {
                // One that cannot be written is no reason not to write the other.
                let saved = self.checkpoint(epoch, &progress);
                self.save_interrupted(epoch, progress.lr()).and(saved)?;
                ending = Some(Ending::Interrupted);
                break;
            }
            let is_whole = self.step == (epoch + 1) * self.steps_per_epoch;
            let weights = self.finish_epoch(epoch, trained, &progress, &validation)?;
            if is_whole {
                (epoch, progress) = (epoch + 1, Progress::default());
                let saved = weights.and_then(|()| self.checkpoint(epoch, &progress));
                self.attempt(saved)?;
            } else {
                self.attempt(weights)?;
            }
            ending = self.over(epoch);
        }
        self.expect_saved(epoch, &progress)?;
        let done = self.done(ending.unwrap_or(Ending::Complete));
        self.report(Event::Done(done.clone()))?;
        Ok(done)
    }

    /// What is said before the first step. The log of a run that goes on has its beginning already.
    fn begin(&mut self) -> Result<()> {
        let start = Event::Start(self.start());
        let lone = lone_values(self.task.model, self.task.data, self.task.options).map(Event::Warning);
        let warning = self.supply.warning().map(Event::Warning);
        for event in [Some(start), warning, lone].into_iter().flatten() {
            if self.is_resumed { self.observer.event(&event)? } else { self.report(event)? }
        }
        let notices = std::mem::take(&mut self.notices);
        notices.into_iter().try_for_each(|text| self.observer.event(&Event::Warning(text)))
    }

    /// How the run ends, if it does before `epoch`.
    fn over(&self, epoch: usize) -> Option<Ending> {
        if self.reached_limit() {
            return Some(Ending::Complete);
        }
        if self.judge.gives_up() || self.schedule.has_ended() {
            return Some(Ending::EarlyStop);
        }
        (epoch >= self.task.spec.recipe.epochs).then_some(Ending::Complete)
    }

    /// An error if most validation samples can no longer be read: an accuracy over the rest would be taken for that of
    /// all. The weights are saved before.
    fn check_validation(&mut self, epoch: usize, lr: f32, validation: &Totals) -> Result<()> {
        let (read, all) = (validation.rows() as usize, self.task.data.val.len());
        if self.task.options.overfit_batch || 2 * read >= all {
            return Ok(());
        }
        self.save_interrupted(epoch, lr)?;
        let what =
            format!("expected at least half of its {all} validation samples to be readable, found {read}");
        Err(Error::data(&self.task.data.val.name, what))
    }

    /// Schedule, files of weights and report, after the evaluation that began at `trained`. Answers how saving went.
    fn finish_epoch(
        &mut self,
        epoch: usize,
        trained: Instant,
        progress: &Progress,
        validation: &Totals,
    ) -> Result<Result<()>> {
        let at_end = epoch + 1 == self.task.spec.recipe.epochs || self.reached_limit();
        if let Some(why) = self.watch.diverged(at_end) {
            return Err(self.diverged(epoch, self.step, progress.lr(), &why, &Cause::Unknown));
        }
        let tensors = self.weights(epoch, progress.lr())?;
        self.check_validation(epoch, progress.lr(), validation)?;
        self.schedule.observe(self.judge.error(validation, &progress.totals));
        // A part of an epoch, which may go on later, does not take the place of the best whole one.
        let counts = self.step == (epoch + 1) * self.steps_per_epoch || !self.judge.has_best();
        let improved = counts && self.judge.observe(validation, &progress.totals);
        let weights_sha256 = sha256(self.task.model, &tensors);
        let saved = self.save_weights(&tensors, self.metadata(epoch, Some(validation)), improved);
        self.report(Event::Epoch(Epoch {
            epoch,
            train_loss: progress.totals.loss(),
            train_acc1: progress.totals.acc1(),
            val_loss: validation.loss(),
            acc1: validation.acc1(),
            acc5: validation.acc5(),
            train_samples: progress.totals.rows() as usize,
            val_samples: validation.rows() as usize,
            val_part: self.val_part(),
            lr: progress.lr(),
            seconds: progress.seconds + trained.elapsed().as_secs_f64(),
            images_per_second: progress.totals.rows() as f64 / progress.seconds.max(f64::MIN_POSITIVE),
            data_wait: percent(progress.data_wait, progress.seconds),
            weights_sha256,
            best: improved,
        }))?;
        self.look(Duration::try_from_secs_f64(progress.seconds).unwrap_or_default(), &tensors)?;
        Ok(saved)
    }

    /// Reports layers whose ReLUs are dead.
    fn look(&mut self, trained: Duration, tensors: &Named) -> Result<()> {
        let Some(workbench) = self.workbench.filter(|_| self.probe.is_due(trained)) else { return Ok(()) };
        let Task { spec, data, .. } = &self.task;
        let lines = match self.probe.look(spec, data, self.supply.feed(), tensors, workbench) {
            Err(Error::Memory(_)) => Vec::new(),
            lines => lines?,
        };
        lines.into_iter().try_for_each(|line| self.report(Event::Warning(line)))
    }

    fn evaluate(&mut self) -> Result<Totals> {
        let Some(batches) = self.supply.validation()? else { return Ok(Totals::default()) };
        let totals = pass(self.task.model, self.executor, batches, self.stop, &mut |_, _| Ok(()))?;
        self.tell_bad()?;
        if let Some(others) = self.supply.bad().others() {
            self.report(Event::Warning(others))?;
        }
        Ok(totals)
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn reached_limit(&self) -> bool {
        self.task.options.max_steps.is_some_and(|most| self.step >= most)
    }
}
