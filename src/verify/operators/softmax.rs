//! Softmax over channels.

use super::OperatorCheck;
use crate::ops::{Op, Softmax};
use crate::verify::cases::{Case, Data, LENGTHS, outputs};
use crate::verify::error_scale::{Run, exponential};

pub fn forward(d: &Softmax) -> OperatorCheck<'_> {
    let scale = |run: &Run<'_>| vec![run.outputs[0].iter().map(|&p| exponential(p)).collect()];
    OperatorCheck::new(Some(d.channels), |_, inputs, outputs| forward_reference(d, inputs, outputs), scale)
}

pub fn backward(d: &Softmax) -> OperatorCheck<'_> {
    let scale = |run: &Run<'_>| vec![backward_scale(d, run.before)];
    OperatorCheck::new(Some(d.channels), |_, inputs, outputs| backward_reference(d, inputs, outputs), scale)
        .prepared(|case, operands| {
            operands[0] = outputs(case, Op::SoftmaxForward(*d), &[&operands[0]]).swap_remove(0);
        })
}

/// log(p) for p = softmax(x): x - max - log(sum of exp(x - max)). NaN everywhere if x holds a NaN.
pub fn log_softmax(x: &[f64]) -> Vec<f64> {
    let max = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = x.iter().map(|v| (v - max).exp()).sum();
    x.iter().map(|v| v - max - sum.ln()).collect()
}

fn forward_reference(d: &Softmax, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
    for n in 0..d.batch {
        for i in 0..d.inner {
            let at = |c: usize| (n * d.channels + c) * d.inner + i;
            let x: Vec<f64> = (0..d.channels).map(|c| inputs[0][at(c)]).collect();
            for (c, log) in log_softmax(&x).into_iter().enumerate() {
                outputs[0][at(c)] = log.exp();
            }
        }
    }
}

fn backward_reference(d: &Softmax, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
    let (y, dy) = (&inputs[0], &inputs[1]);
    for n in 0..d.batch {
        for i in 0..d.inner {
            let at = |c: usize| (n * d.channels + c) * d.inner + i;
            let dot: f64 = (0..d.channels).map(|c| dy[at(c)] * y[at(c)]).sum();
            for c in 0..d.channels {
                outputs[0][at(c)] = y[at(c)] * (dy[at(c)] - dot);
            }
        }
    }
}

fn backward_scale(d: &Softmax, before: &[Vec<f64>]) -> Vec<f64> {
    let (y, dy) = (&before[0], &before[1]);
    let mut scale = vec![0.0; y.len()];
    for n in 0..d.batch {
        for i in 0..d.inner {
            let at = |c: usize| (n * d.channels + c) * d.inner + i;
            let dot: f64 = (0..d.channels).map(|c| (dy[at(c)] * y[at(c)]).abs()).sum();
            for c in 0..d.channels {
                scale[at(c)] = y[at(c)].abs() * (dy[at(c)].abs() + dot);
            }
        }
    }
    scale
}

pub fn cases() -> Vec<Case> {
    let sizes = [(1, 1, 1), (3, 10, 1), (2, 7, 35), (1, 1000, 1), (5, 65, 3), (130, 2, 1), (1, 257, 64)];
    let mut cases = Vec::new();
    for (batch, channels, inner) in sizes {
        let d = Softmax { batch, channels, inner };
        let what = format!("{batch}x{channels}x{inner}");
        cases.push(Case::new(Op::SoftmaxForward(d), &what, channels));
        cases.push(Case::new(Op::SoftmaxBackward(d), &what, channels));
    }
    let d = Softmax { batch: 3, channels: 11, inner: 2 };
    cases.push(Case::new(Op::SoftmaxForward(d), "huge", 11).with_data(Data::Huge));
    cases.push(Case::new(Op::SoftmaxForward(d), "nan_row", 11).with_data(Data::Nan));
    cases.extend(long_cases());
    cases
}

/// Reductions over more than 65,536 elements.
fn long_cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for len in LENGTHS {
        for (batch, inner) in [(2, 1), (1, 3)] {
            let d = Softmax { batch, channels: len, inner };
            let what = format!("{batch}x{len}x{inner}");
            cases.push(Case::new(Op::SoftmaxForward(d), &what, len));
            cases.push(Case::new(Op::SoftmaxBackward(d), &what, len));
        }
    }
    cases
}
