//! Losses and the record of a step.

use super::OperatorCheck;
use super::softmax::log_softmax;
use crate::ops::{Hyper, Loss, Metrics, Op, Softmax, Target};
use crate::random::Stream;
use crate::verify::cases::{Case, Data, LENGTHS, default_hyper};
use crate::verify::error_scale::{Run, absolute, exact_like, exponential, only};
use crate::verify::oracle;

pub fn cross_entropy(d: &Loss) -> OperatorCheck<'_> {
    let reference = |hyper: &Hyper, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]| {
        cross_entropy_reference(d, hyper, inputs, outputs);
    };
    OperatorCheck::new(Some(d.classes), reference, |run| cross_entropy_scale(d, run))
        .prepared(|case, operands| label_non_finite_rows(d, case, operands))
}

pub fn half_squared_error(d: &Loss) -> OperatorCheck<'_> {
    let reference = |hyper: &Hyper, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]| {
        half_squared_error_reference(d, hyper, inputs, outputs);
    };
    let scale = |run: &Run<'_>| {
        let mut all = absolute(run);
        all[1] = exact_like(&run.outputs[1]);
        all
    };
    OperatorCheck::new(Some(d.classes), reference, scale)
        .prepared(|case, operands| label_non_finite_rows(d, case, operands))
}

pub fn metrics(d: &Metrics) -> OperatorCheck<'_> {
    let scale = |run: &Run<'_>| vec![only(run.hyper.slot as usize * Metrics::RECORD, &run.outputs[0])];
    OperatorCheck::new(Some(d.batch), metrics_reference, scale)
}

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

fn cross_entropy_reference(d: &Loss, hyper: &Hyper, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
    pad(d, outputs);
    for n in 0..hyper.rows as usize {
        let x = &inputs[0][n * d.classes..(n + 1) * d.classes];
        let right = inputs[1][n] as usize;
        let other = partner(d, hyper, inputs, n);
        outputs[1][n] = rank(x, if d.mixed && hyper.mix_weight < 0.5 { other } else { right });
        let total = total(d, hyper, inputs, n);
        for (j, log_p) in log_softmax(x).into_iter().enumerate() {
            let t = target(d, hyper, inputs, n, j);
            // 0 log 0 is 0 in a cross-entropy.
            outputs[0][n] -= if t == 0.0 && !log_p.is_nan() { 0.0 } else { t * log_p };
            if d.grad {
                outputs[2][n * d.classes + j] = (log_p.exp() * total - t) * f64::from(hyper.loss_scale);
            }
        }
    }
}

/// The second label of row `n` of a cross-entropy with `operands`: of rows that are mixed that of the one before, of the first the last.
fn partner(d: &Loss, hyper: &Hyper, operands: &[Vec<f64>], n: usize) -> usize {
    let row = match (d.mixed, n) {
        (false, _) => n,
        (true, 0) => hyper.rows as usize - 1,
        (true, _) => n - 1,
    };
    operands[1][row] as usize
}

/// The target of output `j` in row `n` of a cross-entropy with `operands`.
fn target(d: &Loss, hyper: &Hyper, operands: &[Vec<f64>], n: usize, j: usize) -> f64 {
    let smoothing = f64::from(d.smoothing);
    let share = if d.mixed { f64::from(hyper.mix_weight) } else { 1.0 };
    let own = if j == operands[1][n] as usize { share } else { 0.0 };
    let other = if j == partner(d, hyper, operands, n) { 1.0 - share } else { 0.0 };
    let weight = if d.weighted { operands[3][j] } else { 1.0 };
    weight * ((1.0 - smoothing) * (own + other) + smoothing / d.classes as f64)
}

/// The sum of the targets of row `n`: 1 without weights.
fn total(d: &Loss, hyper: &Hyper, operands: &[Vec<f64>], n: usize) -> f64 {
    if d.weighted { (0..d.classes).map(|j| target(d, hyper, operands, n, j)).sum() } else { 1.0 }
}

