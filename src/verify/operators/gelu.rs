//! The Gaussian error linear unit.

use super::OperatorCheck;
use super::activation::{both, sigmoid, with_inputs};
use super::pointwise::{map, zip};
use crate::ops::{Gelu, Op};
use crate::verify::cases::{Case, Data};
use crate::verify::error_scale::Run;
use std::f64::consts::{FRAC_2_PI, TAU};

pub fn forward(d: &Gelu) -> OperatorCheck<'_> {
    let tanh = d.tanh;
    let reference = move |x| x * distribution(tanh, x);
    // Below 0 the result is an exponential, whose error is relative to its argument.
    let scale = move |run: &Run<'_>| {
        vec![
            run.before[0]
                .iter()
                .map(|&x| (x * distribution(tanh, x)).abs() * (1.0 + exponent(tanh, x)))
                .collect(),
        ]
    };
    OperatorCheck::new(None, move |_, inputs, outputs| map(inputs, outputs, reference), scale)
}

pub fn backward(d: &Gelu) -> OperatorCheck<'_> {
    let tanh = d.tanh;
    let reference = move |x, dy| dy * (distribution(tanh, x) + x * density(tanh, x));
    // The two terms cancel where the derivative is 0, near x = -0.75.
    let scale = move |x: f64, dy: f64| {
        let terms = distribution(tanh, x) * (1.0 + exponent(tanh, x.min(0.0)))
            + (x * density(tanh, x)).abs() * (1.0 + exponent(tanh, -x.abs()));
        dy.abs() * terms
    };
    OperatorCheck::new(
        None,
        move |_, inputs, outputs| zip(inputs, outputs, reference),
        move |run: &Run<'_>| with_inputs(run, scale),
    )
}

/// sqrt(2 / pi) (x + 0.044715 x^3).
fn argument(x: f64) -> f64 {
    FRAC_2_PI.sqrt() * (x + 0.044715 * x * x * x)
}

/// The size of the argument of the exponential that is computed for a negative x; 0 for others.
fn exponent(tanh: bool, x: f64) -> f64 {
    if x >= 0.0 {
        0.0
    } else if tanh {
        2.0 * argument(x).abs()
    } else {
        x * x / 2.0
    }
}

/// The distribution function of the standard normal distribution, or its approximation.
fn distribution(tanh: bool, x: f64) -> f64 {
    if tanh {
        sigmoid(2.0 * argument(x))
    } else if x > 0.0 {
        1.0 - tail(x)
    } else {
        tail(-x)
    }
}

/// The derivative of [`distribution`].
fn density(tanh: bool, x: f64) -> f64 {
    if !tanh {
        return (-x * x / 2.0).exp() / TAU.sqrt();
    }
    let slope = FRAC_2_PI.sqrt() * (1.0 + 3.0 * 0.044715 * x * x);
    2.0 * slope * sigmoid(2.0 * argument(x)) * sigmoid(-2.0 * argument(x))
}

/// The standard normal distribution above a, which is not negative: by its power series, and far out by its continued fraction
/// (Abramowitz & Stegun 26.2.11 and 26.2.14).
fn tail(a: f64) -> f64 {
    if a < 3.0 {
        let (mut term, mut sum) = (a, a);
        for k in 1..100 {
            term *= a * a / f64::from(2 * k + 1);
            sum += term;
        }
        0.5 - density(false, a) * sum
    } else {
        let mut fraction = a;
        for k in (1..200).rev() {
            fraction = a + f64::from(k) / fraction;
        }
        density(false, a) / fraction
    }
}

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (tanh, what) in [(false, "_none"), (true, "_tanh")] {
        let passes: [&dyn Fn(usize) -> Op; 2] =
            [&|len| Op::GeluForward(Gelu { len, tanh }), &|len| Op::GeluBackward(Gelu { len, tanh })];
        cases.extend(both(passes, what, &[Data::Nan, Data::Huge, Data::Ties]));
    }
    cases
}

#[cfg(test)]
mod tests {
    use super::tail;

    #[test]
    fn the_tail_is_that_of_the_normal_distribution() {
        // erfc(a / sqrt 2) / 2 by mpmath 1.3 with 40 digits.
        let values = [
            (0.0, 0.5),
            (0.5, 0.3085375387259869),
            (1.0, 0.15865525393145705),
            (2.0, 0.02275013194817921),
            (2.75, 0.002979763235054557),
            (3.0, 0.0013498980316300946),
            (3.25, 0.000577025042390767),
            (5.0, 2.866515718791939e-7),
            (10.0, 7.619853024160525e-24),
        ];
        for (a, expected) in values {
            assert!((tail(a) / expected - 1.0).abs() < 1e-12, "{a}: {} and {expected}", tail(a));
        }
    }
}
