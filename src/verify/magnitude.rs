//! How large the terms are that an output element is made of: rounding errors are relative to these, not to the
//! result, which may have cancelled.

use super::oracle;
use crate::ops::{
    Access, Augment, BatchNorm2d, Hyper, LocalResponseNorm, LocalResponseNormWithin, Metrics, Op,
    OperandKind, Softmax,
};
use crate::view::View;

/// One list per operand that is not only read, in their order: the size of what each element is summed from, at
/// least its own where it is rounded at all; 0 where the result has to be exact (a selection or a copy of inputs).
///
/// `before` and `after` are all operands before and after [`oracle::run`].
pub fn magnitudes(op: &Op, hyper: &Hyper, before: &[Vec<f64>], after: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let first = op.operands().iter().take_while(|o| o.access == Access::Read).count();
    let outputs = &after[first..];
    let absolute = |y: &Vec<f64>| y.iter().map(|v| v.abs()).collect::<Vec<f64>>();
    let exact = |y: &Vec<f64>| vec![0.0; y.len()];
    match op {
        Op::Augment(d) => vec![augment(d, before, &outputs[0])],
        Op::ReluForward(_)
        | Op::ReluBackward(_)
        | Op::MaxPool2dForward(_)
        | Op::ConcatForward(_)
        | Op::ConcatBackward(_) => outputs.iter().map(exact).collect(),
        Op::Conv2dForward(_)
        | Op::Conv2dGradInput(_)
        | Op::Conv2dGradWeight(_)
        | Op::BiasGrad(_)
        | Op::LinearForward(_)
        | Op::LinearGradInput(_)
        | Op::LinearGradWeight(_)
        | Op::Add(_)
        | Op::MaxPool2dBackward(_)
        | Op::AvgPool2dForward(_)
        | Op::AvgPool2dBackward(_)
        | Op::AdaptiveAvgPool2dForward(_)
        | Op::AdaptiveAvgPool2dBackward(_) => vec![root_of_squares(op, hyper, before, &outputs[0])],
        // Both saturate at 1, and are computed from exponentials: an absolute error is what counts.
        Op::SigmoidForward(_) | Op::TanhForward(_) => vec![vec![1.0; outputs[0].len()]],
        // 1 - y^2 cancels near y = 1.
        Op::TanhBackward(_) => vec![absolute(&before[1])],
        Op::SigmoidBackward(_)
        | Op::LocalResponseNormForward(_)
        | Op::LocalResponseNormWithinForward(_)
        | Op::Dropout(_)
        | Op::GradAccumulate(_)
        | Op::GradScale(_)
        | Op::GradClip(_) => outputs.iter().map(absolute).collect(),
        Op::LocalResponseNormBackward(d) => {
            // With alpha negative the two terms add up instead of cancelling.
            let d = LocalResponseNorm { alpha: -d.alpha, ..*d };
            let mut all: Vec<Vec<f64>> = before.iter().map(absolute).collect();
            oracle::run(&Op::LocalResponseNormBackward(d), hyper, &mut all);
            vec![all.swap_remove(first)]
        }
        Op::LocalResponseNormWithinBackward(d) => {
            let d = LocalResponseNormWithin { alpha: -d.alpha, ..*d };
            let mut all: Vec<Vec<f64>> = before.iter().map(absolute).collect();
            oracle::run(&Op::LocalResponseNormWithinBackward(d), hyper, &mut all);
            vec![all.swap_remove(first)]
        }
        Op::BatchNorm2dStats(d) => batch_norm_stats(d, hyper, &before[first..], outputs),
        Op::BatchNorm2dForward(d) => vec![batch_norm_forward(d, before)],
        Op::BatchNorm2dGradParameters(d) => batch_norm_grad_parameters(d, hyper, before, outputs),
        Op::BatchNorm2dGradInput(d) => vec![batch_norm_grad_input(d, hyper, before)],
        Op::SoftmaxForward(_) => vec![outputs[0].iter().map(|&p| exponential(p)).collect()],
        Op::SoftmaxBackward(d) => vec![softmax_backward(d, before)],
        Op::CrossEntropy(d) => {
            let rows = hyper.rows as usize;
            let loss = (0..d.batch).map(|n| if n < rows { 1.0 + outputs[0][n] } else { 0.0 }).collect();
            let mut all = vec![loss, exact(&outputs[1])];
            if d.grad {
                let softmax = Softmax { batch: d.batch, channels: d.classes, inner: 1 };
                let mut p = vec![before[0].clone(), vec![0.0; before[0].len()]];
                oracle::run(&Op::SoftmaxForward(softmax), hyper, &mut p);
                let scale = f64::from(hyper.loss_scale);
                let mut dx: Vec<f64> = (p[1].iter().zip(&outputs[2]))
                    .map(|(&p, dx)| (exponential(p) + (p - dx / scale).abs()) * scale)
                    .collect();
                dx[rows * d.classes..].fill(0.0);
                all.push(dx);
            }
            all
        }
        Op::HalfSquaredError(_) => {
            let mut all: Vec<Vec<f64>> = outputs.iter().map(absolute).collect();
            all[1] = exact(&outputs[1]);
            all
        }
        Op::Metrics(_) => vec![only(hyper.slot as usize * Metrics::RECORD, &outputs[0])],
        Op::GradUnscale(_) => vec![exact(&outputs[0]), absolute(&outputs[1])],
        Op::GradNorm(d) => vec![only(d.index, &outputs[0])],
        Op::Sgd(d) | Op::Adam(d) | Op::AdamW(d) | Op::RmsProp(d) => {
            // On absolute values and with a negative rate, everything adds up.
            let mut all: Vec<Vec<f64>> = before.iter().map(absolute).collect();
            oracle::run(op, &Hyper { lr: -hyper.lr, ..*hyper }, &mut all);
            let mut all = all.split_off(first);
            if d.number > 0
                && let (Some(magnitude), Some(record)) = (all.last_mut(), outputs.last())
            {
                *magnitude = exact(record);
            }
            all
        }
    }
}

