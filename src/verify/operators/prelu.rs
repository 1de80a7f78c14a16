//! The rectifier with a trained slope.

use super::OperatorCheck;
use crate::ops::{Op, Prelu};
use crate::verify::cases::{Case, Data, LENGTHS};
use crate::verify::error_scale::Run;

pub fn forward(d: &Prelu) -> OperatorCheck<'_> {
    let reference = |_: &_, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]| {
        for i in 0..d.len() {
            let x = inputs[0][i];
            outputs[0][i] = if x > 0.0 { x } else { inputs[1][weight(d, i)] * x };
        }
    };
    OperatorCheck::new(None, reference, scaled)
}

pub fn grad_input(d: &Prelu) -> OperatorCheck<'_> {
    let reference = |_: &_, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]| {
        for i in 0..d.len() {
            let dy = inputs[2][i];
            outputs[0][i] = if inputs[0][i] > 0.0 { dy } else { inputs[1][weight(d, i)] * dy };
        }
    };
    OperatorCheck::new(None, reference, scaled)
}

pub fn grad_weight(d: &Prelu) -> OperatorCheck<'_> {
    let reference = |_: &_, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]| {
        outputs[0].fill(0.0);
        for i in 0..d.len() {
            let x = inputs[0][i];
            outputs[0][weight(d, i)] += if x > 0.0 { 0.0 } else { x * inputs[1][i] };
        }
    };
    // The root of the sum of squared terms, see `root_of_squares`.
    OperatorCheck::new(Some(terms(d)), reference, |run: &Run<'_>| {
        let mut squares = vec![0.0; d.weights()];
        for (i, (x, dy)) in run.before[0].iter().zip(&run.before[1]).enumerate() {
            squares[weight(d, i)] += (x.min(0.0) * dy).powi(2);
        }
        vec![squares.iter().zip(&run.outputs[0]).map(|(s, dw)| s.sqrt().max(dw.abs())).collect()]
    })
}

/// The weight of element `i`.
fn weight(d: &Prelu, i: usize) -> usize {
    if d.shared { 0 } else { i / d.inner % d.channels }
}

/// Terms in the gradient of a weight.
fn terms(d: &Prelu) -> usize {
    if d.shared { d.len() } else { d.batch * d.inner }
}

/// The size of the result where it is a product; where x > 0 it is a copy, which has to be exact.
fn scaled(run: &Run<'_>) -> Vec<Vec<f64>> {
    let scale = |(x, y): (&f64, &f64)| if *x > 0.0 { 0.0 } else { y.abs() };
    vec![run.before[0].iter().zip(&run.outputs[0]).map(scale).collect()]
}

fn triple(d: Prelu) -> [Case; 3] {
    let Prelu { batch, channels, inner, shared } = d;
    let what = format!("{batch}x{channels}x{inner}{}", if shared { "_shared" } else { "" });
    [
        Case::new(Op::PreluForward(d), &what, 1),
        Case::new(Op::PreluGradInput(d), &what, 1),
        Case::new(Op::PreluGradWeight(d), &what, terms(&d)),
    ]
}

pub fn cases() -> Vec<Case> {
    let sizes = [
        (1, 1, 1),
        (3, 5, 7),
        (2, 7, 65),
        (17, 33, 1),
        (3, 130, 1),
        (129, 3, 5),
        // Whole blocks of 16 channels, which the CPU path computes on vectors of channels.
        (2, 32, 35),
        (5, 16, 257),
    ];
    let mut cases = Vec::new();
    for (batch, channels, inner) in sizes {
        for shared in [false, true] {
            cases.extend(triple(Prelu { batch, channels, inner, shared }));
        }
    }
    let d = Prelu { batch: 3, channels: 16, inner: 9, shared: false };
    for data in [Data::Nan, Data::Ties] {
        let cases_of_data = triple(d).map(|case| Case {
            name: format!("{}/{data:?}", case.op.name()).to_lowercase(),
            ..case.with_data(data)
        });
        cases.extend(cases_of_data);
    }
    // Sums over more than 65,536 elements: in one image, in many, and in all channels together.
    for length in LENGTHS {
        let sizes = [(1, 2, length, false), (length, 2, 1, false), (2, 3, length / 4, true)];
        for (batch, channels, inner, shared) in sizes {
            let [_, _, grad_weight] = triple(Prelu { batch, channels, inner, shared });
            cases.push(grad_weight);
        }
    }
    cases
}
