//! Losses, ranks and the record of a step.

use super::softmax::log_softmax;
use crate::ops::{Hyper, Loss, Target};

/// How many classes stand before class `right` in the row `x`.
fn rank(x: &[f64], right: usize) -> f64 {
    if x[right].is_nan() {
        return x.len() as f64;
    }
    let before = |j: usize| x[j] > x[right] || (x[j] == x[right] && j < right);
    (0..x.len()).filter(|&j| before(j)).count() as f64
}

/// Outputs of the rows that only pad.
fn pad(d: &Loss, outputs: &mut [Vec<f64>]) {
    outputs[0].fill(0.0);
    outputs[1].fill(d.classes as f64);
    if d.grad {
        outputs[2].fill(0.0);
    }
}

pub(super) fn cross_entropy(d: &Loss, hyper: &Hyper, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
    pad(d, outputs);
    let smoothing = f64::from(d.smoothing);
    for n in 0..hyper.rows as usize {
        let x = &inputs[0][n * d.classes..(n + 1) * d.classes];
        let right = inputs[1][n] as usize;
        outputs[1][n] = rank(x, right);
        for (j, log_p) in log_softmax(x).into_iter().enumerate() {
            let onehot = if j == right { 1.0 } else { 0.0 };
            let t = (1.0 - smoothing) * onehot + smoothing / d.classes as f64;
            // 0 log 0 is 0 in a cross-entropy.
            outputs[0][n] -= if t == 0.0 && !log_p.is_nan() { 0.0 } else { t * log_p };
            if d.grad {
                outputs[2][n * d.classes + j] = (log_p.exp() - t) * f64::from(hyper.loss_scale);
            }
        }
    }
}

pub(super) fn half_squared_error(d: &Loss, hyper: &Hyper, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
    pad(d, outputs);
    for n in 0..hyper.rows as usize {
        let x = &inputs[0][n * d.classes..(n + 1) * d.classes];
        let t: Vec<f64> = match d.target {
            Target::Class => {
                (0..d.classes).map(|j| if j == inputs[1][n] as usize { 1.0 } else { 0.0 }).collect()
            }
            Target::Values => inputs[1][n * d.classes..(n + 1) * d.classes].to_vec(),
        };
        outputs[1][n] = if d.target == Target::Values && d.classes == 1 {
            if (x[0] > 0.5) == (t[0] > 0.5) { 0.0 } else { 1.0 }
        } else {
            let first_maximum = (0..d.classes).fold(0, |best, j| if t[j] > t[best] { j } else { best });
            rank(x, first_maximum)
        };
        for j in 0..d.classes {
            outputs[0][n] += 0.5 * (x[j] - t[j]) * (x[j] - t[j]);
            if d.grad {
                outputs[2][n * d.classes + j] = (x[j] - t[j]) * f64::from(hyper.loss_scale);
            }
        }
    }
}

pub(super) fn metrics(hyper: &Hyper, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
    let (loss, rank) = (&inputs[0], &inputs[1]);
    let rows = hyper.rows as usize;
    let hits = |k: f64| rank[..rows].iter().filter(|&&r| r < k).count() as f64;
    let record = [loss[..rows].iter().sum(), hits(1.0), hits(5.0), rows as f64, 0.0];
    let start = hyper.slot as usize * record.len();
    outputs[0][start..start + record.len()].copy_from_slice(&record);
}
