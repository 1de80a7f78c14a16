//! What the steps of a span took: what every executor that can time itself answers.

use super::{BufferId, Program, Span};
use crate::error::{Error, Result};
use std::collections::BTreeSet;
use std::time::Duration;

/// How the times of a [`Profile`] were taken, which decides what their sum means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// By the host, which waits for every entry.
    Host,
    /// By timestamps between the dispatches of one pass: an entry lasts until the one after it could begin, so the
    /// entries add up to the time of the pass.
    InsidePass,
    /// By timestamps around passes of their own: every entry drains the device, so their sum is more than a run takes.
    PassEach,
}

impl Clock {
    /// For people and reports.
    pub fn name(self) -> &'static str {
        match self {
            Clock::Host => "host clock",
            Clock::InsidePass => "timestamps within the pass",
            Clock::PassEach => "timestamps, a pass for each",
        }
    }
}

/// What was timed as one: a step of the program, or several that a device runs together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timed {
    /// Positions in [`Program::steps`] of the span, in order.
    pub steps: Vec<usize>,
    pub time: Duration,
}

/// One run of a span, timed piece by piece, in the order in which the pieces ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    pub clock: Clock,
    /// Dispatches that the run recorded; none on the CPU path.
    pub dispatches: usize,
    pub entries: Vec<Timed>,
}

impl Profile {
    /// The sum of all entries.
    pub fn sum(&self) -> Duration {
        self.entries.iter().map(|entry| entry.time).sum()
    }

    /// Each entry's median over `runs` of the same span on the same executor.
    ///
    /// # Errors
    /// `Error::Internal` if there is no run, or two have other entries.
    pub fn median(runs: &[Profile]) -> Result<Profile> {
        let differ = || Error::Internal("profiles of different runs were put together".into());
        let mut middle = runs.first().ok_or_else(differ)?.clone();
        for (number, entry) in middle.entries.iter_mut().enumerate() {
            let mut times = Vec::with_capacity(runs.len());
            for run in runs {
                let found = run.entries.get(number).filter(|found| found.steps == entry.steps);
                times.push(found.ok_or_else(differ)?.time);
            }
            times.sort_unstable();
            let (upper, lower) = (times[times.len() / 2], times[(times.len() - 1) / 2]);
            entry.time = (upper + lower) / 2;
        }
        Ok(middle)
    }
}

/// What an entry of a profile is, and what it has to do at least.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Names of its operators, joined by `+`.
    pub kind: String,
    /// Its layers and parameters, each once.
    pub label: String,
    /// Floating-point operations.
    pub flops: u64,
    /// Bytes read and written, without tensors that nothing outside of the entry sees.
    pub bytes: u64,
}

impl Program {
    /// The piece of `span` that the steps at these positions are; positions that do not exist count for nothing.
    pub fn piece(&self, span: Span, steps: &[usize]) -> Piece {
        let all: Vec<&super::Step> = self.steps(span).collect();
        let inside: Vec<&super::Step> = steps.iter().filter_map(|&at| all.get(at).copied()).collect();
        let mut kinds: Vec<&str> = inside.iter().map(|step| step.op.name()).collect();
        // Many updates in one are still an update.
        kinds.dedup();
        let mut labels: Vec<&str> = Vec::new();
        for step in &inside {
            if !labels.contains(&step.label.as_str()) {
                labels.push(&step.label);
            }
        }
        let mut bytes: u64 = inside.iter().map(|step| step.op.bytes()).sum();
        if inside.len() > 1 {
            let outside = all.iter().enumerate().filter(|(at, _)| !steps.contains(at));
            let seen: BTreeSet<BufferId> =
                outside.flat_map(|(_, step)| step.buffers.iter().copied()).collect();
            let uses = inside.iter().flat_map(|step| step.buffers.iter());
            let hidden = uses.filter(|id| !self.plan().is_kept(**id) && !seen.contains(id));
            bytes = bytes.saturating_sub(hidden.map(|&id| self.buffer(id).shape.bytes()).sum());
        }
        Piece {
            kind: kinds.join("+"),
            label: labels.join(", "),
            flops: inside.iter().map(|step| step.op.flops()).sum(),
            bytes,
        }
    }
}
