//! Products of features: element by element, and with one factor for each image and channel.

use super::OperatorCheck;
use super::pointwise::zip;
use crate::ops::{Gate, Op, Pointwise};
use crate::verify::cases::{Case, Data, LENGTHS};
use crate::verify::error_scale::{absolute, root_of_squares};

pub fn mul<'a>() -> OperatorCheck<'a> {
    OperatorCheck::new(None, |_, inputs, outputs| zip(inputs, outputs, |a, b| a * b), absolute)
}

pub fn mul_gate(d: &Gate) -> OperatorCheck<'_> {
    let reference = |_: &_, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]| {
        for plane in 0..d.batch * d.channels {
            for i in 0..d.inner {
                outputs[0][plane * d.inner + i] = inputs[0][plane * d.inner + i] * inputs[1][plane];
            }
        }
    };
    OperatorCheck::new(None, reference, absolute)
}

pub fn mul_grad_gate(d: &Gate) -> OperatorCheck<'_> {
    let reference = |_: &_, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]| {
        for plane in 0..d.batch * d.channels {
            let mut sum = 0.0;
            for i in 0..d.inner {
                sum += inputs[0][plane * d.inner + i] * inputs[1][plane * d.inner + i];
            }
            outputs[0][plane] = sum;
        }
    };
    OperatorCheck::new(Some(d.inner), reference, root_of_squares)
}

/// Both operators with a gate.
fn pair(batch: usize, channels: usize, inner: usize) -> [Case; 2] {
    let d = Gate { batch, channels, inner };
    let what = format!("{batch}x{channels}x{inner}");
    [Case::new(Op::MulGate(d), &what, 1), Case::new(Op::MulGradGate(d), &what, inner)]
}

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for len in [1, 63, 65, 257, 4099] {
        cases.push(Case::new(Op::Mul(Pointwise { len }), &format!("{len}"), 1));
    }
    cases.push(Case::new(Op::Mul(Pointwise { len: 131 }), "nan", 1).with_data(Data::Nan));
    let sizes = [
        (1, 1, 1),
        (2, 3, 7),
        (5, 7, 255),
        (3, 11, 257),
        (257, 5, 2),
        // Whole blocks of 16 channels, which the CPU path computes on vectors of channels.
        (2, 32, 49),
        (3, 16, 35),
        (1, 48, 1025),
        (1, 2, 4099),
    ];
    for (batch, channels, inner) in sizes {
        cases.extend(pair(batch, channels, inner));
    }
    let d = Gate { batch: 3, channels: 16, inner: 5 };
    cases.push(Case::new(Op::MulGate(d), "nan", 1).with_data(Data::Nan));
    cases.push(Case::new(Op::MulGradGate(d), "nan", 5).with_data(Data::Nan));
    // Sums over more than 65,536 elements, and one over more than a GPU takes in one dispatch.
    for inner in LENGTHS {
        cases.extend(pair(1, 2, inner));
    }
    cases.push(pair(1, 3, 262_147)[1].clone());
    cases
}
