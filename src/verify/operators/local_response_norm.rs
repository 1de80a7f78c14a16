//! Local response normalisation across channels.

use super::OperatorCheck;
use crate::ops::{LocalResponseNorm, Op};
use crate::verify::cases::{Case, outputs};
use crate::verify::error_scale::{Run, absolute, of_absolute_operands};
use std::ops::Range;

pub fn forward(d: &LocalResponseNorm) -> OperatorCheck<'_> {
    let reduction = d.size.min(d.channels);
    OperatorCheck::new(Some(reduction), |_, inputs, outputs| forward_reference(d, inputs, outputs), absolute)
}

pub fn backward(d: &LocalResponseNorm) -> OperatorCheck<'_> {
    // With a negative alpha the two terms add up instead of cancelling.
    let scale = |run: &Run<'_>| {
        let op = Op::LocalResponseNormBackward(LocalResponseNorm { alpha: -d.alpha, ..*d });
        of_absolute_operands(&op, run.hyper, run.before)
    };
    let reduction = d.size.min(d.channels);
    OperatorCheck::new(Some(reduction), |_, inputs, outputs| backward_reference(d, inputs, outputs), scale)
        .prepared(|case, operands| {
            operands[1] = outputs(case, Op::LocalResponseNormForward(*d), &[&operands[0]]).swap_remove(1);
        })
}

/// Channels whose squares count for channel `c`.
fn window(d: &LocalResponseNorm, c: usize) -> Range<usize> {
    c.saturating_sub(d.size / 2)..(c + (d.size - 1) / 2 + 1).min(d.channels)
}

fn forward_reference(d: &LocalResponseNorm, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
    let x = &inputs[0];
    for n in 0..d.batch {
        for c in 0..d.channels {
            for i in 0..d.inner {
                let at = |channel: usize| (n * d.channels + channel) * d.inner + i;
                let mut squares = 0.0;
                for other in window(d, c) {
                    squares += x[at(other)] * x[at(other)];
                }
                let scale = f64::from(d.k) + f64::from(d.alpha) / d.size as f64 * squares;
                outputs[0][at(c)] = x[at(c)] / scale.powf(f64::from(d.beta));
                outputs[1][at(c)] = scale;
            }
        }
    }
}

/// y[j] depends on x[c] directly if j = c, and through scale[j] if c lies in the window of j:
/// dx[c] = dy[c] scale[c]^-beta - 2 alpha beta / size * x[c] * sum over such j of dy[j] x[j] scale[j]^(-beta - 1).
fn backward_reference(d: &LocalResponseNorm, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
    let (x, scale, dy) = (&inputs[0], &inputs[1], &inputs[2]);
    let (alpha, beta) = (f64::from(d.alpha), f64::from(d.beta));
    for n in 0..d.batch {
        for c in 0..d.channels {
            for i in 0..d.inner {
                let at = |channel: usize| (n * d.channels + channel) * d.inner + i;
                let mut sum = 0.0;
                for j in 0..d.channels {
                    if window(d, j).contains(&c) {
                        sum += dy[at(j)] * x[at(j)] * scale[at(j)].powf(-beta - 1.0);
                    }
                }
                outputs[0][at(c)] = dy[at(c)] * scale[at(c)].powf(-beta)
                    - 2.0 * alpha * beta / d.size as f64 * x[at(c)] * sum;
            }
        }
    }
}

/// A power counts as eight roundings beside the window's sum.
pub const POWER: usize = 8;

pub fn pair(what: &str, d: LocalResponseNorm) -> [Case; 2] {
    [
        Case::new(Op::LocalResponseNormForward(d), what, d.size + POWER),
        Case::new(Op::LocalResponseNormBackward(d), what, 2 * d.size + POWER),
    ]
}

pub fn cases() -> Vec<Case> {
    let sizes = [
        (1, 1, 1, 1, 1e-4, 0.75, 1.0),
        (2, 7, 9, 5, 1e-4, 0.75, 2.0),
        (2, 7, 9, 5, 0.5, 0.75, 2.0),
        (3, 11, 5, 4, 0.5, 0.75, 1.0),
        (1, 3, 35, 9, 0.5, 0.5, 0.5),
        (2, 2, 17, 6, 2.0, 1.0, 0.5),
        (1, 65, 31, 3, 0.5, 0.5, 2.0),
        (1, 64, 65, 2, 0.1, 0.75, 1.0),
        (1, 5, 257, 1, 0.5, 1.0, 1.0),
        (1, 96, 169, 5, 5e-4, 0.75, 2.0),
        (3, 48, 35, 4, 0.5, 0.5, 1.0),
    ];
    let mut cases = Vec::new();
    for (batch, channels, inner, size, alpha, beta, k) in sizes {
        let what = format!("{batch}x{channels}x{inner}_size_{size}_alpha_{alpha}_beta_{beta}_k_{k}");
        cases.extend(pair(&what, LocalResponseNorm { batch, channels, inner, size, alpha, beta, k }));
    }
    cases
}
