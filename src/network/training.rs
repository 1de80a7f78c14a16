//! Training: batch by batch, or whole runs.

use super::Network;
use crate::data::Splits;
use crate::device::Device;
use crate::error::{Error, Result};
use crate::inference::{self, ClassMatch, Lineage, Messages, Named};
use crate::model::ClassWeights;
use crate::ops::{Hyper, Metrics, NonFinite, Target};
use crate::program::Span;
use crate::run::{Environment, OnDeviceLost, Resume, Run, RunOptions};
use crate::train::{Done, LearningRate, Observer, Options};
use std::cell::RefCell;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// The result of one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepResult {
    /// Mean over the batch, before the update.
    pub loss: f64,
    /// Rows whose best answer is right.
    pub correct: usize,
}

/// A run of a [`Network`], before it starts.
#[must_use = "a run does nothing before Training::run"]
pub struct Training<'a> {
    network: &'a mut Network,
    data: &'a Splits,
    options: RunOptions,
    class_weights: Option<ClassWeights>,
    resume: Resume,
    force: bool,
    rule: Option<Box<dyn LearningRate>>,
    stop: Option<&'a AtomicBool>,
    save: Option<&'a AtomicBool>,
}

impl fmt::Debug for Training<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Training")
            .field("network", &self.network)
            .field("options", &self.options)
            .field("resume", &self.resume)
            .finish_non_exhaustive()
    }
}

impl<'a> Training<'a> {
    /// Trains under `options`. Parameters that the network froze stay frozen, and a network without dropout stays without.
    pub fn with_options(mut self, options: Options) -> Self {
        let made = &self.network.options.train;
        let freeze = options.freeze.or_else(|| made.freeze.clone());
        self.options.train = Options { dropout: options.dropout && made.dropout, freeze, ..options };
        self
    }

    /// Takes the learning rate of every update from `rule` instead of the recipe. If the device is lost, such a run ends.
    pub fn with_learning_rate(mut self, rule: Box<dyn LearningRate>) -> Self {
        self.rule = Some(rule);
        self
    }

    /// Keeps weights, logs and checkpoints in a new folder `name` below `output_dir`.
    pub fn with_folder(mut self, output_dir: impl Into<PathBuf>, name: impl Into<String>) -> Self {
        self.options = self.options.with_folder(output_dir, name);
        self
    }

    /// Resumes the run in a folder, or at one of its checkpoints, as if it had not been stopped. Recipe, data and options
    /// must be those of the run.
    pub fn resume(mut self, from: impl Into<PathBuf>) -> Self {
        self.resume = Resume::From(from.into());
        self
    }

    /// Resumes also a run whose recipe, data or options differ, as far as it fits.
    pub fn force(mut self) -> Self {
        self.force = true;
        self
    }

    /// Weights the classes in the training loss, instead of what the recipe says.
    pub fn with_class_weights(mut self, weights: ClassWeights) -> Self {
        self.options.recipe.class_weights = Some(weights.clone());
        self.class_weights = Some(weights);
        self
    }

    /// Chooses the batch size of the run: see [`RunOptions::auto_batch`].
    pub fn with_auto_batch(mut self) -> Self {
        self.options = self.options.with_auto_batch();
        self
    }

    /// Trains in half precision, on a GPU, with dynamic loss scaling.
    pub fn with_amp(mut self) -> Self {
        self.options = self.options.with_amp();
        self
    }

    /// Finishes the step, saves and ends once `stop` is set.
    pub fn with_stop(mut self, stop: &'a AtomicBool) -> Self {
        self.stop = Some(stop);
        self
    }

    /// Writes a checkpoint after the step in which `save` is set, and sets it back.
    pub fn with_save_request(mut self, save: &'a AtomicBool) -> Self {
        self.save = Some(save);
        self
    }

