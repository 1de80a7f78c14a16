//! Which epoch is the best, and when to stop waiting for a better one.

use crate::inference::{Totals, exact};
use serde::{Deserialize, Serialize};

/// Compares epochs by their validation result.
#[derive(Clone, Debug)]
pub(super) struct BestTracker {
    /// Regression has no accuracy to speak of.
    by_loss: bool,
    patience: Option<usize>,
    so_far: BestState,
}

/// What it has found so far.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct BestState {
    best: Option<Best>,
    /// Epochs since the best.
    waited: usize,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Best {
    #[serde(with = "exact")]
    acc1: f64,
    #[serde(with = "exact")]
    error: f64,
    #[serde(with = "exact")]
    loss: f64,
}

impl BestTracker {
    /// Goes by top-1 error, or by loss; gives up after `patience` epochs without improvement.
    pub fn new(by_loss: bool, patience: Option<usize>) -> Self {
        BestTracker { by_loss, patience, so_far: BestState::default() }
    }

    /// What it has found so far.
    pub fn state(&self) -> &BestState {
        &self.so_far
    }

    /// Goes on from what another judge has found.
    pub fn restore(&mut self, verdicts: BestState) {
        self.so_far = verdicts;
    }

    /// Forgets which epoch was the best: the next one is.
    pub fn forget_best(&mut self) {
        self.so_far.best = None;
    }

    /// What is to become smaller: the validation's top-1 error in percent or its loss, or, without a validation set,
    /// the training loss.
    pub fn error(&self, validation: &Totals, training: &Totals) -> f64 {
        match validation.rows() {
            0 => training.loss(),
            _ if self.by_loss => validation.loss(),
            _ => 100.0 - validation.acc1(),
        }
    }

    /// Takes in an epoch; whether it is the best so far: a lower error, or the same error at a lower loss.
    pub fn observe(&mut self, validation: &Totals, training: &Totals) -> bool {
        let error = self.error(validation, training);
        let loss = if validation.rows() == 0 { training.loss() } else { validation.loss() };
        let is_better =
            self.so_far.best.is_none_or(|b| error < b.error || (error == b.error && loss < b.loss));
        if is_better {
            self.so_far.best = Some(Best { acc1: validation.acc1(), error, loss });
            self.so_far.waited = 0;
        } else {
            self.so_far.waited += 1;
        }
        is_better
    }

    /// Whether patience has run out.
    pub fn stops_early(&self) -> bool {
        self.patience.is_some_and(|patience| self.so_far.waited >= patience.max(1))
    }

    /// Whether there has been an epoch.
    pub fn has_best(&self) -> bool {
        self.so_far.best.is_some()
    }

    /// Top-1 in percent of the best epoch; NaN if there is none, or no validation set.
    pub fn best_acc1(&self) -> f64 {
        self.so_far.best.map_or(f64::NAN, |best| best.acc1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(loss: f32, hits: f32) -> Totals {
        Totals::from_record(&[4.0 * loss, hits, hits, 4.0, 0.0], 0).unwrap()
    }

    #[test]
    fn more_hits_win_and_among_equals_the_lower_loss() {
        let mut judge = BestTracker::new(false, Some(2));
        let training = totals(9.0, 0.0);
        assert!(judge.observe(&totals(1.0, 2.0), &training));
        assert!(judge.observe(&totals(5.0, 3.0), &training));
        assert!(judge.observe(&totals(4.0, 3.0), &training));
        assert!(!judge.observe(&totals(0.1, 2.0), &training));
        assert!(!judge.stops_early());
        assert!(!judge.observe(&totals(4.0, 3.0), &training));
        assert!(judge.stops_early());
        assert_eq!(judge.best_acc1(), 75.0);
    }

    #[test]
    fn values_and_missing_validation_sets_are_judged_by_loss() {
        let mut judge = BestTracker::new(true, None);
        assert!(judge.observe(&totals(2.0, 4.0), &totals(9.0, 0.0)));
        assert!(judge.observe(&totals(1.0, 0.0), &totals(9.0, 0.0)));
        let mut judge = BestTracker::new(false, None);
        assert!(judge.observe(&Totals::default(), &totals(2.0, 4.0)));
        assert!(judge.observe(&Totals::default(), &totals(1.0, 0.0)));
        assert!(!judge.observe(&Totals::default(), &totals(1.0, 4.0)));
        assert!(judge.best_acc1().is_nan() && !judge.stops_early());
    }
}
