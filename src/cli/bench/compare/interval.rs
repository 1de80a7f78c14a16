//! How many times as long something takes now as it took before, with an interval around it. Both intervals are
//! distribution-free: they ask for no bell curve, and single outliers do not move them.

/// The probability with which an interval has the true ratio in it, at least.
pub(super) const CONFIDENCE: f64 = 0.99;
/// Most measurements of a side that are compared; of more, evenly spaced ones are taken.
const MOST: usize = 500;

/// A ratio of times, new to old.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Ratio {
    pub ratio: f64,
    /// The interval; `None` where there are too few measurements for any.
    pub interval: Option<[f64; 2]>,
}

/// The ratio of two independent sets of positive times: the median of all quotients of a new and an old one, and the interval
/// of the quotients whose ranks Mann and Whitney's test does not reject. On logarithms this is the estimator of Hodges and
/// Lehmann and the interval of Moses for a shift (Hollander, Wolfe and Chicken, "Nonparametric Statistical Methods", third
/// edition, 2014, sections 4.2 and 4.3).
pub(super) fn of_samples(old: &[f64], new: &[f64]) -> Option<Ratio> {
    let (old, new) = (thinned(old), thinned(new));
    let mut quotients: Vec<f64> = old.iter().flat_map(|old| new.iter().map(move |new| new / old)).collect();
    let below = critical(&rank_sums(old.len(), new.len()), 1.0 - CONFIDENCE);
    from_sorted(&mut quotients, below)
}

/// The ratio of times that were measured in pairs, from the quotient of each pair: the median of the means of any two
/// logarithms, and the interval of those means whose ranks Wilcoxon's signed-rank test does not reject (Tukey; Hollander,
/// Wolfe and Chicken, 2014, sections 3.2 and 3.3). What slows both of a pair has no part in it.
pub(super) fn of_pairs(quotients: &[f64]) -> Option<Ratio> {
    let logarithms: Vec<f64> = thinned(quotients).iter().map(|quotient| quotient.ln()).collect();
    let mut means = Vec::new();
    for (number, a) in logarithms.iter().enumerate() {
        means.extend(logarithms[..=number].iter().map(|b| ((a + b) / 2.0).exp()));
    }
    let below = critical(&signed_ranks(logarithms.len()), 1.0 - CONFIDENCE);
    from_sorted(&mut means, below)
}

/// The median, and the interval that leaves out `below` values on each side.
fn from_sorted(values: &mut [f64], below: Option<usize>) -> Option<Ratio> {
    values.sort_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    let ratio = (values[last / 2] * values[last - last / 2]).sqrt();
    let interval =
        below.filter(|&below| 2 * below <= last).map(|below| [values[below], values[last - below]]);
    Some(Ratio { ratio, interval })
}

fn thinned(values: &[f64]) -> Vec<f64> {
    let step = values.len().div_ceil(MOST).max(1);
    values.iter().step_by(step).copied().collect()
}

/// The largest value of a statistic that a two-sided test of this level rejects, where `counts` has how often each value
/// occurs: as many values at each end lie outside the interval that belongs to the test. `None` if it rejects nothing.
fn critical(counts: &[f64], level: f64) -> Option<usize> {
    let (all, mut tail) = (counts.iter().sum::<f64>(), 0.0);
    let kept = counts.iter().position(|count| {
        tail += count;
        tail / all > level / 2.0
    });
    kept?.checked_sub(1)
}

/// How likely each value of Mann and Whitney's statistic is for these numbers of measurements if both sides are alike: the
/// coefficients of the Gaussian binomial, each times a constant. Above [`EXACT`] pairs the normal approximation.
fn rank_sums(old: usize, new: usize) -> Vec<f64> {
    let pairs = old * new;
    if pairs > EXACT {
        let deviation = (pairs as f64 * (old + new + 1) as f64 / 12.0).sqrt();
        return bell(pairs, deviation);
    }
    let mut counts = vec![0.0; pairs + 1];
    counts[0] = 1.0;
    for i in 1..=old {
        // Times (1 - q^(new + i)) / (1 - q^i).
        for value in (new + i..=pairs).rev() {
            counts[value] -= counts[value - new - i];
        }
        for value in i..=pairs {
            counts[value] += counts[value - i];
        }
    }
    counts
}

