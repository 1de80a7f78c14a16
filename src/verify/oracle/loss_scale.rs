//! Loss scaling. The words of `scaling` are: scale, updates since it changed, updates made, updates skipped.

use crate::ops::{GradUnscale, Hyper};

pub(super) fn grad_scale(inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
    for dx in &mut outputs[0] {
        *dx *= inputs[0][0];
    }
}

pub(super) fn grad_unscale(d: &GradUnscale, hyper: &Hyper, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
    let (scale, streak, updates, skipped) = (outputs[0][0], outputs[0][1], outputs[0][2], outputs[0][3]);
    let mut total = 0.0;
    for norm in &inputs[0] {
        total += norm;
    }
    outputs[1][1] = 1.0 - f64::from(hyper.momentum).powf(updates + 1.0);
    outputs[1][2] = 1.0 - f64::from(hyper.beta2).powf(updates + 1.0);
    if total.is_nan() || total.is_infinite() {
        outputs[0] = vec![scale / 2.0, 0.0, updates, skipped + 1.0];
        outputs[1][0] = 0.0;
        return;
    }
    let mut factor = 1.0;
    if d.clip {
        let norm = total.sqrt() / scale;
        factor = (f64::from(hyper.max_norm) / (norm + 1e-6)).min(1.0);
    }
    outputs[1][0] = factor / scale;
    outputs[0] = if streak + 1.0 == d.interval as f64 {
        vec![scale * 2.0, 0.0, updates + 1.0, skipped]
    } else {
        vec![scale, streak + 1.0, updates + 1.0, skipped]
    };
}
