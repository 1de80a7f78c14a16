//! The exponential linear unit.

use super::OperatorCheck;
use super::activation::both;
use super::pointwise::{map, zip};
use crate::ops::{Elu, Op};
use crate::verify::cases::{Case, Data};
use crate::verify::error_scale::Run;

pub fn forward(d: &Elu) -> OperatorCheck<'_> {
    let reference = |x: f64| if x > 0.0 { x } else { f64::from(d.alpha) * x.exp_m1() };
    OperatorCheck::new(None, move |_, inputs, outputs| map(inputs, outputs, reference), scaled)
}

pub fn backward(d: &Elu) -> OperatorCheck<'_> {
    let reference = |x: f64, dy| if x <= 0.0 { f64::from(d.alpha) * x.exp() * dy } else { dy };
    OperatorCheck::new(None, move |_, inputs, outputs| zip(inputs, outputs, reference), scaled)
}

/// The size of the result where it is computed; where x > 0 it is a copy, which has to be exact.
fn scaled(run: &Run<'_>) -> Vec<Vec<f64>> {
    let scale = |(x, y): (&f64, &f64)| if *x > 0.0 { 0.0 } else { y.abs() };
    vec![run.before[0].iter().zip(&run.outputs[0]).map(scale).collect()]
}

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    // PyTorch's default, a ReLU, and one that falls where x is negative.
    for alpha in [1.0, 0.0, 0.3, -0.75] {
        let passes: [&dyn Fn(usize) -> Op; 2] =
            [&|len| Op::EluForward(Elu { len, alpha }), &|len| Op::EluBackward(Elu { len, alpha })];
        cases.extend(both(passes, &format!("_alpha_{alpha}"), &[Data::Nan, Data::Huge, Data::Ties]));
    }
    cases
}
