//! Monitors the losses of a run for two failures in which every value is finite: a loss that stays at the level of guessing (a
//! stall, reported once), and a loss that has grown far beyond its beginning (the run has diverged).

use crate::data::{Dataset, Labels, Sampler};
use crate::inference::{Entry, Totals, exact};
use crate::model::{LossKind, Model, Recipe};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Losses that are averaged: fewer would be noisy, more would be late.
const WINDOW: usize = 100;
/// A mean this close to the loss of guessing means that nothing is learnt; relatively, where one class has nearly all labels.
const NEAR: f64 = 0.02;
const NEAR_SHARE: f64 = 0.05;
/// A network that learns may stay at the loss of guessing for hundreds of steps (AlexNet on ImageNet does), so a stall is
/// reported at the end of the first epoch, but not before the first and not after the second of these steps.
const PATIENCE: [usize; 2] = [200, 1000];
/// The loss of a run that works does not end an epoch at ten times the larger of its first value and the loss of the best
/// constant output.
const DIVERGED: f64 = 10.0;

/// Monitors the losses of a run.
#[derive(Debug)]
pub(super) struct DivergenceMonitor {
    /// Losses of outputs that do not depend on the image: ln(classes), and the entropy of the training labels. Empty for
    /// losses without such a level.
    guessing: Vec<f64>,
    /// Loss of a constant output, to which a run may always return. The first batch alone can be lucky.
    constant: f64,
    /// Updates before which no stall is reported.
    patience: usize,
    state: DivergenceState,
}