/// The largest that colours can be, 255, through colour, gain and bias; what is cut out is exactly 0.
fn augment(d: &Augment, before: &[Vec<f64>], x: &[f64]) -> Vec<f64> {
    let words: Vec<u32> = before[1].iter().map(|&word| word as u32).collect();
    let views: &[View] = bytemuck::cast_slice(&words);
    let plane = d.h_out * d.w_out;
    let size = |(i, &x): (usize, &f64)| {
        let (view, c) = (&views[i / plane / d.c_out], i / plane % d.c_out);
        let size = |v: f32| f64::from(v.abs());
        let [r, g, b, shift] = view.colour[c].map(size);
        let colour = if d.recolours() || view.recolour != 0 { 255.0 * (r + g + b) + shift } else { 0.0 };
        if x == 0.0 { 0.0 } else { size(view.gain[c]) * colour.max(255.0) + size(view.bias[c]) }
    };
    x.iter().enumerate().map(size).collect()
}

/// For y = sum of products: max(|y|, sqrt(sum of squared products)), so that the bound neither grows with a sum's
/// length as the sum of absolute values would, nor vanishes where y cancels.
fn root_of_squares(op: &Op, hyper: &Hyper, before: &[Vec<f64>], y: &[f64]) -> Vec<f64> {
    let mut all = before.to_vec();
    let output = all.len() - 1;
    for (operand, values) in op.operands().iter().zip(&mut all) {
        // A position in a window is not a factor of the products.
        if operand.kind != OperandKind::Index {
            values.iter_mut().for_each(|v| *v *= *v);
        }
    }
    oracle::run(op, hyper, &mut all);
    all[output].iter().zip(y).map(|(squares, y)| squares.sqrt().max(y.abs())).collect()
}

/// Magnitude of p = exp(z): an error of z, which is relative to z, is one of p relative to p.
fn exponential(p: f64) -> f64 {
    let p = p.max(f64::MIN_POSITIVE);
    p * (1.0 - p.ln())
}

/// Exact but for element `i`.
fn only(i: usize, y: &[f64]) -> Vec<f64> {
    let mut magnitude = vec![0.0; y.len()];
    magnitude[i] = y[i].abs();
    magnitude
}

fn softmax_backward(d: &Softmax, before: &[Vec<f64>]) -> Vec<f64> {
    let (y, dy) = (&before[0], &before[1]);
    let mut magnitude = vec![0.0; y.len()];
    for n in 0..d.batch {
        for i in 0..d.inner {
            let at = |c: usize| (n * d.channels + c) * d.inner + i;
            let dot: f64 = (0..d.channels).map(|c| (dy[at(c)] * y[at(c)]).abs()).sum();
            for c in 0..d.channels {
                magnitude[at(c)] = y[at(c)].abs() * (dy[at(c)].abs() + dot);
            }
        }
    }
    magnitude
}

fn batch_norm_stats(
    d: &BatchNorm2d,
    hyper: &Hyper,
    running: &[Vec<f64>],
    outputs: &[Vec<f64>],
) -> Vec<Vec<f64>> {
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

fn batch_norm_forward(d: &BatchNorm2d, before: &[Vec<f64>]) -> Vec<f64> {
    let [x, w, b, mean, var] = [0, 1, 2, 3, 4].map(|i| &before[i]);
    let term = |(i, x): (usize, &f64)| {
        let c = channel(d, i);
        ((x - mean[c]) * inverse_deviation(d, var[c]) * w[c]).abs() + b[c].abs()
    };
    x.iter().enumerate().map(term).collect()
}

fn batch_norm_grad_parameters(
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

fn batch_norm_grad_input(d: &BatchNorm2d, hyper: &Hyper, before: &[Vec<f64>]) -> Vec<f64> {
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
