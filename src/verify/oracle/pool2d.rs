//! Pooling.

use crate::ops::{AdaptiveAvgPool2d, Pool2d};

/// Calls `tap(i, place, j)` for every window element of every output: x[j] stands at `place` (row-major) of the
/// window of y[i]. Places in the padding, and beyond it, are left out.
fn taps(d: &Pool2d, mut tap: impl FnMut(usize, usize, usize)) {
    let (h_out, w_out) = (d.h_out(), d.w_out());
    for plane in 0..d.batch * d.channels {
        for h in 0..h_out {
            for w in 0..w_out {
                for kh in 0..d.kernel[0] {
                    for kw in 0..d.kernel[1] {
                        let (row, column) = (h * d.stride[0] + kh, w * d.stride[1] + kw);
                        if row < d.pad[0]
                            || row >= d.pad[0] + d.h_in
                            || column < d.pad[1]
                            || column >= d.pad[1] + d.w_in
                        {
                            continue;
                        }
                        let (row, column) = (row - d.pad[0], column - d.pad[1]);
                        tap(
                            (plane * h_out + h) * w_out + w,
                            kh * d.kernel[1] + kw,
                            (plane * d.h_in + row) * d.w_in + column,
                        );
                    }
                }
            }
        }
    }
}

pub(super) fn max_forward(d: &Pool2d, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
    let x = &inputs[0];
    let mut found = vec![false; outputs[0].len()];
    taps(d, |i, place, j| {
        let best = outputs[0][i];
        if !found[i] || x[j] > best || (x[j].is_nan() && !best.is_nan()) {
            found[i] = true;
            outputs[0][i] = x[j];
            outputs[1][i] = place as f64;
        }
    });
}

pub(super) fn max_backward(d: &Pool2d, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
    let (index, dy, dx) = (&inputs[0], &inputs[1], &mut outputs[0]);
    dx.fill(0.0);
    taps(d, |i, place, j| {
        if index[i] == place as f64 {
            dx[j] += dy[i];
        }
    });
}

/// How many places of the window of output (h, w) lie in the input or its padding.
fn window_size(d: &Pool2d, h: usize, w: usize) -> f64 {
    let rows = (d.pad[0] + d.h_in + d.pad[2] - h * d.stride[0]).min(d.kernel[0]);
    let columns = (d.pad[1] + d.w_in + d.pad[3] - w * d.stride[1]).min(d.kernel[1]);
    (rows * columns) as f64
}

pub(super) fn avg_forward(d: &Pool2d, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
    let (x, y) = (&inputs[0], &mut outputs[0]);
    y.fill(0.0);
    taps(d, |i, _, j| y[i] += x[j] / window_size(d, i / d.w_out() % d.h_out(), i % d.w_out()));
}

pub(super) fn avg_backward(d: &Pool2d, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
    let (dy, dx) = (&inputs[0], &mut outputs[0]);
    dx.fill(0.0);
    taps(d, |i, _, j| dx[j] += dy[i] / window_size(d, i / d.w_out() % d.h_out(), i % d.w_out()));
}

/// Calls `tap(i, j, n)` for every x[j] among the n elements whose mean is y[i].
fn adaptive_taps(d: &AdaptiveAvgPool2d, mut tap: impl FnMut(usize, usize, f64)) {
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

pub(super) fn adaptive_forward(d: &AdaptiveAvgPool2d, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
    let (x, y) = (&inputs[0], &mut outputs[0]);
    y.fill(0.0);
    adaptive_taps(d, |i, j, count| y[i] += x[j] / count);
}

pub(super) fn adaptive_backward(d: &AdaptiveAvgPool2d, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
    let (dy, dx) = (&inputs[0], &mut outputs[0]);
    dx.fill(0.0);
    adaptive_taps(d, |i, j, count| dx[j] += dy[i] / count);
}
