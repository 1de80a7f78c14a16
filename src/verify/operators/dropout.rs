//! Dropout.

use super::OperatorCheck;
use crate::ops::{Dropout, Hyper, Op};
use crate::random::philox;
use crate::verify::cases::{Case, default_hyper};
use crate::verify::error_scale::absolute;

pub fn dropout(d: &Dropout) -> OperatorCheck<'_> {
    OperatorCheck::new(None, |hyper, inputs, outputs| dropout_reference(d, hyper, inputs, outputs), absolute)
}

fn dropout_reference(d: &Dropout, hyper: &Hyper, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
    for (i, y) in outputs[0].iter_mut().enumerate() {
        let words = philox([(i / 4) as u32, hyper.draw, d.layer, 0], [hyper.seed_lo, hyper.seed_hi]);
        let kept = words[i % 4] >= d.threshold();
        *y = if kept { inputs[0][i] / (1.0 - f64::from(d.p)) } else { 0.0 };
    }
}

pub fn cases() -> Vec<Case> {
    let sizes = [
        (1, 0.5, 0, 0),
        (3, 0.5, 1, 1),
        (64, 0.0, 0, 7),
        (257, 0.1, 2, 1_000_000),
        (1027, 0.5, 0, 12),
        (4099, 0.9, 3, u32::MAX),
        (9216, 0.25, 7, 4_000_000_000),
    ];
    let mut cases = Vec::new();
    for (len, p, layer, draw) in sizes {
        let hyper = Hyper { draw, ..default_hyper() };
        let what = format!("{len}_p{p}_draw_{draw}");
        cases.push(Case::new(Op::Dropout(Dropout { len, p, layer }), &what, 1).with_hyper(hyper));
    }
    cases
}

/// More elements than 65,535 workgroups of 256 threads.
pub fn large_cases() -> Vec<Case> {
    vec![Case::new(Op::Dropout(Dropout { len: 16_777_259, p: 0.5, layer: 1 }), "large", 1)]
}
