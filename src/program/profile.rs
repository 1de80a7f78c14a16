//! The times of the steps of a span, as an executor that can time itself reports them.

use super::Step;
use crate::error::{Error, Result};
use std::time::Duration;

/// The clock behind the times of a [`Profile`]; it decides what their sum means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
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

/// What was timed together: a step of the program, or several that a device runs together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileEntry {
    pub workload: Workload,
    /// How many steps it covers; none if it is work of the device between steps.
    pub steps: usize,
    /// Labels of the GPU pipelines that it ran, each once; on the CPU path the operator with layout and algorithm, as in
    /// `conv2d_forward/blocks/F(4, 3)`.
    pub pipelines: Vec<String>,
    /// When it began, counted from the beginning of the run by the same clock.
    pub start: Duration,
    pub time: Duration,
}

/// One run of a span: its timed entries in the order in which they ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    pub clock: Clock,
    /// Dispatches that the run recorded; none on the CPU path.
    pub dispatches: usize,
    pub entries: Vec<ProfileEntry>,
}

impl Profile {
    /// The sum of all entries.
    pub fn sum(&self) -> Duration {
        self.entries.iter().map(|entry| entry.time).sum()
    }

    /// Each entry's median over `runs` of the same span on the same executor; beginnings too are medians.
    ///
    /// # Errors
    /// `Error::Internal` if there is no run, or two have other entries.
    pub fn median(runs: &[Profile]) -> Result<Profile> {
        let differ = || Error::Internal("profiles of different runs were put together".into());
        let mut middle = runs.first().ok_or_else(differ)?.clone();
        for (number, entry) in middle.entries.iter_mut().enumerate() {
            let (mut starts, mut times) = (Vec::with_capacity(runs.len()), Vec::with_capacity(runs.len()));
            for run in runs {
                let found = run.entries.get(number).filter(|found| found.workload == entry.workload);
                let found = found.ok_or_else(differ)?;
                starts.push(found.start);
                times.push(found.time);
            }
            (entry.start, entry.time) = (median(starts), median(times));
        }
        Ok(middle)
    }
}

/// The middle of at least one duration.
fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    (times[times.len() / 2] + times[(times.len() - 1) / 2]) / 2
}

/// One entry of a profile, and the work that it has to do at least.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// Names of its operators, joined by `+`.
    pub kind: String,
    /// Its layers and parameters, each once.
    pub label: String,
    /// Floating-point operations.
    pub flops: u64,
    /// Bytes read and written at least.
    pub bytes: u64,
}

impl Workload {
    /// One step by itself.
    pub fn of(step: &Step) -> Workload {
        Workload {
            kind: step.op.name().into(),
            label: step.label.clone(),
            flops: step.op.flops(),
            bytes: step.op.bytes(),
        }
    }
}
