//! Batch normalisation.

use super::OperatorCheck;
use super::pointwise::relu;
use crate::ops::{BatchNorm2d, Hyper, Op};
use crate::verify::cases::{Case, Data, default_hyper, outputs};
use crate::verify::error_scale::Run;

pub fn stats(d: &BatchNorm2d) -> OperatorCheck<'_> {
    let reference = |hyper: &Hyper, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]| {
        stats_reference(d, hyper, inputs, outputs);
    };
    let scale = |run: &Run<'_>| stats_scale(d, run.hyper, &run.before[run.first..], run.outputs);
    OperatorCheck::new(Some(d.batch * d.inner), reference, scale)
}

pub fn forward(d: &BatchNorm2d) -> OperatorCheck<'_> {
    let scale = |run: &Run<'_>| vec![forward_scale(d, run.before)];
    OperatorCheck::new(None, |_, inputs, outputs| forward_reference(d, inputs, outputs), scale).prepared(
        |case, operands| {
            if case.data != Data::Nan {
                let [mean, variance] = statistics(case, *d, &operands[0]);
                (operands[3], operands[4]) = (mean, variance);
            }
        },
    )
}

pub fn grad_parameters(d: &BatchNorm2d) -> OperatorCheck<'_> {
    let reference = |hyper: &Hyper, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]| {
        grad_parameters_reference(d, hyper, inputs, outputs);
    };
    let scale = |run: &Run<'_>| grad_parameters_scale(d, run.hyper, run.before, run.outputs);
    OperatorCheck::new(Some(d.batch * d.inner), reference, scale).prepared(|case, operands| {
        let [mean, variance] = statistics(case, *d, &operands[0]);
        (operands[2], operands[3]) = (mean, variance);
    })
}

pub fn grad_input(d: &BatchNorm2d) -> OperatorCheck<'_> {
    let reference = |hyper: &Hyper, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]| {
        grad_input_reference(d, hyper, inputs, outputs);
    };
    let scale = |run: &Run<'_>| vec![grad_input_scale(d, run.hyper, run.before)];
    OperatorCheck::new(None, reference, scale).prepared(|case, operands| {
        let [mean, variance] = statistics(case, *d, &operands[0]);
        // Any weights will do: here the first coefficients that were drawn.
        let w = operands[1][..d.channels].to_vec();
        let inputs = [&operands[0][..], &w, &mean, &variance, &operands[2], &operands[3]];
        operands[1] = outputs(case, Op::BatchNorm2dGradParameters(*d), &inputs).swap_remove(2);
    })
}

/// Positions of the elements of channel `c` in the first `rows` rows.
fn elements(d: &BatchNorm2d, rows: usize, c: usize) -> impl Iterator<Item = usize> {
    let d = *d;
    (0..rows).flat_map(move |n| (0..d.inner).map(move |i| (n * d.channels + c) * d.inner + i))
}

