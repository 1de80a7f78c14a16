//! The training loop: epochs of steps, evaluation, schedule and early stopping. It prints nothing, knows no device, and never
//! waits for a step whose metrics it does not need yet.

mod averages;
mod epoch;
mod reports;
mod saving;

use super::best::BestTracker;
use super::dead_relu::DeadReluCheck;
use super::diagnosis::{Cause, Diagnosis};
use super::divergence::DivergenceMonitor;
use super::event::{Done, Ending, Epoch, Event, Observer};
use super::lone::lone_values;
use super::loss_scaler::LossScaler;
use super::options::schedule;
use super::prefetcher::Prefetcher;
use super::progress::{Progress, percent};
use super::reporter::Reporter;
use super::saver::Saver;
use super::schedule::LearningRate;
use super::store::{Store, Weights};
use super::task::{ExecutorFactory, TrainingTask};
use super::updater::Updater;
use crate::data::Labels;
use crate::error::{Error, Result};
use crate::inference::{
    Answer, Assessment, Named, Scores, Totals, check_outputs, check_recipe, pass, pass_each, rmse, sha256,
};
use crate::model::ClassWeights;
use crate::program::Executor;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Trains a model on an executor that already holds its initial values.
pub struct Trainer<'a> {
    updater: Updater<'a>,
    prefetcher: Prefetcher,
    stop: &'a AtomicBool,
    position: Position,
    best: BestTracker,
    /// Of the best epoch, if it was trained here and its data has classes.
    assessment: Option<Assessment>,
    divergence: DivergenceMonitor,
    diagnosis: Diagnosis<'a>,
    loss_scaler: LossScaler,
    dead_relus: DeadReluCheck,
    reporter: Reporter<'a>,
    saver: Saver<'a>,
    clock: Clock,
}

/// Where the run begins or resumes, and what has arrived of it.
#[derive(Debug, Default)]
struct Position {
    epoch: usize,
    /// What has arrived of that epoch.
    progress: Progress,
    /// Updates whose results have arrived.
    arrived: usize,
}

/// The result of an evaluation; nothing is counted in `assessment` where labels are values.
#[derive(Debug)]
struct Validation {
    totals: Totals,
    assessment: Assessment,
}

impl Default for Validation {
    fn default() -> Self {
        Validation { totals: Totals::default(), assessment: Assessment::new(0, Scores::Values) }
    }
}

/// How long the run has taken.
#[derive(Debug)]
struct Clock {
    started: Instant,
    /// Seconds before the run was resumed.
    earlier: f64,
}

impl Clock {
    fn seconds(&self) -> f64 {
        self.earlier + self.started.elapsed().as_secs_f64()
    }
}

impl fmt::Debug for Trainer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trainer")
            .field("task", self.task())
            .field("step", &self.updater.step)
            .field("best", &self.best)
            .field("saver", &self.saver)
            .finish_non_exhaustive()
    }
}

impl<'a> Trainer<'a> {
    /// A trainer at step 0. Once `stop` is set, it finishes its step, saves and returns.
    ///
    /// # Errors
    /// [`Error::Usage`] for options and labels that do not fit the model.
    pub fn new(
        task: TrainingTask<'a>,
        executor: &'a mut dyn Executor,
        observer: &'a mut dyn Observer,
        stop: &'a AtomicBool,
    ) -> Result<Self> {
        check_recipe(&task.spec.recipe)?;
        let prefetcher = Prefetcher::start(task.spec, task.model, task.data, task.options)?;
        Self::with_prefetcher(task, prefetcher, executor, observer, stop)
    }

    /// As [`Trainer::new`], with a prefetcher that has started to prepare batches of the same task.
    pub fn with_prefetcher(
        task: TrainingTask<'a>,
        prefetcher: Prefetcher,
        executor: &'a mut dyn Executor,
        observer: &'a mut dyn Observer,
        stop: &'a AtomicBool,
    ) -> Result<Self> {
        let recipe = &task.spec.recipe;
        check_recipe(recipe)?;
        if recipe.class_weights != ClassWeights::None && task.model.class_weights().is_none() {
            let what = "class_weights: expected a model built with them, found one without";
            return Err(Error::Usage(what.into()));
        }
        task.options.check_spec(task.spec)?;
        for part in [&task.data.train, &task.data.val] {
            check_outputs(part, task.model.classes)?;
        }
        let steps_per_epoch = prefetcher.steps_per_epoch();
        let schedule = Box::new(schedule(recipe, steps_per_epoch)?);
        let by_loss = matches!(task.data.train.labels, Labels::Values { .. });
        Ok(Trainer {
            prefetcher,
            stop,
            position: Position::default(),
            best: BestTracker::new(by_loss, recipe.patience),
            assessment: None,
            divergence: DivergenceMonitor::new(
                recipe,
                task.model,
                &task.data.train,
                task.options.sampler,
                steps_per_epoch,
            ),
            diagnosis: Diagnosis::default(),
            loss_scaler: LossScaler::default(),
            dead_relus: DeadReluCheck::default(),
            reporter: Reporter::new(observer),
            saver: Saver::default(),
            clock: Clock { started: Instant::now(), earlier: 0.0 },
            updater: Updater { task, executor, schedule, step: 0, micro_step: 0 },
        })
    }

