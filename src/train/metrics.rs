//! What a step leaves on the device (`ops::Metrics`: sum of losses, top-1 hits, top-5 hits, rows), added up in f64.

use crate::error::{Error, Result};
use crate::ops::Metrics;

/// A sum of metric records. Rows and hits are whole numbers, losses a sum over rows.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Totals {
    loss: f64,
    hits1: f64,
    hits5: f64,
    rows: f64,
}

impl Totals {
    /// Record `slot` of the content of a metrics buffer.
    pub fn from_record(metrics: &[f32], slot: usize) -> Result<Self> {
        let start = slot * Metrics::RECORD;
        let Some(&[loss, hits1, hits5, rows]) = metrics.get(start..start + Metrics::RECORD) else {
            return Err(Error::Internal(format!("no record {slot} in {} words of metrics", metrics.len())));
        };
        Ok(Totals { loss: loss.into(), hits1: hits1.into(), hits5: hits5.into(), rows: rows.into() })
    }

    /// Adds another sum to this one.
    pub fn add(&mut self, other: &Totals) {
        self.loss += other.loss;
        self.hits1 += other.hits1;
        self.hits5 += other.hits5;
        self.rows += other.rows;
    }

    /// Mean loss per row; NaN if there are no rows.
    pub fn loss(&self) -> f64 {
        self.loss / self.rows
    }

    /// Share of rows whose best answer is right, in percent; NaN if there are no rows.
    pub fn acc1(&self) -> f64 {
        100.0 * self.hits1 / self.rows
    }

    /// Share of rows whose right answer is among the best five, in percent; NaN if there are no rows.
    pub fn acc5(&self) -> f64 {
        100.0 * self.hits5 / self.rows
    }

    /// Number of samples.
    pub fn rows(&self) -> u64 {
        self.rows as u64
    }

    /// Whether the loss is a number.
    pub fn is_finite(&self) -> bool {
        self.loss.is_finite()
    }
}

/// Counts of (right class, answered class).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confusion {
    classes: usize,
    counts: Vec<u64>,
}

impl Confusion {
    /// No answers yet, over `classes` classes.
    pub fn new(classes: usize) -> Self {
        Confusion { classes, counts: vec![0; classes * classes] }
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Counts one answer; both numbers must be less than the number of classes.
    pub fn count(&mut self, truth: usize, answer: usize) {
        self.counts[truth * self.classes + answer] += 1;
    }

    /// How often class `truth` was answered with class `answer`.
    pub fn get(&self, truth: usize, answer: usize) -> u64 {
        self.counts[truth * self.classes + answer]
    }

    /// Number of samples of class `truth`.
    pub fn samples(&self, truth: usize) -> u64 {
        (0..self.classes).map(|answer| self.get(truth, answer)).sum()
    }

    /// Percent of the samples of `class` that were answered right; NaN without samples.
    pub fn recall(&self, class: usize) -> f64 {
        100.0 * self.get(class, class) as f64 / self.samples(class) as f64
    }

    /// Percent of the answers `class` that were right; NaN if it was never answered.
    pub fn precision(&self, class: usize) -> f64 {
        let answered: u64 = (0..self.classes).map(|truth| self.get(truth, class)).sum();
        100.0 * self.get(class, class) as f64 / answered as f64
    }
}

/// The place of the first maximum of a row of logits, a NaN counting as less than any number.
pub fn answer(logits: &[f32]) -> usize {
    let mut best = 0;
    for (i, &value) in logits.iter().enumerate() {
        if value > logits[best] || (logits[best].is_nan() && !value.is_nan()) {
            best = i;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_add_up_to_means_and_percentages() {
        let buffer = [9.0, 9.0, 9.0, 9.0, 6.0, 1.0, 2.0, 4.0, 2.0, 3.0, 3.0, 4.0];
        let mut totals = Totals::from_record(&buffer, 1).unwrap();
        totals.add(&Totals::from_record(&buffer, 2).unwrap());
        assert_eq!((totals.loss(), totals.acc1(), totals.acc5(), totals.rows()), (1.0, 50.0, 62.5, 8));
        assert!(Totals::from_record(&buffer, 3).is_err());
        assert!(Totals::default().loss().is_nan());
    }

    #[test]
    fn small_losses_are_not_lost_beside_large_sums() {
        let mut totals = Totals::default();
        for _ in 0..1000 {
            totals.add(&Totals::from_record(&[16_777_216.0, 0.0, 0.0, 1.0], 0).unwrap());
        }
        totals.add(&Totals::from_record(&[1.0, 0.0, 0.0, 1.0], 0).unwrap());
        assert_eq!(totals.loss() * 1001.0, 16_777_216_001.0);
    }

    #[test]
    fn confusion_knows_recall_and_precision() {
        let mut confusion = Confusion::new(2);
        for (truth, answer) in [(0, 0), (0, 0), (0, 1), (1, 1)] {
            confusion.count(truth, answer);
        }
        assert_eq!(confusion.samples(0), 3);
        assert_eq!(confusion.recall(1), 100.0);
        assert_eq!(confusion.precision(1), 50.0);
    }

    #[test]
    fn the_answer_is_the_first_maximum_and_never_a_nan() {
        assert_eq!(answer(&[1.0, 3.0, 3.0]), 1);
        assert_eq!(answer(&[f32::NAN, -1.0, 0.0]), 2);
        assert_eq!(answer(&[0.5]), 0);
    }
}