fn stats_reference(d: &BatchNorm2d, hyper: &Hyper, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
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

fn forward_reference(d: &BatchNorm2d, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
    let [x, w, b, mean, var] = [0, 1, 2, 3, 4].map(|i| &inputs[i]);
    for c in 0..d.channels {
        for i in elements(d, d.batch, c) {
            let y = (x[i] - mean[c]) / (var[c] + f64::from(d.eps)).sqrt() * w[c] + b[c];
            outputs[0][i] = if d.relu { relu(y) } else { y };
        }
    }
}

fn grad_parameters_reference(d: &BatchNorm2d, hyper: &Hyper, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
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

fn grad_input_reference(d: &BatchNorm2d, hyper: &Hyper, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
    let [x, coefficients, dy] = [0, 1, 2].map(|i| &inputs[i]);
    outputs[0].fill(0.0);
    for channel in 0..d.channels {
        let [a, b, c, mean] = [0, 1, 2, 3].map(|row| coefficients[row * d.channels + channel]);
        for i in elements(d, hyper.rows as usize, channel) {
            outputs[0][i] = a * dy[i] + b * (x[i] - mean) + c;
        }
    }
}

fn statistics(case: &Case, d: BatchNorm2d, x: &[f32]) -> [Vec<f32>; 2] {
    let hyper = vec![0.0; Hyper::WORDS];
    let mut all = outputs(case, Op::BatchNorm2dStats(d), &[x, &hyper]).into_iter();
    [all.next().unwrap_or_default(), all.next().unwrap_or_default()]
}

fn stats_scale(d: &BatchNorm2d, hyper: &Hyper, running: &[Vec<f64>], outputs: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let count = (hyper.rows as usize * d.inner) as f64;
    let momentum = f64::from(d.momentum);
    let (mean, var) = (&outputs[0], &outputs[1]);
    // sqrt(sum of x^2) / N, by way of the mean of x^2 = var + mean^2.
    let of_mean: Vec<f64> = mean
        .iter()
        .zip(var)
        .map(|(mean, var)| ((var + mean * mean) / count).sqrt().max(mean.abs()))
        .collect();
    let mix = |old: &[f64], new: &[f64], factor: f64| -> Vec<f64> {
        old.iter().zip(new).map(|(o, n)| (1.0 - momentum) * o.abs() + momentum * factor * n).collect()
    };
    let running_mean = mix(&running[2], &of_mean, 1.0);
    let running_var = mix(&running[3], var, count / (count - 1.0).max(1.0));
    vec![of_mean, var.clone(), running_mean, running_var]
}

/// Channel of element `i` of a `[batch, channels, inner]` tensor.
fn channel(d: &BatchNorm2d, i: usize) -> usize {
    i / d.inner % d.channels
}

/// 1 / sqrt(var + eps).
fn inverse_deviation(d: &BatchNorm2d, var: f64) -> f64 {
    1.0 / (var + f64::from(d.eps)).sqrt()
}

fn forward_scale(d: &BatchNorm2d, before: &[Vec<f64>]) -> Vec<f64> {
    let [x, w, b, mean, var] = [0, 1, 2, 3, 4].map(|i| &before[i]);
    let term = |(i, x): (usize, &f64)| {
        let c = channel(d, i);
        ((x - mean[c]) * inverse_deviation(d, var[c]) * w[c]).abs() + b[c].abs()
    };
    x.iter().enumerate().map(term).collect()
}

fn grad_parameters_scale(
    d: &BatchNorm2d,
    hyper: &Hyper,
    before: &[Vec<f64>],
    outputs: &[Vec<f64>],
) -> Vec<Vec<f64>> {
    let [x, w, mean, var, dy] = [0, 1, 2, 3, 4].map(|i| &before[i]);
    let real = hyper.rows as usize * d.channels * d.inner;
    let count = (hyper.rows as usize * d.inner) as f64;
    let (mut dw, mut db) = (vec![0.0; d.channels], vec![0.0; d.channels]);
    for i in 0..real {
        let c = channel(d, i);
        dw[c] += (dy[i] * (x[i] - mean[c]) * inverse_deviation(d, var[c])).powi(2);
        db[c] += dy[i] * dy[i];
    }
    // Row 3 is a copy of the mean.
    let mut coefficients = vec![0.0; 4 * d.channels];
    for c in 0..d.channels {
        dw[c] = dw[c].sqrt().max(outputs[0][c].abs());
        db[c] = db[c].sqrt().max(outputs[1][c].abs());
        let s = inverse_deviation(d, var[c]);
        let a = (w[c] * s).abs();
        coefficients[c] = a;
        coefficients[d.channels + c] = a * s * dw[c] / count;
        coefficients[2 * d.channels + c] = a * db[c] / count;
    }
    vec![dw, db, coefficients]
}

fn grad_input_scale(d: &BatchNorm2d, hyper: &Hyper, before: &[Vec<f64>]) -> Vec<f64> {
    let [x, coefficients, dy] = [0, 1, 2].map(|i| &before[i]);
    let real = hyper.rows as usize * d.channels * d.inner;
    let term = |i: usize| {
        if i >= real {
            return 0.0;
        }
        let [a, b, c, mean] = [0, 1, 2, 3].map(|row| coefficients[row * d.channels + channel(d, i)]);
        (a * dy[i]).abs() + (b * (x[i] - mean)).abs() + c.abs()
    };
    (0..x.len()).map(term).collect()
}

fn quadruple(what: &str, d: BatchNorm2d, rows: usize) -> [Case; 4] {
    let hyper = Hyper { rows: rows as u32, ..default_hyper() };
    let length = rows * d.inner;
    [
        Case::new(Op::BatchNorm2dStats(d), what, length).with_hyper(hyper),
        Case::new(Op::BatchNorm2dForward(d), what, 4).with_hyper(hyper),
        Case::new(Op::BatchNorm2dGradParameters(d), what, length).with_hyper(hyper),
        Case::new(Op::BatchNorm2dGradInput(d), what, 4).with_hyper(hyper),
    ]
}

pub fn cases() -> Vec<Case> {
    // batch, channels, inner, rows, relu, data
    let sizes = [
        (2, 1, 1, 2, false, Data::Plain),
        (3, 2, 1, 1, false, Data::Plain),
        (1, 3, 7, 1, false, Data::Plain),
        (37, 5, 1, 37, true, Data::Plain),
        (4, 7, 35, 3, true, Data::Plain),
        (5, 3, 49, 1, false, Data::Plain),
        (3, 65, 63, 3, false, Data::Plain),
        (2, 64, 256, 2, true, Data::Plain),
        (3, 2, 3361, 3, false, Data::Plain),
        (300, 3, 2, 259, false, Data::Plain),
        (8, 5, 121, 8, false, Data::Offset),
        (8, 5, 121, 7, true, Data::Offset),
        (2, 3, 2503, 2, false, Data::Offset),
        (5, 48, 35, 4, true, Data::Offset),
    ];
    let mut cases = Vec::new();
    for (batch, channels, inner, rows, relu, data) in sizes {
        let d = BatchNorm2d { batch, channels, inner, eps: 1e-5, momentum: 0.1, relu };
        let offset = if data == Data::Offset { "_offset" } else { "" };
        let what = format!("{batch}x{channels}x{inner}_rows_{rows}{offset}");
        cases.extend(quadruple(&what, d, rows).map(|case| case.with_data(data)));
    }
    let d = BatchNorm2d { batch: 3, channels: 4, inner: 6, eps: 0.1, momentum: 0.3, relu: true };
    cases.extend(quadruple("large_eps", d, 3));
    let forward = Case::new(Op::BatchNorm2dForward(d), "nan_row", 4);
    cases.push(forward.with_data(Data::Nan));
    cases.extend(long_cases());
    cases
}

/// Reductions over more than 65,536 elements.
fn long_cases() -> Vec<Case> {
    // batch, channels, inner, rows
    let sizes = [(4, 2, 16_384, 4), (1, 2, 70_001, 1), (70_001, 1, 1, 70_001), (300, 2, 300, 299)];
    let mut cases = Vec::new();
    for (batch, channels, inner, rows) in sizes {
        let d = BatchNorm2d { batch, channels, inner, eps: 1e-5, momentum: 0.1, relu: false };
        let [stats, _, grad_parameters, _] =
            quadruple(&format!("{batch}x{channels}x{inner}_rows_{rows}"), d, rows);
        cases.extend([stats, grad_parameters]);
    }
    cases
}
