//! What an evaluation says of single answers beside its totals: the confusion of classes, how far confidence can be trusted, and
//! the most confident mistakes.

use super::batches::BatchSource;
use super::classes::check_labels;
use super::evaluate::evaluate_each;
use super::metrics::{Answer, Confusion, first, rank};
use crate::data::Dataset;
use crate::error::Result;
use crate::model::{LossKind, Model};
use crate::program::Executor;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Bins of the reliability diagram (Guo et al. 2017, section 5).
const BINS: usize = 15;
/// Most mistakes that are kept.
const MISTAKES: usize = 24;

/// What the scores of answers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scores {
    /// The outputs of a network whose softmax is its answer.
    Logits,
    /// Probabilities.
    Probabilities,
    /// Other numbers, the greatest first choice. They say nothing about confidence.
    Values,
}

impl Scores {
    /// What the outputs of a network with this loss are.
    pub fn of(loss: LossKind) -> Scores {
        match loss {
            LossKind::CrossEntropy => Scores::Logits,
            LossKind::Mse => Scores::Values,
        }
    }
}

/// A wrong answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mistake {
    /// Its number in the data set.
    pub sample: usize,
    pub truth: usize,
    pub answer: usize,
    /// The probability of the answer; its output where scores are [`Scores::Values`].
    pub score: f64,
}

/// The answers whose confidence (the probability of the answer) lies in one interval.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CalibrationBin {
    pub count: u64,
    pub hits: u64,
    /// Sum of their confidences.
    pub confidence: f64,
}

/// The answers of a network to the samples of a data set with classes.
#[derive(Clone, Debug, PartialEq)]
pub struct Assessment {
    scores: Scores,
    confusion: Confusion,
    bins: [CalibrationBin; BINS],
    /// The most confident first; of equal ones the lower sample.
    mistakes: Vec<Mistake>,
    wrong: u64,
}

impl Assessment {
    /// No answers yet, over `classes` classes.
    pub fn new(classes: usize, scores: Scores) -> Assessment {
        let bins = [CalibrationBin::default(); BINS];
        Assessment { scores, confusion: Confusion::new(classes), bins, mistakes: Vec::new(), wrong: 0 }
    }

    /// Counts one answer, which must have one score per class; its truth is one of the classes.
    pub fn count(&mut self, answer: &Answer<'_>) {
        self.confusion.count(answer);
        let best = first(answer.scores);
        let score = match self.scores {
            Scores::Logits => share(answer.scores, best),
            _ => answer.scores[best],
        };
        // As accuracies count it: a NaN is no right answer.
        let is_hit = rank(answer.scores, answer.truth) == 0;
        if self.scores != Scores::Values && (0.0..=1.0).contains(&score) {
            // The intervals are ((m - 1) / M, m / M].
            let place = ((score * BINS as f64).ceil() as usize).clamp(1, BINS) - 1;
            let bin = &mut self.bins[place];
            bin.count += 1;
            bin.hits += u64::from(is_hit);
            bin.confidence += score;
        }
        if !is_hit {
            self.wrong += 1;
            let mistake = Mistake { sample: answer.sample, truth: answer.truth, answer: best, score };
            self.keep(mistake);
        }
    }

    fn keep(&mut self, mistake: Mistake) {
        let key = |m: &Mistake| if m.score.is_nan() { f64::NEG_INFINITY } else { m.score };
        let is_before = |other: &Mistake| {
            key(other).total_cmp(&key(&mistake)).reverse().then(other.sample.cmp(&mistake.sample)).is_lt()
        };
        let place = self.mistakes.partition_point(is_before);
        if place < MISTAKES {
            self.mistakes.insert(place, mistake);
            self.mistakes.truncate(MISTAKES);
        }
    }

    /// Counts of right and answered classes.
    pub fn confusion(&self) -> &Confusion {
        &self.confusion
    }

    /// What the scores are.
    pub fn scores(&self) -> Scores {
        self.scores
    }

    /// The most confident mistakes, at most 24.
    pub fn mistakes(&self) -> &[Mistake] {
        &self.mistakes
    }

    /// Number of mistakes.
    pub fn wrong(&self) -> u64 {
        self.wrong
    }

    /// The bins of confidence, m / 15 being the upper end of the m-th; `None` where scores are no probabilities, or without
    /// answers.
    pub fn calibration(&self) -> Option<&[CalibrationBin]> {
        self.bins.iter().any(|bin| bin.count > 0).then_some(&self.bins[..])
    }

