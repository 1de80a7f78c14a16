//! Activations beyond relu, sigmoid and tanh.

use super::OperatorCheck;
use super::pointwise::{map, zip};
use crate::ops::{Clip, HardSigmoid, Op, Pointwise};
use crate::verify::cases::{Case, Data};
use crate::verify::error_scale::{Run, absolute, exact};

pub fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

pub fn silu_forward<'a>() -> OperatorCheck<'a> {
    OperatorCheck::new(None, |_, inputs, outputs| map(inputs, outputs, |x| x * sigmoid(x)), absolute)
}

pub fn silu_backward<'a>() -> OperatorCheck<'a> {
    let reference = |x, dy| dy * sigmoid(x) * (1.0 + x * (1.0 - sigmoid(x)));
    // The two terms in brackets cancel where the derivative is 0, near x = -1.28.
    let scale = |x: f64, dy: f64| (dy * sigmoid(x)).abs() * (1.0 + (x * sigmoid(-x)).abs());
    OperatorCheck::new(
        None,
        move |_, inputs, outputs| zip(inputs, outputs, reference),
        move |run: &Run<'_>| with_inputs(run, scale),
    )
}

pub fn hard_swish_forward<'a>() -> OperatorCheck<'a> {
    let reference = |x: f64| if x.is_nan() { x } else { x * (x + 3.0).clamp(0.0, 6.0) / 6.0 };
    OperatorCheck::new(None, move |_, inputs, outputs| map(inputs, outputs, reference), absolute)
        .prepared(at_kinks)
}

pub fn hard_swish_backward<'a>() -> OperatorCheck<'a> {
    let reference = |x, dy| {
        if x <= -3.0 {
            0.0
        } else if x < 3.0 {
            dy * (x / 3.0 + 0.5)
        } else {
            dy
        }
    };
    let scale = |x: f64, dy: f64| if x.abs() < 3.0 { dy.abs() * (x.abs() / 3.0 + 0.5) } else { 0.0 };
    OperatorCheck::new(
        None,
        move |_, inputs, outputs| zip(inputs, outputs, reference),
        move |run: &Run<'_>| with_inputs(run, scale),
    )
    .prepared(at_kinks)
}

/// Multiples of one and a half instead of one half: -3 and 3 are among them.
fn at_kinks(case: &Case, operands: &mut [Vec<f32>]) {
    if case.data == Data::Ties {
        operands[0].iter_mut().for_each(|x| *x *= 3.0);
    }
}

/// alpha x + beta.
fn line(d: &HardSigmoid, x: f64) -> f64 {
    f64::from(d.alpha) * x + f64::from(d.beta)
}

pub fn hard_sigmoid_forward(d: &HardSigmoid) -> OperatorCheck<'_> {
    let scale = |x: f64| {
        let size = (f64::from(d.alpha) * x).abs() + f64::from(d.beta).abs();
        // 0 and 1 are exact but for rounding just before the limit.
        if (line(d, x) - 0.5).abs() > 0.5 + 1e-6 * size { 0.0 } else { size }
    };
    OperatorCheck::new(
        None,
        |_, inputs, outputs| map(inputs, outputs, |x| limited(line(d, x), 0.0, 1.0)),
        move |run: &Run<'_>| vec![run.before[0].iter().map(|&x| scale(x)).collect()],
    )
    .prepared(at_kinks)
}

pub fn hard_sigmoid_backward(d: &HardSigmoid) -> OperatorCheck<'_> {
    let reference = |y, dy| if y > 0.0 && y < 1.0 { f64::from(d.alpha) * dy } else { 0.0 };
    OperatorCheck::new(None, move |_, inputs, outputs| zip(inputs, outputs, reference), absolute).prepared(
        |case, operands| {
            at_kinks(case, operands);
            operands[0].iter_mut().for_each(|y| *y = limited(line(d, f64::from(*y)), 0.0, 1.0) as f32);
        },
    )
}

pub fn clip_forward(d: &Clip) -> OperatorCheck<'_> {
    OperatorCheck::new(None, |_, inputs, outputs| map(inputs, outputs, |x| clip(d, x)), exact)
}

pub fn clip_backward(d: &Clip) -> OperatorCheck<'_> {
    let reference = |y, dy| if y <= f64::from(d.min) || y >= f64::from(d.max) { 0.0 } else { dy };
    OperatorCheck::new(None, move |_, inputs, outputs| zip(inputs, outputs, reference), exact)
        .prepared(|_, operands| operands[0].iter_mut().for_each(|y| *y = clip(d, f64::from(*y)) as f32))
}

fn clip(d: &Clip, x: f64) -> f64 {
    limited(x, f64::from(d.min), f64::from(d.max))
}

/// x within limits; a NaN stays a NaN.
fn limited(x: f64, min: f64, max: f64) -> f64 {
    if x < min {
        min
    } else if x > max {
        max
    } else {
        x
    }
}

/// An error scale that is a function of the two inputs.
pub fn with_inputs(run: &Run<'_>, scale: impl Fn(f64, f64) -> f64) -> Vec<Vec<f64>> {
    vec![run.before[0].iter().zip(&run.before[1]).map(|(&a, &b)| scale(a, b)).collect()]
}

/// Both passes at several lengths, and with each of `data`.
pub fn both(passes: [&dyn Fn(usize) -> Op; 2], attributes: &str, data: &[Data]) -> Vec<Case> {
    let mut cases = Vec::new();
    for pass in passes {
        for len in [1, 63, 65, 257, 4099] {
            cases.push(Case::new(pass(len), &format!("{len}{attributes}"), 2));
        }
        for &data in data {
            let what = format!("{data:?}{attributes}").to_lowercase();
            cases.push(Case::new(pass(131), &what, 2).with_data(data));
        }
    }
    cases
}

pub fn cases() -> Vec<Case> {
    let smooth = [Data::Nan, Data::Huge];
    let kinked = [Data::Nan, Data::Huge, Data::Ties];
    let silu: [&dyn Fn(usize) -> Op; 2] =
        [&|len| Op::SiluForward(Pointwise { len }), &|len| Op::SiluBackward(Pointwise { len })];
    let swish: [&dyn Fn(usize) -> Op; 2] =
        [&|len| Op::HardSwishForward(Pointwise { len }), &|len| Op::HardSwishBackward(Pointwise { len })];
    let mut cases = [both(silu, "", &smooth), both(swish, "", &kinked)].concat();
    // PyTorch's, that of Keras 2, a falling one, and a step.
    for (alpha, beta) in [(1.0 / 6.0, 0.5), (0.2, 0.5), (-0.5, 0.25), (0.0, 0.75)] {
        let d = move |len| HardSigmoid { len, alpha, beta };
        let passes: [&dyn Fn(usize) -> Op; 2] =
            [&|len| Op::HardSigmoidForward(d(len)), &|len| Op::HardSigmoidBackward(d(len))];
        cases.extend(both(passes, &format!("_alpha_{alpha:.2}_beta_{beta}"), &kinked));
    }
    // Of ReLU6, of hardtanh, with limits that some inputs meet exactly, and with one limit alone.
    let limits = [(0.0, 6.0), (-1.0, 1.0), (-0.5, 1.5), (0.25, f32::INFINITY), (f32::NEG_INFINITY, -0.5)];
    for (min, max) in limits {
        let d = move |len| Clip { len, min, max };
        let passes: [&dyn Fn(usize) -> Op; 2] =
            [&|len| Op::ClipForward(d(len)), &|len| Op::ClipBackward(d(len))];
        cases.extend(both(passes, &format!("_from_{min}_to_{max}"), &kinked));
    }
    cases
}
