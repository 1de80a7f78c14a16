//! The metric records of a step (`ops::Metrics`: sum of losses, top-1 hits, top-5 hits, rows, and non-finite values found by updates), added up in f64.

use super::exact;
use crate::data::{Dataset, Labels};
use crate::error::{Error, Result};
use crate::ops::Metrics;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A sum of metric records. Rows and hits are whole numbers, losses a sum over rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Totals {
    #[serde(with = "exact")]
    loss: f64,
    #[serde(with = "exact")]
    hits1: f64,
    #[serde(with = "exact")]
    hits5: f64,
    #[serde(with = "exact")]
    rows: f64,
}

impl Totals {
    /// Record `slot` of the content of a metrics buffer.
    pub fn from_record(metrics: &[f32], slot: usize) -> Result<Self> {
        let start = slot * Metrics::RECORD;
        let Some(&[loss, hits1, hits5, rows, _]) = metrics.get(start..start + Metrics::RECORD) else {
            return Err(Error::Internal(format!("no record {slot} in {} words of metrics", metrics.len())));
        };
        Ok(Totals { loss: loss.into(), hits1: hits1.into(), hits5: hits5.into(), rows: rows.into() })
    }

    /// The same with losses multiplied by `factor`.
    pub(crate) fn scaled(self, factor: f64) -> Self {
        Totals { loss: self.loss * factor, ..self }
    }

    /// The record of a single row with this loss and this rank of the right answer (see [`crate::ops::Loss`]).
    pub fn of_row(loss: f64, rank: usize) -> Self {
        let hit = |most: usize| if rank < most { 1.0 } else { 0.0 };
        Totals { loss, hits1: hit(1), hits5: hit(5), rows: 1.0 }
    }

    /// A record of one row of this loss.
    pub(crate) fn of_loss(loss: f64) -> Self {
        Totals { loss, rows: 1.0, ..Totals::default() }
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

    /// Root mean square error of each of `width` values, if losses are half the sum of their squared errors: sqrt(2 loss /
    /// width). NaN if there are no rows.
    pub fn rmse(&self, width: usize) -> f64 {
        (2.0 * self.loss() / width as f64).sqrt()
    }

    /// Share of rows whose best answer is right, in percent; NaN if there are no rows.
    pub fn acc1(&self) -> f64 {
        100.0 * self.hits1 / self.rows
    }

    /// Share of rows whose right answer is among the best five, in percent; NaN if there are no rows.
    pub fn acc5(&self) -> f64 {
        100.0 * self.hits5 / self.rows
    }

    /// Share of rows whose best answer is wrong, in percent: 100 - top-1.
    pub fn error1(&self) -> f64 {
        100.0 * (self.rows - self.hits1) / self.rows
    }

    /// Share of rows whose right answer is not among the best five, in percent: 100 - top-5.
    pub fn error5(&self) -> f64 {
        100.0 * (self.rows - self.hits5) / self.rows
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

/// The prediction of a network for one sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answer<'a> {
    /// Its number in the data set.
    pub sample: usize,
    /// Its class.
    pub truth: usize,
    /// One number per class, the greatest first choice: the network's outputs, or probabilities.
    pub scores: &'a [f64],
}

/// Counts of (right class, answered class), and of right classes among the best five answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confusion {
    classes: usize,
    /// Only pairs that occur: a square of all would be too much for many classes.
    counts: BTreeMap<(usize, usize), u64>,
    samples: Vec<u64>,
    answers: Vec<u64>,
    hits5: Vec<u64>,
}

impl Confusion {
    /// No answers yet, over `classes` classes.
    pub fn new(classes: usize) -> Self {
        let none = vec![0; classes];
        Confusion {
            classes,
            counts: BTreeMap::new(),
            samples: none.clone(),
            answers: none.clone(),
            hits5: none,
        }
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Counts one answer, which must have one score per class; `truth` is one of the classes.
    pub fn count(&mut self, answer: &Answer<'_>) {
        let best = first(answer.scores);
        *self.counts.entry((answer.truth, best)).or_default() += 1;
        self.samples[answer.truth] += 1;
        self.answers[best] += 1;
        self.hits5[answer.truth] += u64::from(rank(answer.scores, answer.truth) < 5);
    }

    /// How often class `truth` was answered with class `answer`.
    pub fn get(&self, truth: usize, answer: usize) -> u64 {
        self.counts.get(&(truth, answer)).copied().unwrap_or(0)
    }

    /// The pairs of right and answered class that occur, with how often, in order.
    pub fn counts(&self) -> impl Iterator<Item = ((usize, usize), u64)> + '_ {
        self.counts.iter().map(|(&pair, &count)| (pair, count))
    }

    /// Number of samples of class `truth`.
    pub fn samples(&self, truth: usize) -> u64 {
        self.samples[truth]
    }