/// The losses so far.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct DivergenceState {
    recent: VecDeque<Totals>,
    count: usize,
    /// Loss of the first record.
    first: Option<Loss>,
    /// Whether the last mean was at the level of guessing.
    stalls: bool,
    #[serde(rename = "said")]
    reported: bool,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Loss(#[serde(with = "exact")] f64);

impl DivergenceMonitor {
    /// A monitor for a run of `steps_per_epoch` updates in an epoch.
    pub fn new(
        recipe: &Recipe,
        model: &Model,
        train: &Dataset,
        sampler: Sampler,
        steps_per_epoch: usize,
    ) -> Self {
        let guessing = match (recipe.loss, &train.labels) {
            (LossKind::CrossEntropy, Labels::Classes(labels)) => {
                let mut shares = shares(labels, model.classes);
                if sampler == Sampler::Balanced {
                    let present = shares.iter().filter(|&&share| share > 0.0).count();
                    shares
                        .iter_mut()
                        .filter(|share| **share > 0.0)
                        .for_each(|share| *share = 1.0 / present as f64);
                }
                guessing(&shares, model.class_weights(), f64::from(recipe.label_smoothing))
            }
            _ => Vec::new(),
        };
        let constant = match (&train.labels, recipe.loss) {
            (Labels::Classes(_), LossKind::CrossEntropy) => (model.classes as f64).ln(),
            // Rows of zeros and a one, answered by how often each class is there.
            (Labels::Classes(labels), LossKind::Mse) => {
                0.5 * shares(labels, model.classes).iter().map(|p| p * (1.0 - p)).sum::<f64>()
            }
            (Labels::Values { width, values }, _) => half_variance(values, *width),
        };
        DivergenceMonitor {
            guessing,
            constant,
            patience: steps_per_epoch.clamp(PATIENCE[0], PATIENCE[1]),
            state: DivergenceState::default(),
        }
    }

    /// The losses so far.
    pub fn state(&self) -> &DivergenceState {
        &self.state
    }

    /// Continues from the state of another monitor of the same run.
    pub fn restore(&mut self, state: DivergenceState) {
        self.state = state;
    }

    /// Records losses in their order. Returns a warning about a loss that does not move, once in a run: after two consecutive
    /// means at the level of guessing.
    pub fn observe(&mut self, records: &[(Entry, Totals)]) -> Option<String> {
        let mut message = None;
        for (entry, record) in records {
            self.state.first.get_or_insert(Loss(record.loss()));
            if self.state.recent.len() == WINDOW {
                self.state.recent.pop_front();
            }
            self.state.recent.push_back(*record);
            self.state.count += 1;
            if self.state.count.is_multiple_of(WINDOW) {
                let (mean, step) = (self.mean(), entry.step + 1);
                let is_near = |level: &&f64| (mean - **level).abs() <= NEAR.min(NEAR_SHARE * **level);
                let level = self.guessing.iter().find(is_near);
                let stalled = self.state.stalls && step >= self.patience && !self.state.reported;
                message = message.or(level.filter(|_| stalled).map(|level| advice(mean, *level, step)));
                self.state.reported |= message.is_some();
                self.state.stalls = level.is_some();
            }
        }
        message
    }

    /// Why the run counts as diverged at the end of an epoch, if it does: most of the last losses are far above the first one
    /// (most, because a few wild steps at the beginning mean nothing). Few losses prove nothing unless the run is at its end.
    pub fn diverged(&self, at_end: bool) -> Option<String> {
        if self.state.recent.len() < WINDOW && !at_end {
            return None;
        }
        let most = DIVERGED * self.state.first?.0.max(self.constant);
        let mut losses: Vec<f64> = self.state.recent.iter().map(Totals::loss).collect();
        losses.sort_unstable_by(f64::total_cmp);
        let median = *losses.get(losses.len() / 2)?;
        let text = || format!("the loss is about {median:.3e}, more than {DIVERGED} times its first value,");
        (median > most).then(text)
    }

    /// Mean loss over the last records.
    fn mean(&self) -> f64 {
        let mut sum = Totals::default();
        self.state.recent.iter().for_each(|record| sum.add(record));
        sum.loss()
    }
}

/// The cross-entropy of the best outputs that do not depend on the image: all classes equally likely, and as frequent as in
/// the labels, of which each class has one of `shares` (`smoothing` and `weights` included).
fn guessing(shares: &[f64], weights: Option<&[f32]>, smoothing: f64) -> Vec<f64> {
    let classes = shares.len().max(1) as f64;
    let weight =
        |class: usize| weights.and_then(|all| all.get(class)).map_or(1.0, |&weight| f64::from(weight));
    let smoothed = |share: f64| (1.0 - smoothing) * share + smoothing / classes;
    let targets = || shares.iter().enumerate().map(|(class, &share)| weight(class) * smoothed(share));
    let total: f64 = targets().sum();
    // What the mean divides by.
    let all: f64 = shares.iter().enumerate().map(|(class, share)| weight(class) * share).sum();
    let entropy: f64 = targets().filter(|&t| t > 0.0).map(|t| -t * (t / total).ln()).sum();
    let levels = [total * classes.ln(), entropy].map(|level| level / all);
    // With a single class there is nothing to learn.
    if levels[1] > NEAR { levels.to_vec() } else { Vec::new() }
}

/// The frequency of each class, 0 to 1.
fn shares(labels: &[u32], classes: usize) -> Vec<f64> {
    let mut counts = vec![0u64; classes];
    for &label in labels {
        if let Some(count) = counts.get_mut(label as usize) {
            *count += 1;
        }
    }
    counts.into_iter().map(|count| count as f64 / labels.len().max(1) as f64).collect()
}

/// Half the variance of rows of `width` values, summed over the columns.
fn half_variance(values: &[f32], width: usize) -> f64 {
    let rows = (values.len() / width.max(1)).max(1) as f64;
    let column = |c: usize| values.iter().skip(c).step_by(width.max(1)).map(|&v| f64::from(v));
    (0..width)
        .map(|c| {
            let mean = column(c).sum::<f64>() / rows;
            0.5 * column(c).map(|v| (v - mean).powi(2)).sum::<f64>() / rows
        })
        .sum()
}

fn advice(mean: f64, level: f64, step: usize) -> String {
    format!(
        "the loss is {mean:.3} after {step} steps, that of guessing ({level:.3}): the network learns nothing"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn monitor(labels: &[u32], classes: usize, patience: usize) -> DivergenceMonitor {
        DivergenceMonitor {
            guessing: guessing(&shares(labels, classes), None, 0.0),
            constant: if labels.is_empty() { 0.0 } else { (classes as f64).ln() },
            patience,
            state: DivergenceState::default(),
        }
    }

    /// Records of single rows with the losses of steps `from ..`.
    fn records(from: usize, losses: impl IntoIterator<Item = f64>) -> Vec<(Entry, Totals)> {
        let record = |loss: f64| Totals::from_record(&[loss as f32, 0.0, 0.0, 1.0, 0.0], 0).unwrap();
        let entry = |i| Entry { step: from + i, slot: 0, lr: 0.1, mean: 1.0 };
        losses.into_iter().enumerate().map(|(i, loss)| (entry(i), record(loss))).collect()
    }

    #[test]
    fn guessing_knows_how_often_each_class_is_there() {
        let levels = guessing(&shares(&[0, 0, 0, 1], 3), None, 0.0);
        let entropy = -(0.75f64 * 0.75f64.ln() + 0.25 * 0.25f64.ln());
        assert!((levels[0] - 3f64.ln()).abs() < 1e-12 && (levels[1] - entropy).abs() < 1e-12, "{levels:?}");
        assert!(guessing(&shares(&[1, 1, 1], 3), None, 0.0).is_empty());
        // Smoothed all the way, every class is as likely as any other.
        let smoothed = guessing(&shares(&[0, 0, 0, 1], 3), None, 1.0);
        assert!((smoothed[1] - 3f64.ln()).abs() < 1e-12);
    }

    #[test]
    fn a_loss_at_chance_is_said_once_and_not_before_its_time() {
        let noisy = |i: usize| 10f64.ln() + if i.is_multiple_of(2) { 0.3 } else { -0.3 };
        let labels: Vec<u32> = (0..10).collect();
        let mut monitor = monitor(&labels, 10, 250);
        assert_eq!(monitor.observe(&records(0, (0..299).map(noisy))), None);
        let message = monitor.observe(&records(299, [noisy(299)])).unwrap();
        assert!(message.contains("2.303 after 300 steps") && message.contains("learns nothing"), "{message}");
        assert_eq!(monitor.observe(&records(300, (300..900).map(noisy))), None, "reported once");
    }

    #[test]
    fn a_network_that_only_learns_how_often_classes_are_stalls_too() {
        let labels = [0, 0, 0, 0, 0, 0, 0, 0, 1, 2];
        let level = guessing(&shares(&labels, 10), None, 0.0)[1];
        let mut monitor = monitor(&labels, 10, 200);
        assert!(monitor.observe(&records(0, vec![level + 0.01; 200])).is_some());
    }

    #[test]
    fn a_loss_that_passes_by_chance_on_its_way_down_is_no_stall() {
        let labels: Vec<u32> = (0..10).collect();
        let mut monitor = monitor(&labels, 10, 200);
        // From 2.6 to 0.6, through ln 10: 0.2 in a window.
        assert_eq!(monitor.observe(&records(0, (0..1000).map(|i| 2.6 - 0.002 * i as f64))), None);
        // A late one is a stall as well: all units dead.
        assert!(monitor.observe(&records(1000, vec![10f64.ln(); 200])).is_some());
    }

    #[test]
    fn ten_times_the_beginning_has_diverged() {
        let labels: Vec<u32> = (0..10).collect();
        let mut usual = monitor(&labels, 10, 200);
        usual.observe(&records(0, [2.3, 22.0, 24.0]));
        assert_eq!(usual.diverged(true), None, "the median is 22");
        usual.observe(&records(3, [1e30, 1e30]));
        assert_eq!(usual.diverged(false), None, "it may still recover");
        assert!(usual.diverged(true).is_some());
        usual.observe(&records(5, vec![24.0; 100]));
        assert!(usual.diverged(false).is_some());
        // A few wild steps are none.
        let mut wild = monitor(&labels, 10, 200);
        wild.observe(&records(0, [2.3, 1e9, 1e9, 1e7, 3.0, 2.0, 1.9, 1.8]));
        assert_eq!(wild.diverged(true), None);
        // A network that begins badly scaled has until then not diverged, nor has one step of it.
        let mut large = monitor(&labels, 10, 200);
        large.observe(&records(0, [500.0]));
        assert_eq!(large.diverged(true), None);
        large.observe(&records(1, vec![400.0; 50]));
        assert_eq!(large.diverged(true), None);
        // A loss of another scale (mse of values) is compared with its first value.
        let mut values = monitor(&[], 1, 200);
        values.observe(&records(0, vec![1e6; 100]));
        assert_eq!(values.diverged(true), None);
        values.observe(&records(100, vec![2e7; 100]));
        assert!(values.diverged(true).is_some());
        assert_eq!(monitor(&labels, 10, 200).diverged(true), None);
    }

    #[test]
    fn a_lucky_first_batch_is_no_measure() {
        let mut lucky = monitor(&[1; 10], 10, 200);
        lucky.observe(&records(0, [1e-6]));
        lucky.observe(&records(1, vec![0.3; 100]));
        assert_eq!(lucky.diverged(true), None);
        lucky.constant = half_variance(&[1.0, 0.0, 3.0, 4.0], 2);
        assert_eq!(lucky.constant, 0.5 * (1.0 + 4.0));
        lucky.observe(&records(101, vec![24.0; 100]));
        assert_eq!(lucky.diverged(true), None);
        lucky.observe(&records(201, vec![26.0; 100]));
        assert!(lucky.diverged(true).is_some());
        assert_eq!(shares(&[0, 1, 1, 3], 4), [0.25, 0.5, 0.0, 0.25]);
    }
}
