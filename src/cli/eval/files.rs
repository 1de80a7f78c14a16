//! The tables that an evaluation writes: who was taken for whom, and the best five answers to each sample.

use super::super::samples::Samples;
use super::report::class_name;
use crate::atomic;
use crate::data::Dataset;
use crate::error::{Result, printable_path};
use crate::inference::{Answer, Confusion, best, probabilities};
use std::iter::once;
use std::path::Path;

/// The best five answers to one sample, or as many as there are classes.
#[derive(Debug)]
pub(super) struct Prediction {
    sample: usize,
    truth: usize,
    /// Classes with their scores, best first; of equal ones the lower class.
    best: Vec<(usize, f64)>,
}

impl Prediction {
    /// With `softmax`, the scores are made into probabilities first.
    pub fn new(answer: &Answer<'_>, softmax: bool) -> Self {
        let scores = if softmax { probabilities(answer.scores) } else { answer.scores.to_vec() };
        Prediction { sample: answer.sample, truth: answer.truth, best: best(&scores, 5) }
    }
}

/// One row per right class, one column per answer; the first row and column are names.
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

/// One row per sample: its number (within the data's own validation part, else within all samples in the data's order, from
/// 0), its file if it has one, its class, and the answers with their probabilities, best first. A network with the loss mse
/// has outputs instead of probabilities.
pub(super) fn write_predictions(path: &Path, predictions: &[Prediction], part: &Samples) -> Result<()> {
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
        for Prediction { sample, truth, best } in predictions {
            let file = data.file(*sample).map(|path| printable_path(&path));
            let number = part.numbers.get(*sample).map_or_else(String::new, u32::to_string);
            let row = once(number).chain(file).chain(once(class_name(data, *truth)));
            let answers = best.iter().flat_map(|&(class, p)| [class_name(data, class), format!("{p:.6}")]);
            table.write_record(row.chain(answers))?;
        }
        table.flush()
    })
}
