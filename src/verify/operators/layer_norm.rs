//! Layer normalisation over channels.

use super::OperatorCheck;
use crate::ops::{LayerNorm, Op};
use crate::verify::cases::{Case, Data, LENGTHS, outputs};
use crate::verify::error_scale::Run;

pub fn forward(d: &LayerNorm) -> OperatorCheck<'_> {
    let scale = |run: &Run<'_>| forward_scale(d, run.before, run.outputs);
    OperatorCheck::new(Some(d.channels), |_, inputs, outputs| forward_reference(d, inputs, outputs), scale)
}

pub fn grad_input(d: &LayerNorm) -> OperatorCheck<'_> {
    let reference = |_: &_, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]| {
        let [x, w, mean, r, dy] = [0, 1, 2, 3, 4].map(|i| &inputs[i]);
        for p in 0..d.batch * d.inner {
            let at = |c: usize| element(d, p, c);
            let z = |c: usize| (x[at(c)] - mean[p]) * r[p];
            let n = d.channels as f64;
            let sum: f64 = (0..d.channels).map(|c| dy[at(c)] * w[c]).sum();
            let products: f64 = (0..d.channels).map(|c| dy[at(c)] * w[c] * z(c)).sum();
            for c in 0..d.channels {
                outputs[0][at(c)] = r[p] * (dy[at(c)] * w[c] - sum / n - z(c) * products / n);
            }
        }
    };
    let scale = |run: &Run<'_>| vec![grad_input_scale(d, run.before)];
    OperatorCheck::new(Some(d.channels), reference, scale).prepared(|case, operands| {
        [operands[2], operands[3]] = statistics(case, *d, &operands[0], &operands[1]);
    })
}

pub fn grad_weight(d: &LayerNorm) -> OperatorCheck<'_> {
    let reference = |_: &_, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]| {
        outputs[0].fill(0.0);
        terms(d, inputs, |c, term| outputs[0][c] += term);
    };
    let scale = |run: &Run<'_>| {
        let mut squares = vec![0.0; d.channels];
        terms(d, run.before, |c, term| squares[c] += term * term);
        vec![squares.iter().zip(&run.outputs[0]).map(|(squares, y)| squares.sqrt().max(y.abs())).collect()]
    };
    OperatorCheck::new(Some(d.batch * d.inner), reference, scale).prepared(|case, operands| {
        let w = vec![1.0; d.channels];
        [operands[1], operands[2]] = statistics(case, *d, &operands[0], &w);
    })
}

/// Where channel `c` of place `p` lies, counting the places of all images.
fn element(d: &LayerNorm, p: usize, c: usize) -> usize {
    (p / d.inner * d.channels + c) * d.inner + p % d.inner
}

/// Calls `each` for every channel and term of its dw.
fn terms(d: &LayerNorm, inputs: &[Vec<f64>], mut each: impl FnMut(usize, f64)) {
    let [x, mean, r, dy] = [0, 1, 2, 3].map(|i| &inputs[i]);
    for p in 0..d.batch * d.inner {
        for c in 0..d.channels {
            let i = element(d, p, c);
            each(c, dy[i] * (x[i] - mean[p]) * r[p]);
        }
    }
}

fn forward_reference(d: &LayerNorm, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
    let [x, w, b] = [0, 1, 2].map(|i| &inputs[i]);
    let n = d.channels as f64;
    for p in 0..d.batch * d.inner {
        let at = |c: usize| element(d, p, c);
        let mean = (0..d.channels).map(|c| x[at(c)]).sum::<f64>() / n;
        let variance = (0..d.channels).map(|c| (x[at(c)] - mean) * (x[at(c)] - mean)).sum::<f64>() / n;
        let r = 1.0 / (variance + f64::from(d.eps)).sqrt();
        for c in 0..d.channels {
            outputs[0][at(c)] = (x[at(c)] - mean) * r * w[c] + b[c];
        }
        outputs[1][p] = mean;
        outputs[2][p] = r;
    }
}

fn statistics(case: &Case, d: LayerNorm, x: &[f32], w: &[f32]) -> [Vec<f32>; 2] {
    let b = vec![0.0; d.channels];
    let mut all = outputs(case, Op::LayerNormForward(d), &[x, w, &b]).into_iter().skip(1);
    [all.next().unwrap_or_default(), all.next().unwrap_or_default()]
}

