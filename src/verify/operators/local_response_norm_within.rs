//! Local response normalisation within each map.

use super::OperatorCheck;
use super::local_response_norm::POWER;
use crate::ops::{LocalResponseNormWithin, Op};
use crate::verify::cases::{Case, outputs};
use crate::verify::error_scale::{Run, absolute, of_absolute_operands};

pub fn forward(d: &LocalResponseNormWithin) -> OperatorCheck<'_> {
    let reduction = d.size.min(d.h) * d.size.min(d.w);
    OperatorCheck::new(Some(reduction), |_, inputs, outputs| forward_reference(d, inputs, outputs), absolute)
}

pub fn backward(d: &LocalResponseNormWithin) -> OperatorCheck<'_> {
    // With a negative alpha the two terms add up instead of cancelling.
    let scale = |run: &Run<'_>| {
        let op = Op::LocalResponseNormWithinBackward(LocalResponseNormWithin { alpha: -d.alpha, ..*d });
        of_absolute_operands(&op, run.hyper, run.before)
    };
    let reduction = d.size.min(d.h) * d.size.min(d.w);
    OperatorCheck::new(Some(reduction), |_, inputs, outputs| backward_reference(d, inputs, outputs), scale)
        .prepared(|case, operands| {
            let forward = Op::LocalResponseNormWithinForward(*d);
            operands[1] = outputs(case, forward, &[&operands[0]]).swap_remove(1);
        })
}

/// Whether the window of place `of` holds place `at`, along one side of the map.
fn holds(d: &LocalResponseNormWithin, of: usize, at: usize) -> bool {
    of <= at + d.size / 2 && at <= of + (d.size - 1) / 2
}

/// Places of one map: row and column.
fn places(d: &LocalResponseNormWithin) -> impl Iterator<Item = (usize, usize)> {
    let w = d.w;
    (0..d.h * w).map(move |i| (i / w, i % w))
}

fn forward_reference(d: &LocalResponseNormWithin, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
    let x = &inputs[0];
    for map in 0..d.batch * d.channels {
        let at = |(r, c): (usize, usize)| (map * d.h + r) * d.w + c;
        for here in places(d) {
            let mut squares = 0.0;
            for other in places(d) {
                if holds(d, here.0, other.0) && holds(d, here.1, other.1) {
                    squares += x[at(other)] * x[at(other)];
                }
            }
            let scale = f64::from(d.k) + f64::from(d.alpha) / (d.size as f64 * d.size as f64) * squares;
            outputs[0][at(here)] = x[at(here)] / scale.powf(f64::from(d.beta));
            outputs[1][at(here)] = scale;
        }
    }
}

/// dx[i] = dy[i] scale[i]^-beta - 2 alpha beta / size^2 * x[i] * sum of dy[j] x[j] scale[j]^(-beta - 1) over the places j
/// whose window holds i.
fn backward_reference(d: &LocalResponseNormWithin, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
    let (x, scale, dy) = (&inputs[0], &inputs[1], &inputs[2]);
    let (alpha, beta) = (f64::from(d.alpha), f64::from(d.beta));
    for map in 0..d.batch * d.channels {
        let at = |(r, c): (usize, usize)| (map * d.h + r) * d.w + c;
        for here in places(d) {
            let mut sum = 0.0;
            for other in places(d) {
                if holds(d, other.0, here.0) && holds(d, other.1, here.1) {
                    let j = at(other);
                    sum += dy[j] * x[j] * scale[j].powf(-beta - 1.0);
                }
            }
            let i = at(here);
            outputs[0][i] = dy[i] * scale[i].powf(-beta)
                - 2.0 * alpha * beta / (d.size as f64 * d.size as f64) * x[i] * sum;
        }
    }
}

fn pair(what: &str, d: LocalResponseNormWithin) -> [Case; 2] {
    let length = d.size.min(2 * d.h) * d.size.min(2 * d.w);
    [
        Case::new(Op::LocalResponseNormWithinForward(d), what, length + POWER),
        Case::new(Op::LocalResponseNormWithinBackward(d), what, 2 * length + POWER),
    ]
}

pub fn cases() -> Vec<Case> {
    // batch, channels, h, w, size, alpha, beta, k
    let sizes = [
        (1, 1, 1, 1, 1, 1e-4, 0.75, 1.0),
        (2, 3, 7, 9, 5, 1e-3, 0.75, 1.0),
        (2, 3, 7, 9, 5, 2.0, 0.75, 1.0),
        (1, 2, 11, 5, 4, 2.0, 0.75, 2.0),
        (3, 5, 1, 13, 3, 1.0, 0.5, 0.5),
        (1, 2, 13, 1, 2, 1.0, 1.0, 1.0),
        // Windows larger than the map, odd and even.
        (1, 3, 3, 4, 9, 20.0, 0.75, 1.0),
        (2, 1, 4, 3, 12, 20.0, 0.6, 1.0),
        (1, 17, 16, 17, 3, 0.5, 0.75, 2.0),
        (1, 2, 31, 33, 1, 0.5, 0.75, 1.0),
        (1, 128, 13, 13, 5, 1e-3, 0.75, 1.0),
    ];
    let mut cases = Vec::new();
    for (batch, channels, h, w, size, alpha, beta, k) in sizes {
        let what = format!("{batch}x{channels}x{h}x{w}_size_{size}_alpha_{alpha}_beta_{beta}_k_{k}");
        let d = LocalResponseNormWithin { batch, channels, h, w, size, alpha, beta, k };
        cases.extend(pair(&what, d));
    }
    cases
}