    /// The expected calibration error, 0 to 1: the sum over the bins of their share of the answers times |accuracy - mean
    /// confidence| (Guo et al. 2017, equation 3). `None` where there is no [`Assessment::calibration`].
    pub fn calibration_error(&self) -> Option<f64> {
        let bins = self.calibration()?;
        let all: u64 = bins.iter().map(|bin| bin.count).sum();
        Some(bins.iter().map(|bin| (bin.hits as f64 - bin.confidence).abs()).sum::<f64>() / all as f64)
    }
}

/// The answers to all samples of `dataset`, which must have classes, by a network with the loss `loss` whose weights are loaded.
/// Stops early with a partial result once `stop` is set.
///
/// # Errors
/// [`crate::Error::Usage`] for a label that is no output of `model`; those of reading the samples and of the device.
pub fn assess(
    model: &Model,
    executor: &mut dyn Executor,
    dataset: &Arc<Dataset>,
    source: &BatchSource,
    loss: LossKind,
    stop: &AtomicBool,
) -> Result<Assessment> {
    check_labels(dataset, model.classes, "outputs")?;
    let mut assessment = Assessment::new(model.classes, Scores::of(loss));
    let mut count = |answer: &Answer<'_>| {
        assessment.count(answer);
        Ok(())
    };
    evaluate_each(model, executor, dataset, source, stop, &mut count)?;
    Ok(assessment)
}

/// The softmax of `outputs` at `best`, their maximum: 1 / sum exp(x - max).
fn share(outputs: &[f64], best: usize) -> f64 {
    1.0 / outputs.iter().map(|x| (x - outputs[best]).exp()).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(assessment: &mut Assessment, sample: usize, truth: usize, scores: &[f64]) {
        assessment.count(&Answer { sample, truth, scores });
    }

    #[test]
    fn calibration_is_that_of_the_definition() {
        let mut assessment = Assessment::new(2, Scores::Probabilities);
        // Four answers with confidence 0.9, three right; two with 0.6, one right.
        for (sample, truth) in [0, 0, 0, 1].into_iter().enumerate() {
            count(&mut assessment, sample, truth, &[0.9, 0.1]);
        }
        for (sample, truth) in [0, 1].into_iter().enumerate() {
            count(&mut assessment, 4 + sample, truth, &[0.6, 0.4]);
        }
        let error = assessment.calibration_error().unwrap();
        assert!((error - (4.0 / 6.0 * 0.15 + 2.0 / 6.0 * 0.1)).abs() < 1e-12, "{error}");
        let bins = assessment.calibration().unwrap();
        // 0.6 is the upper end of the ninth interval, and in it.
        assert_eq!((bins[13].count, bins[13].hits, bins[8].count, bins[8].hits), (4, 3, 2, 1));
        assert_eq!(assessment.wrong(), 2);
    }

    #[test]
    fn the_most_confident_mistakes_are_kept_in_order() {
        let mut assessment = Assessment::new(2, Scores::Logits);
        for sample in 0..100 {
            // Every other answer is wrong, and every third pair of outputs is the same.
            count(&mut assessment, sample, sample % 2, &[(sample / 3) as f64, 0.0]);
        }
        let mistakes = assessment.mistakes();
        assert_eq!((mistakes.len(), assessment.wrong()), (24, 50));
        assert_eq!(mistakes[0], Mistake { sample: 99, truth: 1, answer: 0, score: share(&[33.0, 0.0], 0) });
        let is_sorted = |pair: &[Mistake]| {
            pair[0].score > pair[1].score
                || (pair[0].score == pair[1].score && pair[0].sample < pair[1].sample)
        };
        assert!(mistakes.windows(2).all(is_sorted), "{mistakes:?}");
    }

    #[test]
    fn outputs_that_are_no_numbers_are_mistakes_without_confidence() {
        let mut assessment = Assessment::new(2, Scores::Logits);
        count(&mut assessment, 0, 0, &[f64::NAN, f64::NAN]);
        assert_eq!((assessment.wrong(), assessment.calibration()), (1, None));
        count(&mut assessment, 1, 1, &[2.0, 0.0]);
        assert_eq!(assessment.mistakes()[0].sample, 1);
        let mut values = Assessment::new(2, Scores::Values);
        count(&mut values, 0, 0, &[0.2, 0.9]);
        assert_eq!((values.calibration_error(), values.mistakes()[0].score), (None, 0.9));
    }
}
