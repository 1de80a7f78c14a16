//! Sums over the training part of an epoch, and the events that report them.

use super::event::Step;
use crate::inference::{Arrived, Totals, exact};
use serde::{Deserialize, Serialize};

/// What has arrived of an epoch.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Progress {
    pub totals: Totals,
    /// Learning rate of the last update, an `f32`.
    #[serde(with = "exact")]
    lr: f64,
    /// Seconds of training so far.
    #[serde(with = "exact")]
    pub seconds: f64,
    /// Seconds of those that were spent waiting for data.
    #[serde(with = "exact")]
    pub data_wait: f64,
    /// Since the last report.
    recent: Totals,
    #[serde(with = "exact")]
    recent_seconds: f64,
    #[serde(with = "exact")]
    recent_wait: f64,
    /// Of the last report, in case the clock is too coarse for the next.
    #[serde(with = "exact")]
    images_per_second: f64,
    /// Updates of the run up to the last that has arrived.
    steps: usize,
}

impl Progress {
    /// Adds what has arrived. Returns an event if it ends with a window that the trainer closed.
    pub fn add(&mut self, epoch: usize, arrived: &Arrived) -> Option<Step> {
        self.recent_seconds += arrived.seconds;
        self.recent_wait += arrived.data_wait;
        for (entry, record) in &arrived.records {
            self.totals.add(record);
            self.recent.add(record);
            self.lr = entry.lr.into();
            self.steps = entry.step + 1;
        }
        if arrived.closed { self.report(epoch) } else { None }
    }

    /// Learning rate of the last update; 0 before the first.
    pub fn lr(&self) -> f32 {
        self.lr as f32
    }

    /// An event about what has arrived since the last one; `None` if nothing has.
    pub fn report(&mut self, epoch: usize) -> Option<Step> {
        if self.recent.rows() == 0 {
            return None;
        }
        let recent = std::mem::take(&mut self.recent);
        let seconds = std::mem::take(&mut self.recent_seconds);
        let waited = std::mem::take(&mut self.recent_wait);
        if seconds > 0.0 {
            self.images_per_second = recent.rows() as f64 / seconds;
        }
        Some(Step {
            epoch,
            step: self.steps,
            loss: recent.loss(),
            acc1: recent.acc1(),
            lr: self.lr(),
            images_per_second: self.images_per_second,
            data_wait: percent(waited, seconds),
        })
    }
}

/// `part` of `whole` in percent; 0 if `whole` is 0.
pub(super) fn percent(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { (100.0 * part / whole).min(100.0) } else { 0.0 }
}
