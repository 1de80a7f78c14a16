//! Average pooling to a fixed output size.

use super::OperatorCheck;
use crate::ops::{AdaptiveAvgPool2d, Op};
use crate::verify::cases::Case;
use crate::verify::error_scale::root_of_squares;

pub fn forward(d: &AdaptiveAvgPool2d) -> OperatorCheck<'_> {
    let reduction = d.h_in.div_ceil(d.h_out) * d.w_in.div_ceil(d.w_out);
    OperatorCheck::new(
        Some(reduction),
        |_, inputs, outputs| forward_reference(d, inputs, outputs),
        root_of_squares,
    )
}

pub fn backward(d: &AdaptiveAvgPool2d) -> OperatorCheck<'_> {
    let reduction = d.h_out.div_ceil(d.h_in) * d.w_out.div_ceil(d.w_in);
    OperatorCheck::new(
        Some(reduction),
        |_, inputs, outputs| backward_reference(d, inputs, outputs),
        root_of_squares,
    )
}

/// Calls `tap(i, j, n)` for every x[j] among the n elements whose mean is y[i].
fn taps(d: &AdaptiveAvgPool2d, mut tap: impl FnMut(usize, usize, f64)) {
    for plane in 0..d.batch * d.channels {
        for h in 0..d.h_out {
            for w in 0..d.w_out {
                let rows = h * d.h_in / d.h_out..((h + 1) * d.h_in).div_ceil(d.h_out);
                let columns = w * d.w_in / d.w_out..((w + 1) * d.w_in).div_ceil(d.w_out);
                let count = (rows.len() * columns.len()) as f64;
                for row in rows {
                    for column in columns.clone() {
                        let i = (plane * d.h_out + h) * d.w_out + w;
                        tap(i, (plane * d.h_in + row) * d.w_in + column, count);
                    }
                }
            }
        }
    }
}

fn forward_reference(d: &AdaptiveAvgPool2d, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
    let (x, y) = (&inputs[0], &mut outputs[0]);
    y.fill(0.0);
    taps(d, |i, j, count| y[i] += x[j] / count);
}

fn backward_reference(d: &AdaptiveAvgPool2d, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
    let (dy, dx) = (&inputs[0], &mut outputs[0]);
    dx.fill(0.0);
    taps(d, |i, j, count| dx[j] += dy[i] / count);
}

pub fn pair(what: &str, d: AdaptiveAvgPool2d) -> [Case; 2] {
    let window = (d.h_in.div_ceil(d.h_out) + 1) * (d.w_in.div_ceil(d.w_out) + 1);
    let overlap = (d.h_out.div_ceil(d.h_in) + 1) * (d.w_out.div_ceil(d.w_in) + 1);
    [
        Case::new(Op::AdaptiveAvgPool2dForward(d), what, window),
        Case::new(Op::AdaptiveAvgPool2dBackward(d), what, overlap),
    ]
}

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let adaptive = [
        (1, 1, [1, 1], [1, 1]),
        (2, 5, [6, 6], [6, 6]),
        (2, 5, [13, 7], [6, 6]),
        (3, 4, [7, 5], [1, 1]),
        (1, 65, [9, 11], [4, 3]),
        (2, 3, [3, 4], [7, 6]),
        (1, 2, [1, 5], [3, 2]),
        (2, 33, [12, 12], [6, 4]),
        (2, 32, [13, 7], [6, 4]),
        (3, 16, [3, 4], [7, 6]),
    ];
    for (batch, channels, [h_in, w_in], [h_out, w_out]) in adaptive {
        let what = format!("{batch}x{channels}x{h_in}x{w_in}_to_{h_out}x{w_out}");
        cases.extend(pair(&what, AdaptiveAvgPool2d { batch, channels, h_in, w_in, h_out, w_out }));
    }
    // Reductions over more than 65,536 elements.
    let adaptive = [
        (1, 3, [256, 256], [1, 1]),
        (2, 1, [300, 300], [1, 1]),
        (1, 2, [1, 140_002], [1, 2]),
        (1, 2, [1, 1], [256, 256]),
        (1, 2, [1, 2], [1, 140_002]),
        (1, 1, [601, 599], [1, 1]),
    ];
    for (batch, channels, [h_in, w_in], [h_out, w_out]) in adaptive {
        let what = format!("{batch}x{channels}x{h_in}x{w_in}_to_{h_out}x{w_out}");
        cases.extend(pair(&what, AdaptiveAvgPool2d { batch, channels, h_in, w_in, h_out, w_out }));
    }
    cases
}
