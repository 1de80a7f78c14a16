//! Tracks the best epoch, and decides on early stopping.

use crate::inference::{Totals, exact};
use serde::{Deserialize, Serialize};

/// Compares epochs by their validation result.
#[derive(Clone, Debug)]
pub(super) struct BestTracker {
    /// For regression, which has no accuracy.
    by_loss: bool,
    patience: Option<usize>,
    state: BestState,
}

/// The best epoch so far.
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
    /// Compares top-1 errors, or losses if `by_loss`; stops early after `patience` epochs without improvement.
    pub fn new(by_loss: bool, patience: Option<usize>) -> Self {
        BestTracker { by_loss, patience, state: BestState::default() }
    }

    /// The best epoch so far.
    pub fn state(&self) -> &BestState {
        &self.state
    }

    /// Continues from the state of another tracker.
    pub fn restore(&mut self, verdicts: BestState) {
        self.state = verdicts;
    }

    /// Forgets the best epoch, so that the next one is the best.
    pub fn forget_best(&mut self) {
        self.state.best = None;
    }

    /// What is minimised: the top-1 error in percent or the loss on the validation set, or, without a validation set, the
    /// training loss.
    pub fn error(&self, validation: &Totals, training: &Totals) -> f64 {
        match validation.rows() {
            0 => training.loss(),
            _ if self.by_loss => validation.loss(),
            _ => 100.0 - validation.acc1(),
        }
    }

    /// Records an epoch. Returns whether it is the best so far: a lower error, or the same error at a lower loss.
    pub fn observe(&mut self, validation: &Totals, training: &Totals) -> bool {
        let error = self.error(validation, training);
        let loss = if validation.rows() == 0 { training.loss() } else { validation.loss() };
        let is_better =
            self.state.best.is_none_or(|b| error < b.error || (error == b.error && loss < b.loss));
        if is_better {
            self.state.best = Some(Best { acc1: validation.acc1(), error, loss });
            self.state.waited = 0;
        } else {
            self.state.waited += 1;
        }
        is_better
    }

    /// Whether `patience` epochs have passed without improvement.
    pub fn stops_early(&self) -> bool {
        self.patience.is_some_and(|patience| self.state.waited >= patience.max(1))
    }

    /// Whether an epoch has been recorded.
    pub fn has_best(&self) -> bool {
        self.state.best.is_some()
    }

    /// Validation loss of the best epoch; NaN if there is none.
    pub fn best_loss(&self) -> f64 {
        self.state.best.map_or(f64::NAN, |best| best.loss)
    }

    /// Top-1 in percent of the best epoch; NaN if there is none, or no validation set.
    pub fn best_acc1(&self) -> f64 {
        self.state.best.map_or(f64::NAN, |best| best.acc1)
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
        let mut tracker = BestTracker::new(false, Some(2));
        let training = totals(9.0, 0.0);
        assert!(tracker.observe(&totals(1.0, 2.0), &training));
        assert!(tracker.observe(&totals(5.0, 3.0), &training));
        assert!(tracker.observe(&totals(4.0, 3.0), &training));
        assert!(!tracker.observe(&totals(0.1, 2.0), &training));
        assert!(!tracker.stops_early());
        assert!(!tracker.observe(&totals(4.0, 3.0), &training));
        assert!(tracker.stops_early());
        assert_eq!(tracker.best_acc1(), 75.0);
    }

    #[test]
    fn values_and_missing_validation_sets_are_judged_by_loss() {
        let mut tracker = BestTracker::new(true, None);
        assert!(tracker.observe(&totals(2.0, 4.0), &totals(9.0, 0.0)));
        assert!(tracker.observe(&totals(1.0, 0.0), &totals(9.0, 0.0)));
        let mut tracker = BestTracker::new(false, None);
        assert!(tracker.observe(&Totals::default(), &totals(2.0, 4.0)));
        assert!(tracker.observe(&Totals::default(), &totals(1.0, 0.0)));
        assert!(!tracker.observe(&Totals::default(), &totals(1.0, 4.0)));
        assert!(tracker.best_acc1().is_nan() && !tracker.stops_early());
    }
}
