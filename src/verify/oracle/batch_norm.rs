//! Batch normalisation.

use super::pointwise::relu;
use crate::ops::{BatchNorm2d, Hyper};

/// Positions of the elements of channel `c` in the first `rows` rows.
fn elements(d: &BatchNorm2d, rows: usize, c: usize) -> impl Iterator<Item = usize> {
    let d = *d;
    (0..rows).flat_map(move |n| (0..d.inner).map(move |i| (n * d.channels + c) * d.inner + i))
}

pub(super) fn stats(d: &BatchNorm2d, hyper: &Hyper, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
    let x = &inputs[0];
    let count = (hyper.rows as usize * d.inner) as f64;
    let momentum = f64::from(d.momentum);
    for c in 0..d.channels {
        let all = || elements(d, hyper.rows as usize, c);
        let mean = all().map(|i| x[i]).sum::<f64>() / count;
        let squares: f64 = all().map(|i| (x[i] - mean) * (x[i] - mean)).sum();
        outputs[0][c] = mean;
        outputs[1][c] = squares / count;
        outputs[2][c] = (1.0 - momentum) * outputs[2][c] + momentum * mean;
        outputs[3][c] = (1.0 - momentum) * outputs[3][c] + momentum * squares / (count - 1.0).max(1.0);
    }
}

pub(super) fn forward(d: &BatchNorm2d, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
    let [x, w, b, mean, var] = [0, 1, 2, 3, 4].map(|i| &inputs[i]);
    for c in 0..d.channels {
        for i in elements(d, d.batch, c) {
            let y = (x[i] - mean[c]) / (var[c] + f64::from(d.eps)).sqrt() * w[c] + b[c];
            outputs[0][i] = if d.relu { relu(y) } else { y };
        }
    }
}

pub(super) fn grad_parameters(d: &BatchNorm2d, hyper: &Hyper, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
    let [x, w, mean, var, dy] = [0, 1, 2, 3, 4].map(|i| &inputs[i]);
    let count = (hyper.rows as usize * d.inner) as f64;
    for c in 0..d.channels {
        let s = 1.0 / (var[c] + f64::from(d.eps)).sqrt();
        let (mut dw, mut db) = (0.0, 0.0);
        for i in elements(d, hyper.rows as usize, c) {
            dw += dy[i] * (x[i] - mean[c]) * s;
            db += dy[i];
        }
        let a = w[c] * s;
        outputs[0][c] = dw;
        outputs[1][c] = db;
        outputs[2][c] = a;
        outputs[2][d.channels + c] = -a * s * dw / count;
        outputs[2][2 * d.channels + c] = -a * db / count;
        outputs[2][3 * d.channels + c] = mean[c];
    }
}

pub(super) fn grad_input(d: &BatchNorm2d, hyper: &Hyper, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
    let [x, coefficients, dy] = [0, 1, 2].map(|i| &inputs[i]);
    outputs[0].fill(0.0);
    for channel in 0..d.channels {
        let [a, b, c, mean] = [0, 1, 2, 3].map(|row| coefficients[row * d.channels + channel]);
        for i in elements(d, hyper.rows as usize, channel) {
            outputs[0][i] = a * dy[i] + b * (x[i] - mean) + c;
        }
    }
}
