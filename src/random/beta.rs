//! Numbers of the symmetric beta distribution, in f64.
//!
//! A beta number is g / (g + h) of two gamma numbers of its shape (Devroye, "Non-Uniform Random Variate Generation", 1986,
//! chapter IX.4). Gamma numbers are drawn by the rejection method of Marsaglia and Tsang, "A simple method for generating
//! gamma variables", ACM TOMS 26 (2000); for shapes below 1 they are those of the shape plus 1 times u^(1 / shape). All of it
//! happens with logarithms, since for small shapes the gamma numbers themselves are often below the smallest f64.

use super::Stream;
use std::f64::consts::TAU;

impl Stream {
    /// Uniform in (0, 1) with 53 random bits; never 0 or 1.
    fn open_uniform(&mut self) -> f64 {
        let high = u64::from(self.next_u32() >> 5);
        let low = u64::from(self.next_u32() >> 6);
        ((high << 26 | low) as f64 + 0.5) * (1.0 / 9_007_199_254_740_992.0)
    }

    /// Standard normal, one of each pair of the Box-Muller method.
    fn normal_f64(&mut self) -> f64 {
        let radius = (-2.0 * self.open_uniform().ln()).sqrt();
        radius * (TAU * self.open_uniform()).cos()
    }

    /// The logarithm of a gamma number of this shape, which must be above 0, and scale 1.
    fn log_gamma_number(&mut self, shape: f64) -> f64 {
        let boost = if shape < 1.0 { self.open_uniform().ln() / shape } else { 0.0 };
        let d = if shape < 1.0 { shape + 1.0 } else { shape } - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        loop {
            let x = self.normal_f64();
            let v = (1.0 + c * x).powi(3);
            // Also where v is not positive, so that each attempt draws as many numbers.
            let u = self.open_uniform();
            if v > 0.0 && u.ln() < 0.5 * x * x + d - d * v + d * v.ln() {
                return boost + d.ln() + v.ln();
            }
        }
    }

    /// A number of Beta(shape, shape), in [0, 1]; `shape` must be a finite number above 0.
    pub fn beta(&mut self, shape: f64) -> f64 {
        let (g, h) = (self.log_gamma_number(shape), self.log_gamma_number(shape));
        1.0 / (1.0 + (h - g).exp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Purpose;

    fn draw(shape: f64, count: usize) -> Vec<f64> {
        let mut stream = Stream::new(17, Purpose::Test, (shape * 1000.0) as u32);
        (0..count).map(|_| stream.beta(shape)).collect()
    }

    /// The distribution function of Beta(a, a) at x, by Simpson's rule: over t, or for a below 1 over s = t^a, which has no
    /// pole at 0.
    fn distribution(a: f64, x: f64) -> f64 {
        if x > 0.5 {
            return 1.0 - distribution(a, 1.0 - x);
        }
        let (low, density): (_, &dyn Fn(f64) -> f64) = match a < 1.0 {
            true => (a, &|s: f64| (1.0 - s.powf(1.0 / a)).powf(a - 1.0)),
            false => (1.0, &|t: f64| (t * (1.0 - t)).powf(a - 1.0)),
        };
        let integral = |end: f64| {
            let steps = 1000;
            let h = end / f64::from(steps);
            let inner = (1..steps).map(|i| density(h * f64::from(i)) * if i % 2 == 1 { 4.0 } else { 2.0 });
            (density(0.0) + density(end) + inner.sum::<f64>()) * h / 3.0
        };
        0.5 * integral(x.powf(low)) / integral(0.5f64.powf(low))
    }

    #[test]
    fn the_distribution_function_of_the_test_is_right_where_it_is_known() {
        for x in [0.0, 0.1, 0.35, 0.5, 0.8, 1.0f64] {
            let arcsine = 2.0 / std::f64::consts::PI * x.sqrt().asin();
            for (a, known) in [(0.5, arcsine), (1.0, x), (2.0, x * x * (3.0 - 2.0 * x))] {
                let found = distribution(a, x);
                assert!((found - known).abs() < 1e-6, "{a}, {x}: {found} {known}");
            }
        }
    }

    #[test]
    fn mean_variance_and_distribution_are_those_of_the_beta_distribution() {
        let count = 20_000;
        for a in [0.1, 0.2, 0.4, 0.5, 0.8, 1.0, 1.5, 4.0, 30.0] {
            let mut numbers = draw(a, count);
            assert!(numbers.iter().all(|x| (0.0..=1.0).contains(x)));
            let n = count as f64;
            let mean = numbers.iter().sum::<f64>() / n;
            let variance = numbers.iter().map(|x| (x - 0.5).powi(2)).sum::<f64>() / n;
            let expected = 0.25 / (2.0 * a + 1.0);
            // Four standard errors; those of the variance are at most sqrt(2) of it.
            assert!((mean - 0.5).abs() < 4.0 * (expected / n).sqrt(), "{a}: mean {mean}");
            assert!((variance / expected - 1.0).abs() < 4.0 * (2.0 / n).sqrt(), "{a}: {variance} {expected}");
            // Kolmogorov and Smirnov, at every hundredth number; 1.95 / sqrt(n) is exceeded once in a thousand times.
            numbers.sort_unstable_by(f64::total_cmp);
            let distance = |a: f64| {
                let at = numbers.iter().enumerate().step_by(100);
                at.map(|(i, &x)| (distribution(a, x) - i as f64 / n).abs()).fold(0.0, f64::max)
            };
            let most = 1.95 / n.sqrt();
            assert!(distance(a) < most, "{a}: distance {}", distance(a));
            // The test of the test: another shape is noticed.
            assert!(distance(1.3 * a) > most, "{a}: distance {}", distance(1.3 * a));
        }
    }

    #[test]
    fn extreme_shapes_give_numbers() {
        assert!(draw(1e-300, 50).iter().all(|&x| x == 0.0 || x == 1.0));
        assert!(draw(1e-3, 50).iter().all(|x| (0.0..=1.0).contains(x)));
        assert!(draw(1e9, 50).iter().all(|x| (x - 0.5).abs() < 1e-3));
    }
}
