//! Convolution: one walk over all taps, three sums.

use super::pointwise::relu;
use crate::ops::{BiasGrad, Conv2d};

/// Calls `tap(i, j, k)` for every product in y[i] = sum of x[j] w[k]; taps in the padding are left out.
fn taps(d: &Conv2d, mut tap: impl FnMut(usize, usize, usize)) {
    let (c_in, c_out) = (d.c_in_group(), d.c_out_group());
    let [kernel_h, kernel_w] = d.kernel;
    for n in 0..d.batch {
        for c in 0..d.c_out {
            for h in 0..d.h_out() {
                for w in 0..d.w_out() {
                    let y = ((n * d.c_out + c) * d.h_out() + h) * d.w_out() + w;
                    for ci in 0..c_in {
                        let channel = c / c_out * c_in + ci;
                        for kh in 0..kernel_h {
                            for kw in 0..kernel_w {
                                let row = h * d.stride[0] + kh * d.dilation[0];
                                let column = w * d.stride[1] + kw * d.dilation[1];
                                if row < d.pad[0]
                                    || row >= d.pad[0] + d.h_in
                                    || column < d.pad[1]
                                    || column >= d.pad[1] + d.w_in
                                {
                                    continue;
                                }
                                let (row, column) = (row - d.pad[0], column - d.pad[1]);
                                let x = ((n * d.c_in + channel) * d.h_in + row) * d.w_in + column;
                                tap(y, x, ((c * c_in + ci) * kernel_h + kh) * kernel_w + kw);
                            }
                        }
                    }
                }
            }
        }
    }
}

pub(super) fn forward(d: &Conv2d, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
    let (x, w, y) = (&inputs[0], &inputs[1], &mut outputs[0]);
    let inner = d.h_out() * d.w_out();
    for (i, y) in y.iter_mut().enumerate() {
        *y = if d.bias { inputs[2][i / inner % d.c_out] } else { 0.0 };
    }
    taps(d, |i, j, k| y[i] += x[j] * w[k]);
    if d.relu {
        y.iter_mut().for_each(|y| *y = relu(*y));
    }
}

pub(super) fn grad_input(d: &Conv2d, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
    let (dy, w, dx) = (&inputs[0], &inputs[1], &mut outputs[0]);
    dx.fill(0.0);
    taps(d, |i, j, k| dx[j] += dy[i] * w[k]);
}

pub(super) fn grad_weight(d: &Conv2d, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
    let (x, dy, dw) = (&inputs[0], &inputs[1], &mut outputs[0]);
    dw.fill(0.0);
    taps(d, |i, j, k| dw[k] += x[j] * dy[i]);
}

pub(super) fn bias_grad(d: &BiasGrad, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
    outputs[0].fill(0.0);
    for (i, dy) in inputs[0].iter().enumerate() {
        outputs[0][i / d.inner % d.channels] += dy;
    }
}
