//! Operators that treat every element by itself.

use super::OperatorCheck;
use crate::ops::{Op, Pointwise};
use crate::verify::cases::{Case, Data};
use crate::verify::error_scale::{Run, absolute, exact, root_of_squares};

pub fn relu_forward<'a>() -> OperatorCheck<'a> {
    OperatorCheck::new(None, |_, inputs, outputs| map(inputs, outputs, relu), exact)
}

pub fn relu_backward<'a>() -> OperatorCheck<'a> {
    let derivative = |y, dy| if y > 0.0 { dy } else { 0.0 };
    OperatorCheck::new(None, move |_, inputs, outputs| zip(inputs, outputs, derivative), exact)
        .prepared(|_, operands| operands[0].iter_mut().for_each(|y| *y = y.max(0.0)))
}

pub fn sigmoid_forward<'a>() -> OperatorCheck<'a> {
    OperatorCheck::new(
        None,
        |_, inputs, outputs| map(inputs, outputs, |x| 1.0 / (1.0 + (-x).exp())),
        saturating,
    )
}

pub fn sigmoid_backward<'a>() -> OperatorCheck<'a> {
    OperatorCheck::new(None, |_, inputs, outputs| zip(inputs, outputs, |y, dy| dy * y * (1.0 - y)), absolute)
        .prepared(|_, operands| operands[0].iter_mut().for_each(|y| *y = 1.0 / (1.0 + (-*y).exp())))
}

pub fn tanh_forward<'a>() -> OperatorCheck<'a> {
    OperatorCheck::new(None, |_, inputs, outputs| map(inputs, outputs, f64::tanh), saturating)
}

pub fn tanh_backward<'a>() -> OperatorCheck<'a> {
    // 1 - y^2 cancels near y = 1, so the scale is that of dy.
    let scale = |run: &Run<'_>| vec![run.before[1].iter().map(|dy| dy.abs()).collect()];
    OperatorCheck::new(None, |_, inputs, outputs| zip(inputs, outputs, |y, dy| dy * (1.0 - y * y)), scale)
        .prepared(|_, operands| operands[0].iter_mut().for_each(|y| *y = y.tanh()))
}

pub fn add<'a>() -> OperatorCheck<'a> {
    OperatorCheck::new(None, |_, inputs, outputs| zip(inputs, outputs, |a, b| a + b), root_of_squares)
}

/// Sigmoid and tanh saturate at 1 and are computed from exponentials, so their error is absolute.
fn saturating(run: &Run<'_>) -> Vec<Vec<f64>> {
    vec![vec![1.0; run.outputs[0].len()]]
}

/// max(0, x); a NaN stays a NaN, as in PyTorch.
pub fn relu(x: f64) -> f64 {
    if x < 0.0 { 0.0 } else { x }
}

/// out[i] = f(a[i]).
pub fn map(inputs: &[Vec<f64>], outputs: &mut [Vec<f64>], f: impl Fn(f64) -> f64) {
    for (out, &a) in outputs[0].iter_mut().zip(&inputs[0]) {
        *out = f(a);
    }
}

/// out[i] = f(a[i], b[i]).
pub fn zip(inputs: &[Vec<f64>], outputs: &mut [Vec<f64>], f: impl Fn(f64, f64) -> f64) {
    for (i, out) in outputs[0].iter_mut().enumerate() {
        *out = f(inputs[0][i], inputs[1][i]);
    }
}

/// An operator from its geometry.
type Make = fn(Pointwise) -> Op;

pub fn cases() -> Vec<Case> {
    let kinds: [(Make, usize); 7] = [
        (Op::ReluForward, 1),
        (Op::ReluBackward, 1),
        (Op::SigmoidForward, 2),
        (Op::SigmoidBackward, 2),
        (Op::TanhForward, 2),
        (Op::TanhBackward, 2),
        (Op::Add, 1),
    ];
    let mut cases = Vec::new();
    for (op, length) in kinds {
        for len in [1, 63, 64, 65, 255, 257, 4099] {
            cases.push(Case::new(op(Pointwise { len }), &format!("{len}"), length));
        }
    }
    let long = Pointwise { len: 4_200_007 };
    cases.push(Case::new(Op::Add(long), "folded_grid", 1));
    for op in [Op::ReluForward, Op::SigmoidForward, Op::TanhForward, Op::Add] {
        cases.push(Case::new(op(Pointwise { len: 131 }), "nan", 2).with_data(Data::Nan));
    }
    for op in [Op::SigmoidForward, Op::TanhForward] {
        cases.push(Case::new(op(Pointwise { len: 131 }), "saturated", 2).with_data(Data::Huge));
    }
    cases
}

/// More elements than 65,535 workgroups of 256 threads.
pub fn large_cases() -> Vec<Case> {
    vec![Case::new(Op::ReluForward(Pointwise { len: 16_777_259 }), "large", 1)]
}