/// How likely each value of Wilcoxon's statistic is for this number of pairs if nothing changed.
fn signed_ranks(pairs: usize) -> Vec<f64> {
    let most = pairs * (pairs + 1) / 2;
    if most > EXACT {
        let deviation = (most as f64 * (2 * pairs + 1) as f64 / 12.0).sqrt();
        return bell(most, deviation);
    }
    let mut counts = vec![0.0; most + 1];
    counts[0] = 1.0;
    for rank in 1..=pairs {
        for value in (rank..=most).rev() {
            counts[value] = (counts[value] + counts[value - rank]) / 2.0;
        }
        // Those below `rank` get no addend, and are halved too.
        counts[..rank].iter_mut().for_each(|count| *count /= 2.0);
    }
    counts
}

/// Above this many values of a statistic its exact distribution is not computed.
const EXACT: usize = 2500;

/// A bell curve over 0 to `most`.
fn bell(most: usize, deviation: f64) -> Vec<f64> {
    let at = |value: usize| (-0.5 * ((value as f64 - most as f64 / 2.0) / deviation).powi(2)).exp();
    (0..=most).map(at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, Stream};

    /// Tables A.6 and A.4 of Hollander, Wolfe and Chicken, and of every textbook.
    #[test]
    fn critical_values_are_those_of_the_tables() {
        for (old, new, at_5, at_1) in [
            (5, 5, Some(2), Some(0)),
            (8, 8, Some(13), Some(7)),
            (10, 10, Some(23), Some(16)),
            (3, 3, None, None),
        ] {
            let counts = rank_sums(old, new);
            assert_eq!((critical(&counts, 0.05), critical(&counts, 0.01)), (at_5, at_1), "{old}, {new}");
        }
        for (pairs, at_5, at_1) in [(8, Some(3), Some(0)), (10, Some(8), Some(3)), (7, Some(2), None)] {
            let counts = signed_ranks(pairs);
            assert_eq!((critical(&counts, 0.05), critical(&counts, 0.01)), (at_5, at_1), "{pairs}");
        }
        // The exact distribution and the approximation meet.
        let (exact, near) = (critical(&rank_sums(50, 50), 0.01), critical(&bell(2500, 145.06), 0.01));
        assert!(exact.unwrap().abs_diff(near.unwrap()) <= 3, "{exact:?}, {near:?}");
    }

    #[test]
    fn an_interval_leaves_out_as_many_values_as_the_test_allows() {
        // Of 25 quotients at 99 %, P(U = 0) = 1/252 is below 0.5 %, P(U <= 1) = 2/252 above: the extremes are the interval.
        let (old, new) = ([1.0, 2.0, 3.0, 4.0, 5.0], [2.0, 4.0, 6.0, 8.0, 10.0]);
        let found = of_samples(&old, &new).unwrap();
        assert_eq!(found, Ratio { ratio: 2.0, interval: Some([2.0 / 5.0, 10.0]) });
        assert_eq!(of_samples(&old[..3], &new[..3]).unwrap().interval, None);
        assert_eq!(of_samples(&[], &new), None);
        let pairs = of_pairs(&[1.1; 8]).unwrap();
        let [low, high] = pairs.interval.unwrap();
        assert!((pairs.ratio - 1.1).abs() < 1e-12 && (low - 1.1).abs() < 1e-12 && (high - 1.1).abs() < 1e-12);
        assert_eq!(of_pairs(&[1.1; 7]).unwrap().interval, None);
    }

    /// Of 1000 comparisons of equal things about ten intervals may leave out 1, and a change of 15 % is found.
    #[test]
    fn intervals_have_the_truth_in_them_as_often_as_they_say() {
        let mut stream = Stream::new(7, Purpose::Test, 0);
        let mut draw = |scale: f64, count: usize| -> Vec<f64> {
            (0..count).map(|_| scale * (0.05 * f64::from(stream.normal())).exp()).collect()
        };
        let (mut outside, mut found) = ([0, 0], [0, 0]);
        let leaves_out_1 = |ratio: Option<Ratio>| {
            let [low, high] = ratio.unwrap().interval.unwrap();
            usize::from(low > 1.0 || high < 1.0)
        };
        for _ in 0..1000 {
            let (old, new, slow) = (draw(1.0, 12), draw(1.0, 12), draw(1.15, 12));
            let quotients = |new: &[f64]| new.iter().zip(&old).map(|(n, o)| n / o).collect::<Vec<f64>>();
            outside[0] += leaves_out_1(of_samples(&old, &new));
            outside[1] += leaves_out_1(of_pairs(&quotients(&new)));
            found[0] += leaves_out_1(of_samples(&old, &slow));
            found[1] += leaves_out_1(of_pairs(&quotients(&slow)));
        }
        assert!(outside.iter().all(|count| (1..=22).contains(count)), "{outside:?} of 1000");
        assert!(found.iter().all(|&count| count > 900), "{found:?} of 1000");
    }
}