fn half_squared_error_reference(d: &Loss, hyper: &Hyper, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
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

fn metrics_reference(hyper: &Hyper, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
    let (loss, rank) = (&inputs[0], &inputs[1]);
    let rows = hyper.rows as usize;
    let hits = |k: f64| rank[..rows].iter().filter(|&&r| r < k).count() as f64;
    let record = [loss[..rows].iter().sum(), hits(1.0), hits(5.0), rows as f64, 0.0];
    let start = hyper.slot as usize * record.len();
    outputs[0][start..start + record.len()].copy_from_slice(&record);
}

fn cross_entropy_scale(d: &Loss, run: &Run<'_>) -> Vec<Vec<f64>> {
    let (hyper, outputs) = (run.hyper, run.outputs);
    let rows = hyper.rows as usize;
    let totals: Vec<f64> = (0..d.batch).map(|n| total(d, run.hyper, run.before, n)).collect();
    let loss = (0..d.batch).map(|n| if n < rows { totals[n] + outputs[0][n] } else { 0.0 }).collect();
    let mut all = vec![loss, exact_like(&outputs[1])];
    if d.grad {
        let softmax = Softmax { batch: d.batch, channels: d.classes, inner: 1 };
        let mut p = vec![run.before[0].clone(), vec![0.0; run.before[0].len()]];
        oracle::run(&Op::SoftmaxForward(softmax), hyper, &mut p);
        let scale = f64::from(hyper.loss_scale);
        let mut dx: Vec<f64> = (p[1].iter().zip(&outputs[2]))
            .enumerate()
            .map(|(i, (&p, dx))| {
                let total = totals[i / d.classes];
                (total * exponential(p) + (total * p - dx / scale).abs()) * scale
            })
            .collect();
        dx[rows * d.classes..].fill(0.0);
        all.push(dx);
    }
    all
}

/// Labels for the loss `op`.
pub fn labels(op: &Op, len: usize, stream: &mut Stream) -> Vec<f32> {
    let (Op::CrossEntropy(d) | Op::HalfSquaredError(d)) = op else { return vec![0.0; len] };
    match d.target {
        Target::Class => (0..len).map(|_| stream.below(d.classes as u32) as f32).collect(),
        // Multiples of one quarter: equal maxima, and values on either side of 0.5 and at it.
        Target::Values => (0..len).map(|_| stream.below(5) as f32 / 4.0).collect(),
    }
}

/// With NaN in x: the correct class of the first row is its NaN, that of the second is not.
fn label_non_finite_rows(d: &Loss, case: &Case, operands: &mut [Vec<f32>]) {
    if case.data == Data::Nan {
        operands[1][0] = (d.classes - 1) as f32;
        operands[1][1] = (d.classes / 2) as f32;
    }
}

fn rows(rows: usize) -> Hyper {
    Hyper { rows: rows as u32, loss_scale: 1.0 / rows as f32, ..default_hyper() }
}

pub fn cases() -> Vec<Case> {
    use Data::{Huge, Nan, Plain, Ties};
    let mut cases = Vec::new();
    // batch, classes, rows, smoothing, grad, data
    let cross_entropy = [
        (1, 1, 1, 0.0, true, Plain),
        (3, 2, 3, 0.0, true, Plain),
        (7, 10, 5, 0.0, true, Plain),
        (7, 10, 7, 0.1, true, Plain),
        (4, 10, 3, 1.0, true, Plain),
        (5, 1000, 4, 0.0, true, Plain),
        (2, 1000, 2, 0.1, true, Plain),
        (130, 65, 129, 0.0, true, Plain),
        (65, 63, 65, 0.1, false, Plain),
        (4, 10, 4, 0.0, true, Huge),
        (4, 10, 4, 0.2, true, Huge),
        (9, 257, 9, 0.0, true, Huge),
        (40, 5, 40, 0.0, true, Ties),
        (9, 10, 9, 0.1, false, Ties),
        (5, 10, 5, 0.0, true, Nan),
        (5, 300, 4, 0.1, true, Nan),
    ];
    for (batch, classes, real, smoothing, grad, data) in cross_entropy {
        let d =
            Loss { batch, classes, target: Target::Class, smoothing, weighted: false, grad, mixed: false };
        let what = format!("{batch}x{classes}_rows_{real}_smoothing_{smoothing}_{data:?}").to_lowercase();
        let case = Case::new(Op::CrossEntropy(d), &what, classes);
        cases.push(case.with_hyper(rows(real)).with_data(data));
    }
    let weighted = [
        (1, 1, 1, 0.0, Plain),
        (3, 2, 3, 0.1, Plain),
        (7, 10, 5, 0.0, Plain),
        (7, 10, 7, 0.1, Plain),
        (4, 10, 3, 1.0, Plain),
        (2, 1000, 2, 0.1, Plain),
        (130, 65, 129, 0.0, Plain),
        (65, 63, 64, 0.2, Plain),
        (4, 10, 4, 0.2, Huge),
        (9, 257, 9, 0.0, Huge),
        (40, 5, 40, 0.1, Ties),
        (5, 300, 4, 0.1, Nan),
    ];
    for (batch, classes, real, smoothing, data) in weighted {
        let d = Loss {
            batch,
            classes,
            target: Target::Class,
            smoothing,
            weighted: true,
            grad: true,
            mixed: false,
        };
        let what =
            format!("{batch}x{classes}_rows_{real}_smoothing_{smoothing}_weighted_{data:?}").to_lowercase();
        let case = Case::new(Op::CrossEntropy(d), &what, classes);
        cases.push(case.with_hyper(rows(real)).with_data(data));
    }
    // batch, classes, rows, smoothing, share, data
    let mixed = [
        (1, 3, 1, 0.0, 0.4, Plain),
        (7, 10, 5, 0.0, 0.3, Plain),
        (7, 10, 7, 0.1, 0.8, Plain),
        (40, 5, 39, 0.1, 0.5, Ties),
        (5, 1000, 4, 0.1, 0.45, Plain),
        (130, 65, 129, 0.0, 0.0, Plain),
        (65, 63, 65, 0.1, 1.0, Plain),
        (4, 10, 4, 0.2, 0.7, Huge),
        (5, 10, 5, 0.0, 0.2, Nan),
    ];
    for (batch, classes, real, smoothing, share, data) in mixed {
        let d = Loss {
            batch,
            classes,
            target: Target::Class,
            smoothing,
            weighted: false,
            grad: true,
            mixed: true,
        };
        let what = format!("{batch}x{classes}_rows_{real}_smoothing_{smoothing}_share_{share}_{data:?}");
        let case = Case::new(Op::CrossEntropy(d), &what.to_lowercase(), classes);
        cases.push(case.with_hyper(Hyper { mix_weight: share, ..rows(real) }).with_data(data));
    }
    // batch, classes, rows, target, grad, data
    let half_squared_error = [
        (1, 1, 1, Target::Class, true, Plain),
        (5, 10, 4, Target::Class, true, Plain),
        (3, 1000, 3, Target::Class, true, Plain),
        (40, 5, 40, Target::Class, false, Ties),
        (4, 10, 4, Target::Class, true, Huge),
        (6, 10, 6, Target::Class, true, Nan),
        (129, 1, 127, Target::Values, true, Plain),
        (33, 1, 33, Target::Values, true, Ties),
        (7, 2, 7, Target::Values, true, Plain),
        (65, 4, 64, Target::Values, true, Ties),
        (3, 257, 2, Target::Values, true, Plain),
        (3, 64, 3, Target::Values, false, Plain),
    ];
    for (batch, classes, real, target, grad, data) in half_squared_error {
        let d = Loss { batch, classes, target, smoothing: 0.0, weighted: false, grad, mixed: false };
        let what = format!("{batch}x{classes}_rows_{real}_{target:?}_{data:?}").to_lowercase();
        let case = Case::new(Op::HalfSquaredError(d), &what, classes);
        cases.push(case.with_hyper(rows(real)).with_data(data));
    }
    // batch, slots, rows, slot
    for (batch, slots, real, slot) in
        [(1, 1, 1, 0), (7, 64, 5, 63), (128, 64, 128, 1), (300, 3, 257, 2), (1025, 64, 1025, 17)]
    {
        let what = format!("{batch}_rows_{real}_slot_{slot}_of_{slots}");
        let case = Case::new(Op::Metrics(Metrics { batch, slots }), &what, real);
        cases.push(case.with_hyper(Hyper { slot, ..rows(real) }));
    }
    cases.extend(long_cases());
    cases
}

/// Reductions over more than 65,536 elements.
fn long_cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for len in LENGTHS {
        let target = Target::Class;
        let d = Loss {
            batch: 3,
            classes: len,
            target,
            smoothing: 0.1,
            weighted: false,
            grad: true,
            mixed: false,
        };
        let what = format!("3x{len}_rows_2");
        cases.push(Case::new(Op::CrossEntropy(d), &what, len).with_hyper(rows(2)));
        let weighted = Loss { weighted: true, ..d };
        let what_weighted = format!("3x{len}_rows_2_weighted");
        cases.push(Case::new(Op::CrossEntropy(weighted), &what_weighted, len).with_hyper(rows(2)));
        let plain = Loss { smoothing: 0.0, ..d };
        cases.push(Case::new(Op::HalfSquaredError(plain), &what, len).with_hyper(rows(2)));
        let values = Loss { target: Target::Values, ..plain };
        let what = format!("3x{len}_rows_2_values");
        cases.push(Case::new(Op::HalfSquaredError(values), &what, len).with_hyper(rows(2)));
        let case = Case::new(Op::Metrics(Metrics { batch: len, slots: 2 }), &format!("{len}"), len);
        cases.push(case.with_hyper(Hyper { slot: 1, ..rows(len - 3) }));
    }
    cases
}
