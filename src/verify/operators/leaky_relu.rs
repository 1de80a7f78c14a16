//! The leaky rectifier.

use super::OperatorCheck;
use super::pointwise::{map, zip};
use crate::ops::{LeakyRelu, Op};
use crate::verify::cases::{Case, Data};
use crate::verify::error_scale::Run;

/// 1 where x > 0, else the slope.
fn derivative(d: &LeakyRelu, x: f64) -> f64 {
    if x > 0.0 { 1.0 } else { f64::from(d.negative_slope) }
}

pub fn forward(d: &LeakyRelu) -> OperatorCheck<'_> {
    OperatorCheck::new(None, |_, inputs, outputs| map(inputs, outputs, |x| derivative(d, x) * x), scaled)
}

pub fn backward(d: &LeakyRelu) -> OperatorCheck<'_> {
    let reference = |x, dy| derivative(d, x) * dy;
    OperatorCheck::new(None, move |_, inputs, outputs| zip(inputs, outputs, reference), scaled)
}

/// The size of the result where it is a product with the slope; where x > 0 it is a copy, which has to be exact.
fn scaled(run: &Run<'_>) -> Vec<Vec<f64>> {
    let scale = |(x, y): (&f64, &f64)| if *x > 0.0 { 0.0 } else { y.abs() };
    vec![run.before[0].iter().zip(&run.outputs[0]).map(scale).collect()]
}

pub fn cases() -> Vec<Case> {
    // PyTorch's default, no slope (a ReLU), steeper than 1, and one for which y does not tell the sign of x.
    let slopes = [0.01, 0.0, 1.75, -0.5];
    let mut cases = Vec::new();
    for negative_slope in slopes {
        for len in [1, 63, 65, 257, 4099] {
            let (d, what) = (LeakyRelu { len, negative_slope }, format!("{len}_slope_{negative_slope}"));
            cases.push(Case::new(Op::LeakyReluForward(d), &what, 1));
            cases.push(Case::new(Op::LeakyReluBackward(d), &what, 1));
        }
        let d = LeakyRelu { len: 131, negative_slope };
        // Multiples of one half, zeros of either sign among them.
        let what = format!("zeros_slope_{negative_slope}");
        cases.push(Case::new(Op::LeakyReluForward(d), &what, 1).with_data(Data::Ties));
        cases.push(Case::new(Op::LeakyReluBackward(d), &what, 1).with_data(Data::Ties));
        let what = format!("nan_slope_{negative_slope}");
        cases.push(Case::new(Op::LeakyReluForward(d), &what, 1).with_data(Data::Nan));
        cases.push(Case::new(Op::LeakyReluBackward(d), &what, 1).with_data(Data::Nan));
    }
    cases
}
