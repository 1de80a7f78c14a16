//! Concatenation along channels, and slices.

use super::OperatorCheck;
use crate::ops::{ChannelSlice, Op};
use crate::verify::cases::{Case, Data};
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

pub fn slice_forward(d: &ChannelSlice) -> OperatorCheck<'_> {
    backward(d)
}

pub fn slice_backward(d: &ChannelSlice) -> OperatorCheck<'_> {
    let reference = |_: &_, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]| {
        outputs[0].fill(0.0);
        pairs(d, |part, whole| outputs[0][whole] = inputs[0][part]);
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
        cases.push(Case::new(Op::SliceForward(d), &what, 1));
        cases.push(Case::new(Op::SliceBackward(d), &what, 1));
    }
    // Whole blocks of channels, which the CPU copies as they lie, and blocks whose neighbours are cut.
    for (channels, offset, total) in [(32, 16, 64), (16, 0, 48), (16, 32, 48), (16, 8, 32)] {
        let d = ChannelSlice { batch: 3, channels, inner: 35, offset, total };
        let what = format!("3x{channels}x35_at_{offset}_of_{total}");
        cases.push(Case::new(Op::SliceForward(d), &what, 1));
        cases.push(Case::new(Op::SliceBackward(d), &what, 1));
    }
    let d = ChannelSlice { batch: 3, channels: 5, inner: 7, offset: 4, total: 12 };
    cases.push(Case::new(Op::SliceForward(d), "nan_row", 1).with_data(Data::Nan));
    cases
}
