//! Measuring work on a device that runs behind the host: bursts of runs with one wait at the end, and the median of
//! several bursts.

use crate::error::Result;
use std::time::Instant;

/// How long to measure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    /// Runs before the measurement.
    pub warmup: usize,
    pub samples: usize,
    /// A measurement ends after this many seconds if it has three samples.
    pub seconds: f64,
}

impl Budget {
    /// For what is measured on the side.
    pub const SHORT: Budget = Budget { warmup: 1, samples: 5, seconds: 0.3 };
}

/// Seconds of one run.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Timing {
    pub median: f64,
    pub fastest: f64,
    pub samples: usize,
}

/// A burst lasts at least this many seconds, so that the wait at its end does not weigh.
const BURST: f64 = 0.02;

/// Most runs in a burst: a device's queue should not be flooded.
const MOST_RUNS: usize = 256;

/// Times `burst`, which does its argument's number of runs and waits for them.
pub(super) fn measure(budget: Budget, mut burst: impl FnMut(usize) -> Result<()>) -> Result<Timing> {
    for _ in 0..budget.warmup {
        burst(1)?;
    }
    let one = clock(&mut burst, 1)?;
    let runs = ((BURST / one.max(1e-9)).ceil() as usize).clamp(1, MOST_RUNS);
    let began = Instant::now();
    let mut times = Vec::with_capacity(budget.samples);
    while times.len() < budget.samples.max(1)
        && (times.len() < 3 || began.elapsed().as_secs_f64() < budget.seconds)
    {
        times.push(clock(&mut burst, runs)? / runs as f64);
    }
    let fastest = times.iter().copied().fold(f64::INFINITY, f64::min);
    Ok(Timing { median: median(&mut times), fastest, samples: times.len() })
}

fn clock(burst: &mut impl FnMut(usize) -> Result<()>, runs: usize) -> Result<f64> {
    let began = Instant::now();
    burst(runs)?;
    Ok(began.elapsed().as_secs_f64())
}

/// The middle value, or the mean of the two in the middle; NaN of nothing.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => (values[n / 2 - 1] + values[n / 2]) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&mut [4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&mut []).is_nan());
    }

    #[test]
    fn short_work_is_measured_in_bursts_and_a_time_limit_ends_it() {
        let budget = Budget { warmup: 2, samples: 1000, seconds: 0.0 };
        let mut largest = 0;
        let timing = measure(budget, |runs| {
            largest = largest.max(runs);
            std::thread::sleep(std::time::Duration::from_millis(runs as u64));
            Ok(())
        })
        .unwrap();
        assert!((5..=MOST_RUNS).contains(&largest), "{largest} runs in a burst");
        assert_eq!(timing.samples, 3);
        assert!(timing.median >= 0.001 && timing.fastest <= timing.median, "{timing:?}");
    }
}
