//! Dropout.

use crate::ops::{Dropout, Hyper};
use crate::random::philox;

pub(super) fn dropout(d: &Dropout, hyper: &Hyper, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
    for (i, y) in outputs[0].iter_mut().enumerate() {
        let words = philox([(i / 4) as u32, hyper.draw, d.layer, 0], [hyper.seed_lo, hyper.seed_hi]);
        let kept = words[i % 4] >= d.threshold();
        *y = if kept { inputs[0][i] / (1.0 - f64::from(d.p)) } else { 0.0 };
    }
}
