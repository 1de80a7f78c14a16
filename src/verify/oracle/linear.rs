//! Fully connected layers.

use super::pointwise::relu;
use crate::ops::Linear;

pub(super) fn forward(d: &Linear, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
    let (x, w) = (&inputs[0], &inputs[1]);
    for n in 0..d.batch {
        for o in 0..d.outputs {
            let mut sum = if d.bias { inputs[2][o] } else { 0.0 };
            for i in 0..d.inputs {
                sum += x[n * d.inputs + i] * w[o * d.inputs + i];
            }
            outputs[0][n * d.outputs + o] = if d.relu { relu(sum) } else { sum };
        }
    }
}

pub(super) fn grad_input(d: &Linear, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
    let (dy, w, dx) = (&inputs[0], &inputs[1], &mut outputs[0]);
    dx.fill(0.0);
    for n in 0..d.batch {
        for o in 0..d.outputs {
            for i in 0..d.inputs {
                dx[n * d.inputs + i] += dy[n * d.outputs + o] * w[o * d.inputs + i];
            }
        }
    }
}

pub(super) fn grad_weight(d: &Linear, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
    let (x, dy, dw) = (&inputs[0], &inputs[1], &mut outputs[0]);
    dw.fill(0.0);
    for n in 0..d.batch {
        for o in 0..d.outputs {
            for i in 0..d.inputs {
                dw[o * d.inputs + i] += dy[n * d.outputs + o] * x[n * d.inputs + i];
            }
        }
    }
}
