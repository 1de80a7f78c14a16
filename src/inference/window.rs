//! Reads the metric records of steps without ever waiting for the step just sent: a window of records is asked for when
//! it is full, and fetched when the next one is.

use super::metrics::Totals;
use crate::error::Result;
use crate::ops::{Metrics, NonFinite};
use crate::program::{BufferId, Executor, Pending};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Records of a run of the program that has not been read yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    /// Which update it belongs to, counted from 0 over the run.
    pub step: usize,
    /// Its place in the metrics buffer.
    pub slot: usize,
    /// Learning rate of that update.
    pub lr: f32,
    /// Factor that makes the sum of losses that of the mean: rows by their weight in the loss, 1 without class weights.
    pub mean: f64,
}

/// Records that have arrived.
#[derive(Clone, Debug)]
pub(crate) struct Arrived {
    pub records: Vec<(Entry, Totals)>,
    /// Non-finite values found by updates.
    pub found: Vec<(Entry, NonFinite)>,
    /// Whether the window was closed by its user, not because it was full.
    pub closed: bool,
    /// From the end of the window before to the end of this one.
    pub seconds: f64,
    /// Waiting for data meanwhile, in seconds.
    pub data_wait: f64,
}

struct Asked {
    pending: Pending,
    entries: Vec<Entry>,
    closed: bool,
    sent: Instant,
    data_wait: Duration,
}

/// The windows of one pass over data.
pub(crate) struct Windows {
    metrics: BufferId,
    /// Records that the buffer holds.
    slots: usize,
    open: Vec<Entry>,
    asked: VecDeque<Asked>,
    end: Instant,
    waited: Duration,
}

impl Windows {
    /// Windows over the buffer `metrics` of `slots` records; time counts from now.
    pub fn new(metrics: BufferId, slots: usize) -> Self {
        Windows {
            metrics,
            slots,
            open: Vec::new(),
            asked: VecDeque::new(),
            end: Instant::now(),
            waited: Duration::ZERO,
        }
    }

    /// Notes that a record has been computed; `close` ends the window with it. If the window has ended, delivers the
    /// one before it. `data_wait` is the time spent waiting for data since the pass began.
    pub fn push(
        &mut self,
        executor: &mut dyn Executor,
        entry: Entry,
        close: bool,
        data_wait: Duration,
    ) -> Result<Option<Arrived>> {
        self.open.push(entry);
        if !close && self.open.len() < self.slots {
            return Ok(None);
        }
        self.ask(executor, close, data_wait)?;
        if self.asked.len() > 1 { self.fetch(executor) } else { Ok(None) }
    }

    /// Waits for the next window that is still on its way; ends the open one. `None` when there is nothing left.
    pub fn drain(&mut self, executor: &mut dyn Executor, data_wait: Duration) -> Result<Option<Arrived>> {
        self.rest(executor, true, data_wait)
    }

    /// As `drain`, but the open window continues: its arrived records count, and its end is still to come.
    pub fn flush(&mut self, executor: &mut dyn Executor, data_wait: Duration) -> Result<Option<Arrived>> {
        self.rest(executor, false, data_wait)
    }

    fn rest(
        &mut self,
        executor: &mut dyn Executor,
        close: bool,
        data_wait: Duration,
    ) -> Result<Option<Arrived>> {
        if !self.open.is_empty() {
            self.ask(executor, close, data_wait)?;
        }
        self.fetch(executor)
    }

    fn ask(&mut self, executor: &mut dyn Executor, closed: bool, data_wait: Duration) -> Result<()> {
        let pending = executor.start_read(self.metrics)?;
        let entries = std::mem::take(&mut self.open);
        self.asked.push_back(Asked { pending, entries, closed, sent: Instant::now(), data_wait });
        Ok(())
    }

    fn fetch(&mut self, executor: &mut dyn Executor) -> Result<Option<Arrived>> {
        let Some(asked) = self.asked.pop_front() else { return Ok(None) };
        let before = Instant::now();
        let values = executor.finish_read(asked.pending)?;
        let after = Instant::now();
        // If there was something to wait for, the device is the slower side and has finished the window only now;
        // otherwise it had finished by about the time that the window was sent.
        let waited = after - before > (after - self.end) / 20;
        let end = if waited { after } else { asked.sent.max(self.end) };
        let mut records = Vec::with_capacity(asked.entries.len());
        let mut found = Vec::new();
        for entry in asked.entries {
            let word = values.get(entry.slot * Metrics::RECORD + Metrics::FOUND);
            found.extend(word.and_then(|&word| NonFinite::from_word(word)).map(|what| (entry, what)));
            records.push((entry, Totals::from_record(&values, entry.slot)?.scaled(entry.mean)));
        }
        let arrived = Arrived {
            records,
            found,
            closed: asked.closed,
            seconds: (end - self.end).as_secs_f64(),
            data_wait: asked.data_wait.saturating_sub(self.waited).as_secs_f64(),
        };
        self.end = end;
        self.waited = asked.data_wait;
        Ok(Some(arrived))
    }
}
