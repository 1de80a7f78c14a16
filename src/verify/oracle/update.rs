//! Gradient sums, clipping, and the updates of parameters.

use crate::ops::{GradNorm, Hyper, Metrics, NonFinite, Update};

pub(super) fn grad_accumulate(hyper: &Hyper, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
    for (sum, g) in outputs[0].iter_mut().zip(&inputs[0]) {
        *sum = if hyper.accumulate == 1 { *sum + g } else { *g };
    }
}

pub(super) fn grad_norm(d: &GradNorm, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
    outputs[0][d.index] = inputs[0].iter().map(|g| g * g).sum();
}

pub(super) fn grad_clip(hyper: &Hyper, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
    let norm = inputs[0].iter().sum::<f64>().sqrt();
    outputs[0][0] = (f64::from(hyper.max_norm) / (norm + 1e-6)).min(1.0);
}

/// Calls `update`, and puts what is not finite before or after it into the record, as an f32 would have it.
pub(super) fn watched(
    d: &Update,
    hyper: &Hyper,
    outputs: &mut [Vec<f64>],
    update: impl FnOnce(&mut [Vec<f64>]),
) {
    if d.number == 0 {
        return update(outputs);
    }
    let last = outputs.len() - 1;
    let before = outputs[..last].to_vec();
    update(outputs);
    let word = hyper.slot as usize * Metrics::RECORD + Metrics::FOUND;
    for i in 0..d.len {
        let is_bad = |values: &[Vec<f64>]| values.iter().any(|v| !(v[i] as f32).is_finite());
        let was = NonFinite {
            number: d.number,
            before: true,
            weight: is_bad(&before[..1]),
            state: is_bad(&before[1..]),
        };
        let is = NonFinite {
            before: false,
            weight: is_bad(&outputs[..1]),
            state: is_bad(&outputs[1..last]),
            ..was
        };
        if let Some(found) = [was, is].into_iter().find(|found| found.weight || found.state) {
            outputs[last][word] = outputs[last][word].max(f64::from(found.word()));
        }
    }
}

/// Whether loss scaling has found a gradient that is not finite: nothing may change.
fn is_skipped(d: &Update, inputs: &[Vec<f64>]) -> bool {
    d.scaled && inputs[2][0] == 0.0
}

/// Adam's two corrections: with loss scaling they come with the factor.
fn corrections(d: &Update, hyper: &Hyper, inputs: &[Vec<f64>]) -> [f64; 2] {
    if d.scaled {
        return [inputs[2][1], inputs[2][2]];
    }
    [f64::from(hyper.correction1), f64::from(hyper.correction2)]
}

/// Gradient number `i` after clipping, learning rate and weight decay of this parameter.
fn start(d: &Update, hyper: &Hyper, inputs: &[Vec<f64>], i: usize) -> (f64, f64, f64) {
    // The operand before the factor is `hyper`, which is not looked at.
    let factor = if d.clip || d.scaled { inputs[2][0] } else { 1.0 };
    let lr = f64::from(hyper.lr) * f64::from(d.lr_mult);
    let weight_decay = f64::from(hyper.weight_decay) * f64::from(d.decay_mult);
    (inputs[0][i] * factor, lr, weight_decay)
}

pub(super) fn sgd(d: &Update, hyper: &Hyper, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
    if is_skipped(d, inputs) {
        return;
    }
    let momentum = f64::from(hyper.momentum);
    for i in 0..d.len {
        let (mut g, lr, weight_decay) = start(d, hyper, inputs, i);
        g += weight_decay * outputs[0][i];
        if d.momentum {
            let v = momentum * outputs[1][i] + g;
            outputs[1][i] = v;
            g = if d.nesterov { g + momentum * v } else { v };
        }
        outputs[0][i] -= lr * g;
    }
}

/// Adam's moments and its step, for a gradient that already holds whatever decay belongs to it.
fn adam_step(
    hyper: &Hyper,
    [correction1, correction2]: [f64; 2],
    outputs: &mut [Vec<f64>],
    i: usize,
    lr: f64,
    g: f64,
) {
    let (beta1, beta2) = (f64::from(hyper.momentum), f64::from(hyper.beta2));
    let m = beta1 * outputs[1][i] + (1.0 - beta1) * g;
    let v = beta2 * outputs[2][i] + (1.0 - beta2) * g * g;
    let root = v.sqrt() / correction2.sqrt() + f64::from(hyper.eps);
    outputs[0][i] -= lr / correction1 * m / root;
    outputs[1][i] = m;
    outputs[2][i] = v;
}

pub(super) fn adam(d: &Update, hyper: &Hyper, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
    if is_skipped(d, inputs) {
        return;
    }
    for i in 0..d.len {
        let (g, lr, weight_decay) = start(d, hyper, inputs, i);
        let g = g + weight_decay * outputs[0][i];
        adam_step(hyper, corrections(d, hyper, inputs), outputs, i, lr, g);
    }
}

pub(super) fn adamw(d: &Update, hyper: &Hyper, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
    if is_skipped(d, inputs) {
        return;
    }
    for i in 0..d.len {
        let (g, lr, weight_decay) = start(d, hyper, inputs, i);
        outputs[0][i] *= 1.0 - lr * weight_decay;
        adam_step(hyper, corrections(d, hyper, inputs), outputs, i, lr, g);
    }
}

pub(super) fn rmsprop(d: &Update, hyper: &Hyper, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
    if is_skipped(d, inputs) {
        return;
    }
    let (momentum, alpha) = (f64::from(hyper.momentum), f64::from(hyper.beta2));
    for i in 0..d.len {
        let (mut g, lr, weight_decay) = start(d, hyper, inputs, i);
        g += weight_decay * outputs[0][i];
        let v = alpha * outputs[1][i] + (1.0 - alpha) * g * g;
        g /= v.sqrt() + f64::from(hyper.eps);
        outputs[1][i] = v;
        if d.momentum {
            let m = momentum * outputs[2][i] + g;
            outputs[2][i] = m;
            g = m;
        }
        outputs[0][i] -= lr * g;
    }
}