    /// Percent of the samples of `class` that were answered right; NaN without samples.
    pub fn recall(&self, class: usize) -> f64 {
        100.0 * self.get(class, class) as f64 / self.samples(class) as f64
    }

    /// Percent of the samples of `class` whose best five answers hold the right one; NaN without samples.
    pub fn recall5(&self, class: usize) -> f64 {
        100.0 * self.hits5[class] as f64 / self.samples(class) as f64
    }

    /// Balanced accuracy in percent: the mean recall of the classes that have samples (scikit-learn's
    /// `balanced_accuracy_score`); NaN without samples.
    pub fn balanced_accuracy(&self) -> f64 {
        let recalls = || (0..self.classes).map(|class| self.recall(class)).filter(|recall| !recall.is_nan());
        recalls().sum::<f64>() / recalls().count() as f64
    }

    /// Macro-F1 in percent: the mean, over the classes that have samples or were answered, of the harmonic mean of precision and
    /// recall, 2 TP / (2 TP + FP + FN) (scikit-learn's `f1_score(average="macro")`); NaN without samples.
    pub fn macro_f1(&self) -> f64 {
        let (mut sum, mut count) = (0.0, 0.0);
        for class in 0..self.classes {
            let all = self.samples[class] + self.answers[class];
            if all > 0 {
                sum += 200.0 * self.get(class, class) as f64 / all as f64;
                count += 1.0;
            }
        }
        sum / count
    }

