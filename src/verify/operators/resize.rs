//! Padding and upsampling.

use super::OperatorCheck;
use crate::ops::{Op, Pad2d, Upsample};
use crate::verify::cases::{Case, Data};
use crate::verify::error_scale::{exact, root_of_squares};

pub fn pad_forward(d: &Pad2d) -> OperatorCheck<'_> {
    let reference = |_: &_, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]| {
        outputs[0].fill(0.0);
        padded(d, |x, y| outputs[0][y] = inputs[0][x]);
    };
    OperatorCheck::new(None, reference, exact)
}

pub fn pad_backward(d: &Pad2d) -> OperatorCheck<'_> {
    let reference = |_: &_, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]| {
        padded(d, |x, y| outputs[0][x] = inputs[0][y]);
    };
    OperatorCheck::new(None, reference, exact)
}

pub fn upsample_forward(d: &Upsample) -> OperatorCheck<'_> {
    let reference = |_: &_, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]| {
        copies(d, |x, y| outputs[0][y] = inputs[0][x]);
    };
    OperatorCheck::new(None, reference, exact)
}

pub fn upsample_backward(d: &Upsample) -> OperatorCheck<'_> {
    let reference = |_: &_, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]| {
        outputs[0].fill(0.0);
        copies(d, |x, y| outputs[0][x] += inputs[0][y]);
    };
    OperatorCheck::new(None, reference, root_of_squares)
}

/// Calls `pair(i, j)` for every element i of x and its place j in y.
fn padded(d: &Pad2d, mut pair: impl FnMut(usize, usize)) {
    for plane in 0..d.batch * d.channels {
        for row in 0..d.h_in {
            for column in 0..d.w_in {
                let y = (plane * d.h_out() + row + d.pad[0]) * d.w_out() + column + d.pad[1];
                pair((plane * d.h_in + row) * d.w_in + column, y);
            }
        }
    }
}

/// Calls `pair(i, j)` for every element j of y and the element i of x that it is a copy of.
fn copies(d: &Upsample, mut pair: impl FnMut(usize, usize)) {
    for plane in 0..d.batch * d.channels {
        for row in 0..d.h_out() {
            for column in 0..d.w_out() {
                let x = (plane * d.h_in + row / d.scale[0]) * d.w_in + column / d.scale[1];
                pair(x, (plane * d.h_out() + row) * d.w_out() + column);
            }
        }
    }
}

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    // Batch, channels, height, width, padding; the last ones have whole blocks of channels.
    let pads = [
        (1, 1, 1, 1, [0, 0, 0, 1]),
        (2, 3, 5, 7, [1, 1, 1, 1]),
        (3, 5, 7, 4, [0, 2, 3, 1]),
        (2, 2, 9, 11, [4, 0, 0, 0]),
        (1, 7, 13, 17, [0, 0, 0, 0]),
        (2, 32, 7, 5, [1, 2, 0, 3]),
        (3, 16, 1, 9, [20, 1, 1, 20]),
    ];
    for (batch, channels, h_in, w_in, pad) in pads {
        let d = Pad2d { batch, channels, h_in, w_in, pad };
        let what = format!("{batch}x{channels}x{h_in}x{w_in}_by_{pad:?}").replace([' ', '[', ']'], "");
        cases.push(Case::new(Op::PadForward(d), &what, 1));
        cases.push(Case::new(Op::PadBackward(d), &what, 1));
    }
    let d = Pad2d { batch: 3, channels: 2, h_in: 4, w_in: 5, pad: [1, 2, 0, 1] };
    cases.push(Case::new(Op::PadForward(d), "nan_row", 1).with_data(Data::Nan));
    let scales = [
        (1, 1, 1, 1, [1, 2]),
        (2, 3, 5, 7, [2, 2]),
        (3, 5, 7, 4, [3, 1]),
        (1, 2, 3, 5, [5, 7]),
        (1, 1, 2, 3, [64, 63]),
        (2, 32, 7, 5, [2, 3]),
        (3, 16, 1, 9, [4, 1]),
    ];
    for (batch, channels, h_in, w_in, scale) in scales {
        let d = Upsample { batch, channels, h_in, w_in, scale };
        let what = format!("{batch}x{channels}x{h_in}x{w_in}_by_{}x{}", scale[0], scale[1]);
        cases.push(Case::new(Op::UpsampleForward(d), &what, 1));
        cases.push(Case::new(Op::UpsampleBackward(d), &what, scale[0] * scale[1]));
    }
    let d = Upsample { batch: 3, channels: 2, h_in: 4, w_in: 5, scale: [2, 2] };
    cases.push(Case::new(Op::UpsampleForward(d), "nan_row", 1).with_data(Data::Nan));
    cases
}