    /// Lets the trainer look inside the network: for dead ReLUs, after the first epoch and occasionally after others, and for
    /// the layer that a non-finite loss comes from. `executors` makes executors for programs that keep every value, within
    /// 1 GiB; a check for which there is no memory is skipped.
    pub fn with_executor_factory(mut self, executors: &'a ExecutorFactory<'a>) -> Self {
        self.diagnosis.executors = Some(executors);
        self
    }

    /// Keeps the run's files in `store`: weights and a checkpoint after every epoch, and a line in its logs for every event.
    /// Call it after [`Trainer::resume`] if the run is resumed.
    pub fn with_store(mut self, store: Box<dyn Store + 'a>) -> Self {
        let best = store.weights_path(Weights::Best);
        if self.best.has_best() && !best.is_file() {
            let what = "no longer exists: the best of the coming epochs replaces it";
            self.reporter.notices.push(format!("{} {what}", best.display()));
            self.best.forget_best();
        }
        self.saver.store = Some(store);
        self
    }

    /// Reports `text` as a warning when the run starts.
    pub fn with_notice(mut self, text: String) -> Self {
        self.reporter.notices.push(text);
        self
    }

    /// Logs the start of a resumed run too: it has more epochs than the log says.
    pub(crate) fn with_start_in_log(mut self) -> Self {
        self.reporter.has_news = true;
        self
    }