    /// Trains to the end, or until it is stopped. `observer` receives every step and epoch.
    ///
    /// # Errors
    /// Those of [`Run::begin`], [`Run::resume_with`] and [`Run::train`].
    pub fn run(self, observer: &mut dyn Observer) -> Result<Done> {
        let Training { network, data, mut options, class_weights, resume, force, rule, stop, save } = self;
        network.check_training()?;
        if inference::target(&data.train, network.spec.recipe.loss)? != Target::Class {
            return Err(Error::Usage("labels: expected classes, found values".into()));
        }
        if data.train.classes == 1 {
            let what = format!("{}: expected at least two classes to train on, found one", data.train.name);
            return Err(Error::Usage(what));
        }
        let relabelled = network.match_classes(data)?;
        let mut data = relabelled.unwrap_or_else(|| data.clone());
        let lineage = Lineage::read(Path::new(&network.spec.name), &network.metadata)?;
        let mut metadata = inference::origin_metadata(&data, &lineage, options.train.seed);
        if let Some(decay) = options.train.ema {
            metadata.insert(inference::EMA_DECAY.into(), decay.to_string());
        }
        if let Some(origin) = data.origin.as_mut().map(Arc::make_mut) {
            origin.before = lineage.kept();
        }
        if rule.is_some() {
            options.on_device_lost = OnDeviceLost::Stop;
        }
        let device = network.device.clone();
        let environment = TrainingEnvironment { device, rule: RefCell::new(rule), stop, save };
        let values = inference::collect_state(&network.model, network.executor.as_mut())?;
        let mut spec = network.spec.clone();
        if let Some(weights) = class_weights {
            spec.recipe.class_weights = weights;
            inference::check_recipe(&spec.recipe)?;
        }
        let run = Run::of(spec, data, values, options, &resume, force, &environment)?;
        let mut values = Named::new();
        let done = run.train_to(observer, &mut |model, executor| {
            // The averages come first: of two values of one name, the first is taken.
            if model.averages().next().is_some() {
                values = inference::collect_averaged(model, executor)?;
            }
            values.extend(inference::collect_state(model, executor)?);
            Ok(())
        })?;
        inference::restore_named(&network.model, network.executor.as_mut(), &values)?;
        network.metadata = metadata;
        Ok(done)
    }
}

/// The environment of a network's run.
struct TrainingEnvironment<'a> {
    device: Device,
    rule: RefCell<Option<Box<dyn LearningRate>>>,
    stop: Option<&'a AtomicBool>,
    save: Option<&'a AtomicBool>,
}

impl Messages for TrainingEnvironment<'_> {}

impl Environment for TrainingEnvironment<'_> {
    fn open_device(&self, lost: Option<&Device>) -> Result<Device> {
        lost.map_or_else(|| Ok(self.device.clone()), |lost| ().open_device(Some(lost)))
    }

    fn learning_rate(&self) -> Option<Box<dyn LearningRate + '_>> {
        self.rule.borrow_mut().take().map(|rule| rule as Box<dyn LearningRate + '_>)
    }

    fn stop(&self) -> Option<&AtomicBool> {
        self.stop
    }

    fn save(&self) -> Option<&AtomicBool> {
        self.save
    }
}

impl Network {
    /// One update by the recipe's optimiser at learning rate `lr`: from 1 row to as many as the network was made for.
    ///
    /// `images` is `[rows, channels, height, width]`, `labels` has a class for each row. A non-finite loss or weight is an
    /// error ([`Error::Diverged`]); the weights are then unusable.
    pub fn train_batch(&mut self, images: &[f32], labels: &[u32], lr: f32) -> Result<StepResult> {
        let rows = self.check_batch(images, labels, lr)?;
        if self.spec.recipe.class_weights != ClassWeights::None {
            let what = "class_weights: expected none, since a batch is not known to be like the rest of the data, found some";
            return Err(Error::Usage(format!("{what}; a run applies them")));
        }
        let hyper = Hyper {
            rows: rows as u32,
            loss_scale: (1.0 / rows as f64) as f32,
            draw: self.draws as u32,
            ..inference::hyper(&self.spec.recipe, self.options.train.seed, self.updates, lr)
        };
        self.send(images, labels, &hyper)?;
        self.executor.run(Span::Train)?;
        self.metadata.clear();
        self.draws += 1;
        self.updates += 1;
        let metrics = self.executor.read(self.model.metrics)?;
        let Some(&[loss, correct, ..]) = metrics.get(..Metrics::RECORD) else {
            return Err(Error::Internal(format!("no record in {} words of metrics", metrics.len())));
        };
        if !loss.is_finite() {
            let what =
                format!("training diverged: the loss is {loss} in update {}, at lr {lr}", self.updates);
            return Err(Error::Diverged(what));
        }
        if let Some(found) = metrics.get(Metrics::FOUND).and_then(|&word| NonFinite::from_word(word)) {
            let parameter = self.model.trained(found.number);
            let name = parameter.map_or_else(|| format!("parameter {}", found.number), |p| p.name.clone());
            return Err(Error::Diverged(format!(
                "training diverged: {name} or its optimiser's state holds non-finite values after update {}, at lr {lr}",
                self.updates
            )));
        }
        Ok(StepResult { loss: f64::from(loss) / rows as f64, correct: correct as usize })
    }

