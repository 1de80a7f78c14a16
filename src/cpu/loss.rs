//! Losses with their gradients and the rank of the right answer, and the record of a step.

use super::exponential::exp;
use super::simd::vectorised;
use super::sum::{sum, sum1};
use crate::error::{Error, Result};
use crate::ops::{Hyper, Loss, Metrics, Target};
use rayon::prelude::*;

/// Softmax, cross-entropy, rank of the right class and, where wanted, d-logits.
#[allow(clippy::too_many_arguments, reason = "the operands of the operator")]
pub fn cross_entropy(
    d: &Loss,
    x: &[f32],
    labels: &[f32],
    hyper: &[f32],
    weights: Option<&[f32]>,
    loss: &mut [f32],
    rank: &mut [f32],
    dx: Option<&mut [f32]>,
) {
    if let Some(weights) = weights {
        weighted_cross_entropy(d, x, labels, hyper, weights, loss, rank, dx);
        return;
    }
    let smoothing = f64::from(d.smoothing);
    let classes = d.classes as f64;
    let share = if d.mixed { f64::from(Hyper::from_words(hyper).mix_weight) } else { 1.0 };
    rows(d, x, labels, hyper, loss, rank, dx, |x, labels, scale, dx| {
        let label = class(labels);
        let peak = x.iter().fold(f32::NEG_INFINITY, |peak, &v| peak.max(v));
        let exponentials = vectorised!(|| sum1(x, |v| exp(v - peak)));
        let shifted = vectorised!(|| sum1(x, |v| v - peak));
        let logit =
            |label: Option<usize>| label.and_then(|l| x.get(l)).map_or(f64::NAN, |&v| f64::from(v - peak));
        let other = labels.get(1).map(|&l| l as usize);
        let right = match other {
            Some(_) if share == 0.0 => logit(other),
            Some(_) if share != 1.0 => share * logit(label) + (1.0 - share) * logit(other),
            _ => logit(label),
        };
        // Smoothing times a sum with an infinity must not make a NaN of a loss without smoothing.
        let smoothed = if smoothing > 0.0 { smoothing / classes * shifted } else { 0.0 };
        if let Some(dx) = dx {
            let factor = (1.0 / exponentials) as f32;
            let spread = (smoothing / classes) as f32;
            vectorised!(|| {
                for (dx, &v) in dx.iter_mut().zip(x) {
                    *dx = (exp(v - peak) * factor - spread) * scale;
                }
            });
            let mut aim = |label: usize, part: f64| {
                if let Some(dx) = dx.get_mut(label) {
                    let target = ((1.0 - smoothing) * part) as f32;
                    *dx = (exp(x[label] - peak) * factor - target - spread) * scale;
                }
            };
            match (label, other) {
                (Some(label), Some(other)) if label != other => {
                    aim(label, share);
                    aim(other, 1.0 - share);
                }
                (Some(label), _) => aim(label, 1.0),
                (None, _) => {}
            }
        }
        exponentials.ln() - (1.0 - smoothing) * right - smoothed
    });
}

/// As [`cross_entropy`], with a weight for each class.
#[allow(clippy::too_many_arguments, reason = "the operands of the operator")]
fn weighted_cross_entropy(
    d: &Loss,
    x: &[f32],
    labels: &[f32],
    hyper: &[f32],
    weights: &[f32],
    loss: &mut [f32],
    rank: &mut [f32],
    dx: Option<&mut [f32]>,
) {
    let smoothing = f64::from(d.smoothing);
    let share = smoothing / d.classes as f64;
    let all = if smoothing > 0.0 { vectorised!(|| sum1(weights, |w| w)) } else { 0.0 };
    rows(d, x, labels, hyper, loss, rank, dx, |x, labels, scale, dx| {
        let label = class(labels);
        let peak = x.iter().fold(f32::NEG_INFINITY, |peak, &v| peak.max(v));
        let exponentials = vectorised!(|| sum1(x, |v| exp(v - peak)));
        let right = label.and_then(|l| x.get(l)).map_or(f64::NAN, |&v| f64::from(v - peak));
        let own = label.and_then(|l| weights.get(l)).map_or(f64::NAN, |&w| f64::from(w));
        // The sum of the targets.
        let total = (1.0 - smoothing) * own + share * all;
        // Smoothing times a sum with an infinity must not make a NaN of a loss without smoothing.
        let spread = if smoothing > 0.0 {
            let terms = x.iter().zip(weights).map(|(&v, &w)| f64::from(w) * f64::from(v - peak));
            share * terms.sum::<f64>()
        } else {
            0.0
        };
        if let Some(dx) = dx {
            let factor = (total / exponentials) as f32;
            let share = share as f32;
            vectorised!(|| {
                for ((dx, &v), &w) in dx.iter_mut().zip(x).zip(weights) {
                    *dx = (exp(v - peak) * factor - share * w) * scale;
                }
            });
            if let Some((label, dx)) = label.and_then(|l| Some((l, dx.get_mut(l)?))) {
                let target = ((1.0 - smoothing) * own) as f32;
                *dx = (exp(x[label] - peak) * factor - target - share * weights[label]) * scale;
            }
        }
        total * exponentials.ln() - (1.0 - smoothing) * own * right - spread
    });
}

