//! Measuring work on a device that runs behind the host: bursts of runs with one wait at the end. What is compared is
//! measured in turn, a burst of each in every round, so that a machine that is busy for a while slows all of it alike.

use crate::error::Result;
use serde_json::{Value, json};
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
    /// Every measurement, in the order in which they were made.
    pub samples: Vec<f64>,
    /// How many runs each of them is the mean of.
    pub runs: usize,
}

impl Timing {
    /// Measurements of `runs` runs each.
    pub fn new(samples: Vec<f64>, runs: usize) -> Timing {
        let fastest = samples.iter().copied().fold(f64::INFINITY, f64::min);
        Timing { median: median(&mut samples.clone()), fastest, samples, runs }
    }

    /// The same in another unit.
    pub fn scaled(&self, factor: f64) -> Timing {
        Timing::new(self.samples.iter().map(|sample| sample * factor).collect(), self.runs)
    }

    /// The first and the third quartile.
    pub fn quartiles(&self) -> [f64; 2] {
        let mut sorted = self.samples.clone();
        sorted.sort_by(f64::total_cmp);
        [0.25, 0.75].map(|share| quantile(&sorted, share))
    }

    /// Milliseconds, as `times` of every benchmark (`docs/measuring.md`).
    pub fn to_json(&self) -> Value {
        let [q1, q3] = self.quartiles();
        json!({
            "count": self.samples.len(),
            "runs": self.runs,
            "median_ms": self.median * 1e3,
            "q1_ms": q1 * 1e3,
            "q3_ms": q3 * 1e3,
            "fastest_ms": self.fastest * 1e3,
            "samples_ms": self.samples.iter().map(|sample| sample * 1e3).collect::<Vec<f64>>(),
        })
    }
}

/// A burst lasts at least this many seconds, so that the wait at its end does not weigh.
pub(super) const BURST: f64 = 0.02;

/// Most runs in a burst: a device's queue should not be flooded.
const MOST_RUNS: usize = 256;

/// Times `burst`, which does its argument's number of runs and waits for them.
pub(super) fn measure(budget: Budget, mut burst: impl FnMut(usize) -> Result<()>) -> Result<Timing> {
    let mut timings = in_turn(budget, &[BURST], |_, runs| burst(runs), |_| ())?;
    Ok(timings.swap_remove(0))
}

/// Times several kinds of work in turn: round after round, a burst of each, every second round backwards, so that none
/// always follows the same other. `seconds` has for each kind how long a burst lasts at least; `burst` is given its number
/// and the number of runs to do and to wait for; `done` is called after each round. The budget is that of one kind of work.
pub(super) fn in_turn(
    budget: Budget,
    seconds: &[f64],
    mut burst: impl FnMut(usize, usize) -> Result<()>,
    done: impl Fn(usize),
) -> Result<Vec<Timing>> {
    let mut clock = |kind: usize, runs: usize| -> Result<f64> {
        let began = Instant::now();
        burst(kind, runs)?;
        Ok(began.elapsed().as_secs_f64())
    };
    let mut runs = Vec::with_capacity(seconds.len());
    for (kind, &seconds) in seconds.iter().enumerate() {
        for _ in 0..budget.warmup {
            clock(kind, 1)?;
        }
        let one = clock(kind, 1)?;
        runs.push(((seconds / one.max(1e-9)).ceil() as usize).clamp(1, MOST_RUNS));
    }
    let (began, most) = (Instant::now(), budget.seconds * seconds.len() as f64);
    let mut times = vec![Vec::with_capacity(budget.samples); runs.len()];
    let mut round = 0;
    while round < budget.samples.max(1) && (round < 3 || began.elapsed().as_secs_f64() < most) {
        for place in 0..runs.len() {
            let kind = if round % 2 == 0 { place } else { runs.len() - 1 - place };
            times[kind].push(clock(kind, runs[kind])? / runs[kind] as f64);
        }
        round += 1;
        done(round);
    }
    Ok(times.into_iter().zip(runs).map(|(times, runs)| Timing::new(times, runs)).collect())
}

/// The middle value, or the mean of the two in the middle; NaN of nothing.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    quantile(values, 0.5)
}

/// The value that `share` of these are below, in a straight line between the two beside it (definition 7 of Hyndman and
/// Fan, "Sample quantiles in statistical packages", The American Statistician 50(4), 1996); NaN of nothing.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let place = share * last as f64;
    let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    below + (above - below) * place.fract()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&mut [4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&mut []).is_nan());
        // numpy.quantile([1, 2, 3, 4, 10], [0.25, 0.75]) and of the first four.
        assert_eq!(Timing::new(vec![3.0, 1.0, 10.0, 2.0, 4.0], 1).quartiles(), [2.0, 4.0]);
        assert_eq!(Timing::new(vec![3.0, 1.0, 2.0, 4.0], 1).quartiles(), [1.75, 3.25]);
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
        assert_eq!((timing.samples.len(), timing.runs), (3, largest));
        assert!(timing.median >= 0.001 && timing.fastest <= timing.median, "{timing:?}");
    }

    #[test]
    fn what_is_compared_is_measured_in_turn_and_every_second_round_backwards() {
        let budget = Budget { warmup: 0, samples: 3, seconds: 10.0 };
        let (mut order, rounds) = (Vec::new(), Cell::new(0));
        let timings = in_turn(
            budget,
            &[0.0, 0.0],
            |kind, runs| {
                order.push((kind, runs));
                Ok(())
            },
            |round| rounds.set(round),
        )
        .unwrap();
        let kinds: Vec<usize> = order.iter().map(|&(kind, _)| kind).collect();
        // Once each to see how long they take, then three rounds.
        assert_eq!(kinds, [0, 1, 0, 1, 1, 0, 0, 1]);
        assert_eq!((timings.len(), timings[0].samples.len(), rounds.get()), (2, 3, 3));
    }
}
