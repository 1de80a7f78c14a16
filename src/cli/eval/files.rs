//! The tables that an evaluation writes: the confusion matrix, and the top five predictions for each sample.

use super::super::samples::Samples;
use super::report::class_name;
use crate::atomic;
use crate::data::Dataset;
use crate::error::{Result, printable_path};
use crate::inference::{Answer, Confusion, best, probabilities};
use std::iter::once;
use std::path::Path;

/// The top five predictions for one sample, or fewer if there are fewer classes.
#[derive(Debug)]
pub(super) struct TopPredictions {
    sample: usize,
    truth: usize,
    /// Classes with their scores, the best first; ties are ordered by class.
    best: Vec<(usize, f64)>,
}

impl TopPredictions {
    /// Takes the top predictions of `answer`; `softmax` converts its scores to probabilities.
    pub fn new(answer: &Answer<'_>, softmax: bool) -> Self {
        let scores = if softmax { probabilities(answer.scores) } else { answer.scores.to_vec() };
        TopPredictions { sample: answer.sample, truth: answer.truth, best: best(&scores, 5) }
    }
}

/// Writes the confusion matrix: one row per true class, one column per predicted class, with class names in the first row
/// and column.
pub(super) fn write_confusion(path: &Path, confusion: &Confusion, data: &Dataset) -> Result<()> {
    atomic::write(path, |out| {
        let mut table = csv::Writer::from_writer(out);
        let names = (0..confusion.classes()).map(|class| class_name(data, class));
        table.write_record(once("truth \\ answer".to_string()).chain(names))?;
        for truth in 0..confusion.classes() {
            let counts = (0..confusion.classes()).map(|answer| confusion.get(truth, answer).to_string());
            table.write_record(once(class_name(data, truth)).chain(counts))?;
        }
        table.flush()
    })
}

/// Writes one row per sample: its number from 0 (within the data's validation part if there is one, else within all
/// samples), its file if it has one, its class, and the predictions with their probabilities, the best first. For a network
/// with the loss mse, the probabilities are its outputs.
pub(super) fn write_predictions(path: &Path, predictions: &[TopPredictions], part: &Samples) -> Result<()> {
    let data = &part.data;
    atomic::write(path, |out| {
        let mut table = csv::Writer::from_writer(out);
        let answers = predictions.first().map_or(0, |p| p.best.len());
        let columns = (1..=answers).flat_map(|n| [format!("answer{n}"), format!("p{n}")]);
        let has_files = predictions.first().is_some_and(|first| data.file(first.sample).is_some());
        let file = has_files.then(|| "file".to_string());
        table.write_record(
            once("sample".to_string()).chain(file).chain(once("truth".into())).chain(columns),
        )?;
        for TopPredictions { sample, truth, best } in predictions {
            let file = data.file(*sample).map(|path| printable_path(&path));
            let number = part.numbers.get(*sample).map_or_else(String::new, u32::to_string);
            let row = once(number).chain(file).chain(once(class_name(data, *truth)));
            let answers = best.iter().flat_map(|&(class, p)| [class_name(data, class), format!("{p:.6}")]);
            table.write_record(row.chain(answers))?;
        }
        table.flush()
    })
}
