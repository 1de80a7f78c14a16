//! Sums over the training part of an epoch, and the reports that come out of them.

use super::event::Step;
use super::metrics::Totals;
use super::window::Arrived;

/// What has arrived of an epoch.
#[derive(Debug, Default)]
pub(super) struct Progress {
    pub totals: Totals,
    /// Learning rate of the last update.
    pub lr: f32,
    /// Seconds spent waiting for data, once the epoch is over.
    pub data_wait: f64,
    /// Since the last report.
    recent: Totals,
    recent_seconds: f64,
    recent_wait: f64,
    /// Of the last report, in case the clock is too coarse for the next one.
    images_per_second: f64,
}

impl Progress {
    /// Adds what has arrived; a report if that ends with a window that the trainer closed.
    pub fn add(&mut self, epoch: usize, arrived: &Arrived) -> Option<Step> {
        self.recent_seconds += arrived.seconds;
        self.recent_wait += arrived.data_wait;
        for (entry, record) in &arrived.records {
            self.totals.add(record);
            self.recent.add(record);
            self.lr = entry.lr;
        }
        let (last, _) = arrived.records.last().filter(|_| arrived.closed)?;
        let recent = std::mem::take(&mut self.recent);
        let seconds = std::mem::take(&mut self.recent_seconds);
        let waited = std::mem::take(&mut self.recent_wait);
        if seconds > 0.0 {
            self.images_per_second = recent.rows() as f64 / seconds;
        }
        Some(Step {
            epoch,
            step: last.step + 1,
            loss: recent.loss(),
            acc1: recent.acc1(),
            lr: last.lr,
            images_per_second: self.images_per_second,
            data_wait: percent(waited, seconds),
        })
    }
}

/// `part` of `whole` in percent; 0 of nothing.
pub(super) fn percent(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { (100.0 * part / whole).min(100.0) } else { 0.0 }
}