    /// What is trained.
    pub fn task(&self) -> &TrainingTask<'a> {
        &self.updater.task
    }

    /// Updates whose results have arrived.
    pub fn arrived(&self) -> usize {
        self.position.arrived
    }

    /// Writes a checkpoint after the step in which `save` becomes true, and resets it.
    pub fn with_save_request(mut self, save: &'a AtomicBool) -> Self {
        self.saver.requested = Some(save);
        self
    }

    /// Takes the learning rate of every update from `rule` instead of the recipe.
    pub fn with_learning_rate(mut self, rule: Box<dyn LearningRate + 'a>) -> Self {
        self.updater.schedule = rule;
        self
    }

    /// Trains to the end. With a store it writes weights and a checkpoint after every epoch; a file that cannot be
    /// written is a warning, and an error if it happens three times in a row or at the end.
    ///
    /// # Errors
    /// [`Error::Diverged`] for a non-finite loss or weight, and for a loss that has grown beyond all bounds; the weights
    /// of earlier epochs stay in the store. Otherwise the errors of the data, the device and the store.
    pub fn run(mut self) -> Result<Done> {
        self.train()
    }

    /// As [`Trainer::run`], once.
    pub(crate) fn train(&mut self) -> Result<Done> {
        self.clock.started = Instant::now();
        self.begin()?;
        let (mut epoch, mut progress) = (self.position.epoch, std::mem::take(&mut self.position.progress));
        let is_between = self.updater.step == epoch * self.steps_per_epoch();
        let mut ending = if is_between { self.ending_before(epoch) } else { None };
        while ending.is_none() {
            progress = self.train_epoch(epoch, progress)?;
            let trained = Instant::now();
            let validation = if self.stopped() { Validation::default() } else { self.evaluate()? };
            // An interrupted evaluation is not a result.
            if self.stopped() {
                // If one of them cannot be written, the other still is.
                let saved = self.checkpoint(epoch, &progress);
                self.save_interrupted(epoch, progress.lr()).and(saved)?;
                ending = Some(Ending::Interrupted);
                break;
            }
            let is_whole = self.updater.step == (epoch + 1) * self.steps_per_epoch();
            let weights = self.finish_epoch(epoch, trained, &progress, validation)?;
            if is_whole {
                (epoch, progress) = (epoch + 1, Progress::default());
                let saved = weights.and_then(|()| self.checkpoint(epoch, &progress));
                self.count_saved(saved)?;
            } else {
                self.count_saved(weights)?;
            }
            ending = self.ending_before(epoch);
        }
        self.expect_saved(epoch, &progress)?;
        let done = self.done(ending.unwrap_or(Ending::Complete));
        self.report(Event::Done(done.clone()))?;
        Ok(done)
    }

    /// Reports what comes before the first step.
    fn begin(&mut self) -> Result<()> {
        let TrainingTask { model, data, options, .. } = self.task();
        let start = Event::Start(self.start());
        let lone = lone_values(model, data, options).map(Event::Warning);
        let warning = self.prefetcher.warning().map(Event::Warning);
        let beginning = [Some(start), warning, lone].into_iter().flatten();
        self.reporter.begin(self.saver.store.as_deref_mut(), beginning)
    }

    /// How the run ends, if it ends before `epoch`.
    fn ending_before(&self, epoch: usize) -> Option<Ending> {
        if self.reached_limit() {
            return Some(Ending::Complete);
        }
        if self.best.stops_early() || self.updater.schedule.has_ended() {
            return Some(Ending::EarlyStop);
        }
        (epoch >= self.task().spec.recipe.epochs).then_some(Ending::Complete)
    }

    /// An error if most validation samples can no longer be read: the accuracy over the rest would be taken for that of
    /// all. The weights are saved first.
    fn check_validation(&mut self, epoch: usize, lr: f32, validation: &Totals) -> Result<()> {
        let TrainingTask { data, options, .. } = self.task();
        let (read, all, name) = (validation.rows() as usize, data.val.len(), data.val.name.clone());
        if options.overfit_batch || 2 * read >= all {
            return Ok(());
        }
        self.save_interrupted(epoch, lr)?;
        let what =
            format!("expected at least half of its {all} validation samples to be readable, found {read}");
        Err(Error::data(name, what))
    }

    /// Schedule, weights and report, after the evaluation that began at `trained`. Returns how saving went.
    fn finish_epoch(
        &mut self,
        epoch: usize,
        trained: Instant,
        progress: &Progress,
        validation: Validation,
    ) -> Result<Result<()>> {
        let Validation { totals, assessment } = validation;
        let (validation, confusion) = (&totals, assessment.confusion());
        let at_end = epoch + 1 == self.task().spec.recipe.epochs || self.reached_limit();
        if let Some(why) = self.divergence.diverged(at_end) {
            return Err(self.diverged(epoch, self.updater.step, progress.lr(), &why, &Cause::Unknown));
        }
        let tensors = self.weights(epoch, progress.lr())?;
        self.check_validation(epoch, progress.lr(), validation)?;
        self.updater.schedule.observe(self.best.error(validation, &progress.totals));
        // A part of an epoch, which may be resumed, does not replace the best whole one.
        let is_whole = self.updater.step == (epoch + 1) * self.steps_per_epoch();
        let counts = is_whole || !self.best.has_best();
        let improved = counts && self.best.observe(validation, &progress.totals);
        let weights_sha256 = sha256(self.task().model, &tensors);
        let metadata = self.metadata(epoch, Some(validation));
        let saved = self.saver.save_weights(&tensors, metadata, improved);
        self.report(Event::Epoch(Epoch {
            epoch,
            train_loss: progress.totals.loss(),
            train_acc1: progress.totals.acc1(),
            val_loss: validation.loss(),
            acc1: validation.acc1(),
            acc5: validation.acc5(),
            rmse: rmse(&self.task().data.val, validation),
            balanced_accuracy: confusion.balanced_accuracy(),
            macro_f1: confusion.macro_f1(),
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
        if improved {
            self.assessment = Some(assessment).filter(|assessment| assessment.confusion().classes() > 0);
        }
        self.check_relus(Duration::try_from_secs_f64(progress.seconds).unwrap_or_default(), &tensors)?;
        Ok(saved)
    }

    /// Reports layers whose ReLUs are dead.
    fn check_relus(&mut self, trained: Duration, tensors: &Named) -> Result<()> {
        let Some(executors) = self.diagnosis.executors.filter(|_| self.dead_relus.is_due(trained)) else {
            return Ok(());
        };
        let TrainingTask { spec, data, .. } = &self.updater.task;
        let lines = match self.dead_relus.check(spec, data, self.prefetcher.source(), tensors, executors) {
            Err(Error::Memory(_)) => Vec::new(),
            lines => lines?,
        };
        lines.into_iter().try_for_each(|line| self.report(Event::Warning(line)))
    }

    fn evaluate(&mut self) -> Result<Validation> {
        let Some(batches) = self.prefetcher.validation()? else { return Ok(Validation::default()) };
        let validation = self.on_averages(|trainer| {
            let Updater { task, executor, .. } = &mut trainer.updater;
            let (model, stop) = (task.model, trainer.stop);
            let mut validation = Validation::default();
            // A single output is no class: it tells two apart.
            validation.totals = if matches!(task.data.val.labels, Labels::Classes(_)) && model.classes > 1 {
                validation.assessment = Assessment::new(model.classes, Scores::of(task.spec.recipe.loss));
                let mut count = |answer: &Answer<'_>| {
                    validation.assessment.count(answer);
                    Ok(())
                };
                pass_each(model, *executor, batches, stop, &mut count)?
            } else {
                pass(model, *executor, batches, stop, &mut |_, _| Ok(()))?
            };
            Ok(validation)
        })?;
        self.report_bad()?;
        if let Some(others) = self.prefetcher.bad().others() {
            self.report(Event::Warning(others))?;
        }
        Ok(validation)
    }

    fn steps_per_epoch(&self) -> usize {
        self.prefetcher.steps_per_epoch()
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn reached_limit(&self) -> bool {
        self.task().options.max_steps.is_some_and(|most| self.updater.step >= most)
    }
}
