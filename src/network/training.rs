//! Training: batch by batch, or whole runs.

use super::Network;
use crate::data::Splits;
use crate::error::{Error, Result};
use crate::inference::{self, ClassMatch, Lineage};
use crate::ops::{Hyper, Metrics, NonFinite, Target};
use crate::program::Span;
use crate::train::{DeviceId, Done, LearningRate, Observer, Options, Task, Trainer};
use std::path::Path;
use std::sync::atomic::AtomicBool;

/// What one step says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepResult {
    /// Mean over the batch, before the update.
    pub loss: f64,
    /// Rows whose best answer is right.
    pub correct: usize,
}

impl Network {
    /// One update by the recipe's optimiser at learning rate `lr`: from 1 row to as many as the network was made for.
    ///
    /// `images` is `[rows, channels, height, width]`, `labels` has a class for each row. A non-finite loss or weight is an
    /// error ([`Error::Diverged`]); the weights are spoilt by then.
    pub fn train_batch(&mut self, images: &[f32], labels: &[u32], lr: f32) -> Result<StepResult> {
        let rows = self.check_batch(images, labels, lr)?;
        let hyper = Hyper {
            rows: rows as u32,
            loss_scale: (1.0 / rows as f64) as f32,
            draw: self.draws as u32,
            ..inference::hyper(&self.spec.recipe, self.options.seed, self.updates, lr)
        };
        self.send(images, labels, &hyper)?;
        self.executor.run(Span::Train)?;
        self.notes.clear();
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

    /// A whole run on `data`, whose images have the size of the network's input: epochs, schedule and loader as the recipe
    /// and `options` say. Where network and data both name their classes, they are matched by name. Dropout and what is frozen were decided when the network was made. `rule`, if given, takes the
    /// place of the recipe's learning rate. `observer` hears of every step and epoch.
    pub fn train(
        &mut self,
        data: &Splits,
        options: &Options,
        rule: Option<Box<dyn LearningRate>>,
        observer: &mut dyn Observer,
    ) -> Result<Done> {
        self.check_training()?;
        if inference::target(&data.train, self.spec.recipe.loss)? != Target::Class {
            return Err(Error::Usage("labels: expected classes, found values".into()));
        }
        if data.train.classes == 1 {
            let what = format!("{}: expected at least two classes to train on, found one", data.train.name);
            return Err(Error::Usage(what));
        }
        let relabelled = self.match_classes(data)?;
        let data = relabelled.as_ref().unwrap_or(data);
        let lineage = Lineage::read(Path::new(&self.spec.name), &self.notes)?;
        self.notes = inference::origin_notes(data, &lineage, options.seed);
        let device = DeviceId::new(self.device.name(), self.device.key());
        let task = Task { spec: &self.spec, model: &self.model, data, options, device };
        let stop = AtomicBool::new(false);
        let trainer = Trainer::new(task, self.executor.as_mut(), observer, &stop)?;
        match rule {
            Some(rule) => trainer.with_learning_rate(rule).run(),
            None => trainer.run(),
        }
    }

    /// Names outputs that have no names yet after the classes of `data`. Where they have some, `data` with its classes numbered
    /// as the outputs are; an error if there is a class that is none of them.
    fn match_classes(&mut self, data: &Splits) -> Result<Option<Splits>> {
        match inference::match_classes(&self.class_names, &data.train) {
            ClassMatch::Same => Ok(None),
            ClassMatch::Outputs(outputs) => Ok(Some(inference::relabel(data, &self.class_names, &outputs))),
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
        // One output tells two classes apart.
        if let Some(label) = labels.iter().find(|&&label| label as usize >= classes.max(2)) {
            return wrong(format!("labels: expected classes below {classes}, found {label}"));
        }
        if !(lr.is_finite() && lr >= 0.0) {
            return wrong(format!("lr: expected a number of at least 0, found {lr}"));
        }
        Ok(rows)
    }
}
