//! Softmax over channels.

use crate::ops::Softmax;

/// log(p) for p = softmax(x): x - max - log(sum of exp(x - max)). NaN everywhere if x holds a NaN.
pub(super) fn log_softmax(x: &[f64]) -> Vec<f64> {
    let max = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = x.iter().map(|v| (v - max).exp()).sum();
    x.iter().map(|v| v - max - sum.ln()).collect()
}

pub(super) fn forward(d: &Softmax, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
    for n in 0..d.batch {
        for i in 0..d.inner {
            let at = |c: usize| (n * d.channels + c) * d.inner + i;
            let x: Vec<f64> = (0..d.channels).map(|c| inputs[0][at(c)]).collect();
            for (c, log) in log_softmax(&x).into_iter().enumerate() {
                outputs[0][at(c)] = log.exp();
            }
        }
    }
}

pub(super) fn backward(d: &Softmax, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
    let (y, dy) = (&inputs[0], &inputs[1]);
    for n in 0..d.batch {
        for i in 0..d.inner {
            let at = |c: usize| (n * d.channels + c) * d.inner + i;
            let dot: f64 = (0..d.channels).map(|c| dy[at(c)] * y[at(c)]).sum();
            for c in 0..d.channels {
                outputs[0][at(c)] = y[at(c)] * (dy[at(c)] - dot);
            }
        }
    }
}