    /// Percent of the answers `class` that were right; NaN if it was never answered.
    pub fn precision(&self, class: usize) -> f64 {
        100.0 * self.get(class, class) as f64 / self.answers[class] as f64
    }
}

/// Top-1 in percent of always answering with the largest class of `dataset`; NaN if its labels are values or it is empty.
pub fn guess(dataset: &Dataset) -> f64 {
    let Labels::Classes(labels) = &dataset.labels else { return f64::NAN };
    let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
    labels.iter().for_each(|&class| *counts.entry(class).or_default() += 1);
    100.0 * counts.into_values().max().unwrap_or(0) as f64 / labels.len() as f64
}

/// Whether a prediction for a sample of `dataset` is right or wrong, so that accuracies mean something: labels are classes, or
/// values of which each is 0 or 1 (a class written as a row, or one of two).
pub fn has_hits(dataset: &Dataset) -> bool {
    match &dataset.labels {
        Labels::Classes(_) => true,
        Labels::Values { values, .. } => values.iter().all(|&value| value == 0.0 || value == 1.0),
    }
}

/// The root mean square error of the values of `dataset`; NaN if its labels are classes.
pub fn rmse(dataset: &Dataset, totals: &Totals) -> f64 {
    match dataset.labels {
        Labels::Classes(_) => f64::NAN,
        Labels::Values { width, .. } => totals.rmse(width),
    }
}

/// The place of the first maximum of `scores`, a NaN counting as less than any number.
pub fn first(scores: &[f64]) -> usize {
    let mut best = 0;
    for (i, &value) in scores.iter().enumerate() {
        if value > scores[best] || (scores[best].is_nan() && !value.is_nan()) {
            best = i;
        }
    }
    best
}

/// The `count` best of `scores`, or all if there are fewer: classes with their scores, best first; of equal ones the lower
/// class, and NaN last.
pub fn best(scores: &[f64], count: usize) -> Vec<(usize, f64)> {
    let mut best: Vec<(usize, f64)> = scores.iter().copied().enumerate().collect();
    let key = |score: f64| if score.is_nan() { f64::NEG_INFINITY } else { score };
    // The sort is stable.
    best.sort_by(|a, b| key(b.1).total_cmp(&key(a.1)));
    best.truncate(count);
    best
}

/// How many classes stand before `truth`: those with a greater score, or an equal one and a lower number; all, if its
/// score is NaN. The same as the operators of the losses say (see [`crate::ops::Loss`]).
pub fn rank(scores: &[f64], truth: usize) -> usize {
    let own = scores[truth];
    if own.is_nan() {
        return scores.len();
    }
    scores.iter().enumerate().filter(|&(i, &value)| value > own || (value == own && i < truth)).count()
}

/// Softmax in f64: exp(x - max) / sum of the same. All NaN if an output is NaN.
pub fn probabilities(outputs: &[f64]) -> Vec<f64> {
    let most = outputs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = outputs.iter().map(|x| (x - most).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.iter().map(|power| power / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_add_up_to_means_and_percentages() {
        let buffer = [9.0, 9.0, 9.0, 9.0, 0.0, 6.0, 1.0, 2.0, 4.0, 0.0, 2.0, 3.0, 3.0, 4.0, 0.0];
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
            totals.add(&Totals::from_record(&[16_777_216.0, 0.0, 0.0, 1.0, 0.0], 0).unwrap());
        }
        totals.add(&Totals::from_record(&[1.0, 0.0, 0.0, 1.0, 0.0], 0).unwrap());
        assert_eq!(totals.loss() * 1001.0, 16_777_216_001.0);
    }

    #[test]
    fn errors_are_what_is_missing_from_the_accuracies() {
        let mut totals = Totals::of_row(0.5, 0);
        for rank in [1, 4, 5, 9] {
            totals.add(&Totals::of_row(0.25, rank));
        }
        assert_eq!((totals.acc1(), totals.error1()), (20.0, 80.0));
        assert_eq!((totals.acc5(), totals.error5()), (60.0, 40.0));
        assert_eq!((totals.loss(), totals.rows()), (0.3, 5));
    }

    #[test]
    fn confusion_knows_recall_precision_and_the_best_five() {
        let mut confusion = Confusion::new(7);
        let mut say = |truth, best, fifth| {
            let mut scores = [0.0; 7];
            scores[best] = 2.0;
            scores[fifth] = 1.0;
            confusion.count(&Answer { sample: 0, truth, scores: &scores });
        };
        // The right answer is first, first, second, sixth (five of the others are equal or greater), first.
        say(6, 6, 0);
        say(6, 6, 0);
        say(6, 0, 6);
        say(6, 0, 1);
        say(0, 0, 1);
        assert_eq!((confusion.samples(6), confusion.get(6, 0)), (4, 2));
        assert_eq!((confusion.recall(6), confusion.recall5(6)), (50.0, 75.0));
        assert_eq!((confusion.recall(0), confusion.recall5(0)), (100.0, 100.0));
        assert_eq!(confusion.precision(6), 100.0);
        assert!(confusion.recall(3).is_nan() && confusion.recall5(3).is_nan());
    }

    /// numpy 2.4.6 and scikit-learn 1.9.1: balanced_accuracy_score(truth, answer) and f1_score(truth, answer,
    /// average="macro"), times 100, of tests/fixtures/balanced.py.
    #[test]
    fn balanced_accuracy_and_macro_f1_are_those_of_scikit_learn() {
        let of = |pairs: &[(usize, usize)]| {
            let mut confusion = Confusion::new(6);
            for &(truth, answer) in pairs {
                let mut scores = [0.0; 6];
                scores[answer] = 1.0;
                confusion.count(&Answer { sample: 0, truth, scores: &scores });
            }
            [confusion.balanced_accuracy(), confusion.macro_f1()]
        };
        let near = |found: [f64; 2], expected: [f64; 2]| {
            let is_near = |(found, expected): (&f64, &f64)| (found - expected).abs() < 1e-10;
            assert!(found.iter().zip(&expected).all(is_near), "{found:?}, expected {expected:?}");
        };
        // Class 4 has no samples but is answered, class 5 neither.
        let pairs =
            [(0, 0), (0, 0), (0, 0), (0, 0), (0, 1), (0, 4), (1, 1), (1, 0), (2, 2), (2, 2), (2, 0), (3, 1)];
        near(of(&pairs), [45.833_333_333_333_33, 37.333_333_333_333_336]);
        near(of(&[(0, 0), (1, 1), (5, 5)]), [100.0, 100.0]);
        near(of(&[(0, 1), (1, 0)]), [0.0, 0.0]);
        assert!(of(&[]).iter().all(|value| value.is_nan()));
    }

    #[test]
    fn the_first_answer_is_the_first_maximum_and_never_a_nan() {
        assert_eq!(first(&[1.0, 3.0, 3.0]), 1);
        assert_eq!(first(&[f64::NAN, -1.0, 0.0]), 2);
        assert_eq!(first(&[0.5]), 0);
    }

    #[test]
    fn the_best_are_in_order_and_no_number_is_last() {
        let scores = [f64::NAN, 2.0, 5.0, 2.0];
        assert_eq!(best(&scores, 3), [(2, 5.0), (1, 2.0), (3, 2.0)]);
        assert_eq!(best(&scores, 9).last().map(|last| last.0), Some(0));
    }

    #[test]
    fn the_rank_counts_greater_scores_and_equal_ones_of_lower_classes() {
        let scores = [2.0, 5.0, 2.0, f64::NAN];
        assert_eq!([0, 1, 2, 3].map(|truth| rank(&scores, truth)), [1, 0, 2, 4]);
    }

    #[test]
    fn probabilities_sum_to_one_however_large_the_outputs() {
        let p = probabilities(&[1000.0, 1000.0 + 3f64.ln(), -1000.0]);
        assert!((p[0] - 0.25).abs() < 1e-12 && (p[1] - 0.75).abs() < 1e-12 && p[2] == 0.0, "{p:?}");
        assert!(probabilities(&[f64::NAN, 1.0]).iter().all(|p| p.is_nan()));
    }
}
