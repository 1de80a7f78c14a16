//! A factor for each channel.

use super::OperatorCheck;
use crate::ops::{Op, Scale};
use crate::verify::cases::{Case, Data, LENGTHS};
use crate::verify::error_scale::{absolute, root_of_squares};

pub fn scale(d: &Scale) -> OperatorCheck<'_> {
    let reference = |_: &_, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]| {
        for i in 0..inputs[0].len() {
            outputs[0][i] = inputs[0][i] * inputs[1][i / d.inner % d.channels];
        }
    };
    OperatorCheck::new(None, reference, absolute)
}

pub fn grad_weight(d: &Scale) -> OperatorCheck<'_> {
    let reference = |_: &_, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]| {
        outputs[0].fill(0.0);
        for i in 0..inputs[0].len() {
            outputs[0][i / d.inner % d.channels] += inputs[0][i] * inputs[1][i];
        }
    };
    OperatorCheck::new(Some(d.batch * d.inner), reference, root_of_squares)
}

pub fn cases() -> Vec<Case> {
    // The last ones have whole blocks of channels.
    let sizes = [
        (1, 1, 1),
        (3, 7, 1),
        (2, 5, 35),
        (300, 65, 1),
        (4, 3, 257),
        (3, 2, 3361),
        (70, 3, 20),
        (3, 48, 35),
        (2, 64, 300),
        (5, 16, 2),
    ];
    let mut cases = Vec::new();
    for (batch, channels, inner) in sizes {
        let (d, what) = (Scale { batch, channels, inner }, format!("{batch}x{channels}x{inner}"));
        cases.push(Case::new(Op::Scale(d), &what, 1));
        cases.push(Case::new(Op::ScaleGradWeight(d), &what, batch * inner));
    }
    let d = Scale { batch: 3, channels: 4, inner: 6 };
    cases.push(Case::new(Op::Scale(d), "nan_row", 1).with_data(Data::Nan));
    // Reductions over more than 65,536 elements.
    for len in LENGTHS {
        for (batch, channels, inner) in [(len, 3, 1), (1, 2, len), (len / 7 + 1, 16, 7)] {
            let (d, what) = (Scale { batch, channels, inner }, format!("{batch}x{channels}x{inner}"));
            cases.push(Case::new(Op::ScaleGradWeight(d), &what, batch * inner));
        }
    }
    cases
}
