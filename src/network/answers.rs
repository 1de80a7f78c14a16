//! Predictions of a network, and its evaluation.

use super::Network;
use crate::data::{Dataset, OnBadFile};
use crate::error::{Error, Result};
use crate::inference::{self, BatchSource, ClassMatch, Totals};
use crate::model::LossKind;
use crate::ops::Hyper;
use crate::program::Span;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// A class that the network predicts for an image.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Prediction {
    pub class: usize,
    pub name: String,
    /// 0 to 1; the output itself where the loss is not cross-entropy.
    pub probability: f64,
}

impl Network {
    /// The outputs, `[rows, classes]`, for `images`, `[rows, channels, height, width]`, with any number of rows.
    pub fn logits(&mut self, images: &[f32]) -> Result<Vec<f32>> {
        let mut left = self.rows(images)?;
        let row = images.len() / left;
        let mut logits = Vec::with_capacity(left * self.model.classes);
        for part in images.chunks(self.model.batch * row) {
            let rows = left.min(self.model.batch);
            left -= rows;
            self.send(part, &[], &Hyper { rows: rows as u32, ..Hyper::default() })?;
            self.executor.run(Span::Forward)?;
            let outputs = self.executor.read(self.model.logits)?;
            logits.extend_from_slice(&outputs[..rows * self.model.classes]);
        }
        Ok(logits)
    }

    /// Probabilities, `[rows, classes]`: the softmax of the outputs; the outputs themselves where the loss is not
    /// cross-entropy.
    pub fn probabilities(&mut self, images: &[f32]) -> Result<Vec<f64>> {
        let outputs: Vec<f64> = self.logits(images)?.into_iter().map(f64::from).collect();
        Ok(match self.spec.recipe.loss {
            LossKind::CrossEntropy => {
                outputs.chunks(self.model.classes).flat_map(inference::probabilities).collect()
            }
            LossKind::Mse => outputs,
        })
    }

    /// The best `k` predictions for each of `images`, best first.
    pub fn predict(&mut self, images: &[f32], k: usize) -> Result<Vec<Vec<Prediction>>> {
        let probabilities = self.probabilities(images)?;
        let best = |row: &[f64]| {
            let mut classes: Vec<usize> = (0..row.len()).collect();
            // Of equal ones the first, and NaN last.
            let key = |class: usize| if row[class].is_nan() { f64::NEG_INFINITY } else { row[class] };
            classes.sort_by(|&a, &b| key(b).total_cmp(&key(a)));
            let prediction = |class: usize| Prediction {
                class,
                name: self.class_names[class].clone(),
                probability: row[class],
            };
            classes.into_iter().take(k).map(prediction).collect()
        };
        Ok(probabilities.chunks(self.model.classes).map(best).collect())
    }

    /// The best `k` predictions for each of these image files, best first; files are preprocessed as in evaluation. If a file
    /// cannot be read, the error names it.
    pub fn predict_files(&mut self, files: &[impl AsRef<Path>], k: usize) -> Result<Vec<Vec<Prediction>>> {
        let mut answers = Vec::with_capacity(files.len());
        for part in files.chunks(self.model.batch) {
            let files = part.iter().map(|file| file.as_ref().to_path_buf()).collect();
            let dataset = Arc::new(inference::image_files(&self.spec, files)?);
            let images = self.inputs(&dataset, part.len())?;
            answers.extend(self.predict(&images, k)?);
        }
        Ok(answers)
    }

    /// Loss and accuracies over all of `dataset`, whose images have the size of the network's input. Where both name their
    /// classes, they are matched by name. A class that the network does not know and samples that cannot be read are errors.
    pub fn evaluate(&mut self, dataset: &Arc<Dataset>) -> Result<Totals> {
        if dataset.shape != self.spec.input {
            let (input, found) = (self.spec.input, dataset.shape);
            return Err(Error::data(&dataset.name, format!("expected images of {input:?}, found {found:?}")));
        }
        // A dataset of fewer classes, or in another order, is counted by names.
        let dataset = match inference::match_classes(&self.class_names, dataset) {
            ClassMatch::Same | ClassMatch::Unnamed => Arc::clone(dataset),
            ClassMatch::Outputs(outputs) => {
                inference::check_labels(dataset, outputs.len(), "classes")?;
                Arc::new(inference::relabelled(dataset, &self.class_names, &outputs))
            }
            ClassMatch::Missing(_) => {
                return Err(inference::other_classes(Path::new(&self.spec.name), &self.class_names, dataset));
            }
        };
        inference::check_outputs(&dataset, self.model.classes)?;
        let source = BatchSource::new(&self.spec, &self.model, self.options.train.seed, 1, OnBadFile::Fail);
        let stop = AtomicBool::new(false);
        inference::evaluate(&self.model, self.executor.as_mut(), &dataset, &source, &stop)
    }
}