/// The mean is rounded like a sum, and y with the values that it is the mean of.
fn forward_scale(d: &LayerNorm, before: &[Vec<f64>], outputs: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let [x, w, b] = [0, 1, 2].map(|i| &before[i]);
    let (mean, r) = (&outputs[1], &outputs[2]);
    let n = d.channels as f64;
    let (mut of_y, mut of_mean) = (vec![0.0; x.len()], vec![0.0; mean.len()]);
    for p in 0..d.batch * d.inner {
        let at = |c: usize| element(d, p, c);
        let size = ((0..d.channels).map(|c| x[at(c)] * x[at(c)]).sum::<f64>() / n).sqrt();
        of_mean[p] = (size / n.sqrt()).max(mean[p].abs());
        for c in 0..d.channels {
            of_y[at(c)] = ((x[at(c)] - mean[p]).abs() + size) * r[p] * w[c].abs() + b[c].abs();
        }
    }
    vec![of_y, of_mean, r.clone()]
}

fn grad_input_scale(d: &LayerNorm, before: &[Vec<f64>]) -> Vec<f64> {
    let [x, w, mean, r, dy] = [0, 1, 2, 3, 4].map(|i| &before[i]);
    let mut scale = vec![0.0; x.len()];
    let n = d.channels as f64;
    for p in 0..d.batch * d.inner {
        let at = |c: usize| element(d, p, c);
        let z = |c: usize| ((x[at(c)] - mean[p]) * r[p]).abs();
        let g = |c: usize| (dy[at(c)] * w[c]).abs();
        let sum: f64 = (0..d.channels).map(g).sum();
        let products: f64 = (0..d.channels).map(|c| g(c) * z(c)).sum();
        for c in 0..d.channels {
            scale[at(c)] = r[p] * (g(c) + sum / n + z(c) * products / n);
        }
    }
    scale
}

fn triple(what: &str, d: LayerNorm) -> [Case; 3] {
    [
        Case::new(Op::LayerNormForward(d), what, d.channels),
        Case::new(Op::LayerNormGradInput(d), what, d.channels),
        Case::new(Op::LayerNormGradWeight(d), what, d.batch * d.inner),
    ]
}

pub fn cases() -> Vec<Case> {
    // batch, channels, inner, eps, data; some have whole blocks of channels.
    let sizes = [
        (1, 2, 1, 1e-5, Data::Plain),
        (37, 5, 1, 1e-6, Data::Plain),
        (2, 97, 1, 1e-6, Data::Plain),
        (3, 7, 35, 1e-6, Data::Plain),
        (2, 33, 31, 0.1, Data::Plain),
        (1, 3, 600, 1e-6, Data::Plain),
        (3, 48, 35, 1e-6, Data::Plain),
        (2, 32, 130, 1e-5, Data::Plain),
        (5, 7, 9, 1e-6, Data::Offset),
        (4, 48, 9, 1e-6, Data::Offset),
        (4, 60, 1, 1e-6, Data::Offset),
    ];
    let mut cases = Vec::new();
    for (batch, channels, inner, eps, data) in sizes {
        let d = LayerNorm { batch, channels, inner, eps };
        let offset = if data == Data::Offset { "_offset" } else { "" };
        let what = format!("{batch}x{channels}x{inner}{offset}");
        cases.extend(triple(&what, d).map(|case| case.with_data(data)));
    }
    // The variance of one channel is 0.
    let d = LayerNorm { batch: 3, channels: 1, inner: 5, eps: 0.25 };
    cases.push(Case::new(Op::LayerNormForward(d), "one_channel", 1));
    let d = LayerNorm { batch: 3, channels: 4, inner: 6, eps: 1e-5 };
    cases.push(Case::new(Op::LayerNormForward(d), "nan_row", 4).with_data(Data::Nan));
    cases.extend(long_cases());
    cases
}

/// Reductions over more than 65,536 elements.
fn long_cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for len in LENGTHS {
        for (batch, inner) in [(2, 1), (1, 3)] {
            let d = LayerNorm { batch, channels: len, inner, eps: 1e-5 };
            let [forward, grad_input, _] = triple(&format!("{batch}x{len}x{inner}"), d);
            cases.extend([forward, grad_input]);
        }
        for (batch, channels, inner) in [(len, 3, 1), (1, 2, len), (len / 7 + 1, 16, 7)] {
            let d = LayerNorm { batch, channels, inner, eps: 1e-5 };
            let [_, _, grad_weight] = triple(&format!("{batch}x{channels}x{inner}"), d);
            cases.push(grad_weight);
        }
    }
    cases
}
