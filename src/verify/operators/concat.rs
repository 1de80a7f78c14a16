//! Concatenation along channels.

use super::OperatorCheck;
use crate::ops::{ChannelSlice, Op};
use crate::verify::cases::Case;
use crate::verify::error_scale::exact;

pub fn forward(d: &ChannelSlice) -> OperatorCheck<'_> {
    let reference = |_: &_, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]| {
        pairs(d, |part, whole| outputs[0][whole] = inputs[0][part]);
    };
    OperatorCheck::new(None, reference, exact)
}

pub fn backward(d: &ChannelSlice) -> OperatorCheck<'_> {
    let reference = |_: &_, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]| {
        pairs(d, |part, whole| outputs[0][part] = inputs[0][whole]);
    };
    OperatorCheck::new(None, reference, exact)
}

/// Calls `pair(i, j)` for every element i of the part and its place j in the whole.
fn pairs(d: &ChannelSlice, mut pair: impl FnMut(usize, usize)) {
    for n in 0..d.batch {
        for c in 0..d.channels {
            for i in 0..d.inner {
                pair((n * d.channels + c) * d.inner + i, (n * d.total + d.offset + c) * d.inner + i);
            }
        }
    }
}

pub fn cases() -> Vec<Case> {
    let parts = [
        (1, 1, 1, 0, 1),
        (3, 5, 7, 0, 12),
        (3, 5, 7, 4, 12),
        (3, 5, 7, 7, 12),
        (1, 64, 33, 64, 128),
        (2, 17, 169, 3, 31),
    ];
    let mut cases = Vec::new();
    for (batch, channels, inner, offset, total) in parts {
        let d = ChannelSlice { batch, channels, inner, offset, total };
        let what = format!("{batch}x{channels}x{inner}_at_{offset}_of_{total}");
        cases.push(Case::new(Op::ConcatForward(d), &what, 1));
        cases.push(Case::new(Op::ConcatBackward(d), &what, 1));
    }
    cases
}