    /// Trains a whole run on `data`, without a folder: [`Network::training`] with its defaults. `rule`, if given, takes the
    /// place of the recipe's learning rate; `observer` receives every step and epoch.
    pub fn train(
        &mut self,
        data: &Splits,
        options: &Options,
        rule: Option<Box<dyn LearningRate>>,
        observer: &mut dyn Observer,
    ) -> Result<Done> {
        let training = self.training(data).with_options(options.clone());
        rule.into_iter().fold(training, Training::with_learning_rate).run(observer)
    }

    /// A run that trains this network on `data`, as the recipe says, and that can be configured further: options, a folder,
    /// a checkpoint to resume, half precision. Where network and data both name their classes, they are matched by name.
    ///
    /// The run is the one of `striate train` ([`Run`]): augmentation, dropout, freezing and loss scaling work as there. It starts from the network's weights and optimiser state, and
    /// the network has those that it ended with; with [`Options::ema`] its weights are the averaged ones. After an error the
    /// network is as it was.
    pub fn training<'a>(&'a mut self, data: &'a Splits) -> Training<'a> {
        let options = RunOptions::default().without_folder().with_train(self.options.train.clone());
        Training {
            network: self,
            data,
            options,
            class_weights: None,
            resume: Resume::No,
            force: false,
            rule: None,
            stop: None,
            save: None,
        }
    }

    /// Names outputs that have no names yet after the classes of `data`. Where they have some, `data` with its classes numbered
    /// as the outputs are; an error if there is a class that is none of them.
    fn match_classes(&mut self, data: &Splits) -> Result<Option<Splits>> {
        match inference::match_classes(&self.class_names, &data.train) {
            ClassMatch::Same => Ok(None),
            ClassMatch::Outputs(outputs) => {
                for part in [&data.train, &data.val] {
                    inference::check_labels(part, outputs.len(), "classes")?;
                }
                Ok(Some(inference::relabel(data, &self.class_names, &outputs)))
            }
            ClassMatch::Missing(_) => {
                Err(inference::other_classes(Path::new(&self.spec.name), &self.class_names, &data.train))
            }
            ClassMatch::Unnamed => {
                if data.train.names_classes() && data.train.classes <= self.model.classes {
                    let names = &data.train.class_names;
                    self.class_names[..names.len()].clone_from_slice(names);
                }
                Ok(None)
            }
        }
    }

    fn check_training(&self) -> Result<()> {
        if self.options.training {
            return Ok(());
        }
        let name = &self.spec.name;
        Err(Error::Usage(format!("{name}: expected a network made for training, found one for answers only")))
    }

    /// Number of rows.
    fn check_batch(&self, images: &[f32], labels: &[u32], lr: f32) -> Result<usize> {
        self.check_training()?;
        let rows = self.rows(images)?;
        let (batch, classes) = (self.model.batch, self.model.classes);
        let wrong = |what: String| Err(Error::Usage(what));
        if rows > batch {
            return wrong(format!("images: expected at most {batch} rows, found {rows}"));
        }
        if labels.len() != rows {
            return wrong(format!("labels: expected one for each of {rows} rows, found {}", labels.len()));
        }
        if classes == 1 {
            // Its target would be 1 for class 0.
            let what =
                "expected a network with an output for each class, found one output, which takes values";
            return wrong(format!("labels: {what}"));
        }
        if let Some(label) = labels.iter().find(|&&label| label as usize >= classes) {
            return wrong(format!("labels: expected classes below {classes}, found {label}"));
        }
        if !(lr.is_finite() && lr >= 0.0) {
            return wrong(format!("lr: expected a number of at least 0, found {lr}"));
        }
        Ok(rows)
    }
}