/// Half the squared error over outputs, rank of the right class and, where wanted, dx.
pub fn half_squared_error(
    d: &Loss,
    x: &[f32],
    labels: &[f32],
    hyper: &[f32],
    loss: &mut [f32],
    rank: &mut [f32],
    dx: Option<&mut [f32]>,
) {
    rows(d, x, labels, hyper, loss, rank, dx, |x, labels, scale, dx| {
        let label = class(labels);
        let target = |i: usize| match d.target {
            Target::Class => f32::from(u8::from(label == Some(i))),
            Target::Values => labels[i],
        };
        if let Some(dx) = dx {
            for (i, (dx, &x)) in dx.iter_mut().zip(x).enumerate() {
                *dx = (x - target(i)) * scale;
            }
        }
        let squares = x.iter().enumerate().map(|(i, &x)| {
            let error = f64::from(x) - f64::from(target(i));
            error * error
        });
        0.5 * squares.sum::<f64>()
    });
}

/// The class number in a row's label.
fn class(labels: &[f32]) -> Option<usize> {
    labels.first().map(|&l| l as usize)
}

/// Calls `one` for every real row with its x, its labels, the factor of gradients and its dx; it answers with the
/// loss. Rows that only pad get loss 0, the last rank and dx = 0.
#[allow(clippy::too_many_arguments, reason = "the operands of the operator")]
fn rows(
    d: &Loss,
    x: &[f32],
    labels: &[f32],
    hyper: &[f32],
    loss: &mut [f32],
    rank: &mut [f32],
    dx: Option<&mut [f32]>,
    one: impl Fn(&[f32], &[f32], f32, Option<&mut [f32]>) -> f64 + Sync,
) {
    let hyper = Hyper::from_words(hyper);
    let width = labels.len() / d.batch;
    let row = |n: usize, loss: &mut f32, rank: &mut f32, dx: Option<&mut [f32]>| {
        if n >= hyper.rows as usize {
            *loss = 0.0;
            *rank = d.classes as f32;
            if let Some(dx) = dx {
                dx.fill(0.0);
            }
            return;
        }
        let x = &x[n * d.classes..(n + 1) * d.classes];
        let both;
        let labels = if d.mixed {
            let rows = hyper.rows as usize;
            both = [labels[n], labels[(n + rows - 1) % rows]];
            &both[..]
        } else {
            &labels[n * width..(n + 1) * width]
        };
        *rank = rank_of(d, hyper.mix_weight, x, labels) as f32;
        *loss = one(x, labels, hyper.loss_scale, dx) as f32;
    };
    let outputs = loss.par_iter_mut().zip(rank).enumerate();
    match dx {
        Some(dx) => outputs
            .zip(dx.par_chunks_mut(d.classes))
            .for_each(|((n, (loss, rank)), dx)| row(n, loss, rank, Some(dx))),
        None => outputs.for_each(|(n, (loss, rank))| row(n, loss, rank, None)),
    }
}

/// How many classes stand before the right one; `share` is that of the first of two labels.
fn rank_of(d: &Loss, share: f32, x: &[f32], labels: &[f32]) -> usize {
    let right = match d.target {
        Target::Values if d.classes == 1 => {
            return if x[0].is_nan() { 1 } else { usize::from((x[0] > 0.5) != (labels[0] > 0.5)) };
        }
        Target::Values => {
            let mut best = 0;
            for (i, &v) in labels.iter().enumerate() {
                if v > labels[best] {
                    best = i;
                }
            }
            Some(best)
        }
        Target::Class if d.mixed && share < 0.5 => class(&labels[1..]),
        Target::Class => class(labels),
    };
    match right.and_then(|r| Some((r, *x.get(r)?))) {
        Some((right, value)) if !value.is_nan() => {
            let (before, after) = x.split_at(right);
            before.iter().filter(|&&v| v >= value).count() + after.iter().filter(|&&v| v > value).count()
        }
        _ => d.classes,
    }
}

/// Sums a step's losses and hits into its record.
pub fn metrics(d: &Metrics, loss: &[f32], rank: &[f32], hyper: &[f32], metrics: &mut [f32]) -> Result<()> {
    let hyper = Hyper::from_words(hyper);
    let rows = (hyper.rows as usize).min(d.batch);
    let start = hyper.slot as usize * Metrics::RECORD;
    let record = metrics.get_mut(start..start + Metrics::RECORD).ok_or_else(|| {
        Error::Internal(format!("metrics has {} records, found slot {}", d.slots, hyper.slot))
    })?;
    let hits = |below: f32| rank[..rows].iter().filter(|&&r| r < below).count() as f32;
    record.copy_from_slice(&[sum(&loss[..rows]) as f32, hits(1.0), hits(5.0), rows as f32, 0.0]);
    Ok(())
}
