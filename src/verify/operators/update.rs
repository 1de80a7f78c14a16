//! Gradient sums, clipping, and the updates of parameters.

use super::OperatorCheck;
use crate::ops::{Ema, GradClip, GradNorm, Hyper, Metrics, NonFinite, Op, Pointwise, Update};
use crate::verify::cases::{Case, Data, LENGTHS, default_hyper};
use crate::verify::error_scale::{Run, absolute, exact_like, of_absolute_operands, only};

/// A formula of an update, without the search for non-finite values.
type Formula = fn(&Update, &Hyper, &[Vec<f64>], &mut [Vec<f64>]);

fn update_entry(d: &Update, formula: Formula) -> OperatorCheck<'_> {
    let reference = move |hyper: &Hyper, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]| {
        watched(d, hyper, outputs, |outputs| formula(d, hyper, inputs, outputs));
    };
    let scale = |run: &Run<'_>| {
        // On absolute values and with a negative learning rate, everything adds up.
        let mut all = of_absolute_operands(run.op, &Hyper { lr: -run.hyper.lr, ..*run.hyper }, run.before);
        if d.number > 0
            && let (Some(scale), Some(record)) = (all.last_mut(), run.outputs.last())
        {
            *scale = exact_like(record);
        }
        all
    };
    OperatorCheck::new(None, reference, scale)
}

pub fn sgd(d: &Update) -> OperatorCheck<'_> {
    update_entry(d, sgd_reference)
}

pub fn adam(d: &Update) -> OperatorCheck<'_> {
    update_entry(d, adam_reference)
}

pub fn adamw(d: &Update) -> OperatorCheck<'_> {
    update_entry(d, adamw_reference)
}

pub fn rmsprop(d: &Update) -> OperatorCheck<'_> {
    update_entry(d, rmsprop_reference)
}

pub fn ema(d: &Ema) -> OperatorCheck<'_> {
    let reference = |_: &Hyper, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]| {
        if d.scaled && inputs[1][0] == 0.0 {
            return;
        }
        for (a, w) in outputs[0].iter_mut().zip(&inputs[0]) {
            *a = d.decay * *a + (1.0 - d.decay) * w;
        }
    };
    // The average before and the weight: their difference may cancel.
    let scale = |run: &Run<'_>| {
        let (w, a) = (&run.before[0], &run.before[run.first]);
        vec![w.iter().zip(a).map(|(w, a)| w.abs().max(a.abs())).collect()]
    };
    OperatorCheck::new(None, reference, scale)
}

pub fn grad_accumulate<'a>() -> OperatorCheck<'a> {
    OperatorCheck::new(None, grad_accumulate_reference, absolute)
}

pub fn grad_norm(d: &GradNorm) -> OperatorCheck<'_> {
    let scale = |run: &Run<'_>| vec![only(d.index, &run.outputs[0])];
    OperatorCheck::new(Some(d.len), |_, inputs, outputs| grad_norm_reference(d, inputs, outputs), scale)
}

pub fn grad_clip(d: &GradClip) -> OperatorCheck<'_> {
    OperatorCheck::new(Some(d.count), grad_clip_reference, absolute)
}

fn grad_accumulate_reference(hyper: &Hyper, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
    for (sum, g) in outputs[0].iter_mut().zip(&inputs[0]) {
        *sum = if hyper.accumulate == 1 { *sum + g } else { *g };
    }
}

fn grad_norm_reference(d: &GradNorm, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
    outputs[0][d.index] = inputs[0].iter().map(|g| g * g).sum();
}

fn grad_clip_reference(hyper: &Hyper, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
    let norm = inputs[0].iter().sum::<f64>().sqrt();
    outputs[0][0] = (f64::from(hyper.max_norm) / (norm + 1e-6)).min(1.0);
}

/// Calls `update`, and records the values that are not finite before or after it when rounded to f32.
fn watched(d: &Update, hyper: &Hyper, outputs: &mut [Vec<f64>], update: impl FnOnce(&mut [Vec<f64>])) {
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
    // The operand before the factor is `hyper`, whose content is ignored.
    let factor = if d.clip || d.scaled { inputs[2][0] } else { 1.0 };
    let lr = f64::from(hyper.lr) * f64::from(d.lr_mult);
    let weight_decay = f64::from(hyper.weight_decay) * f64::from(d.decay_mult);
    (inputs[0][i] * factor, lr, weight_decay)
}

fn sgd_reference(d: &Update, hyper: &Hyper, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
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

/// Adam's moments and its step, for a gradient that already includes its weight decay.
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

fn adam_reference(d: &Update, hyper: &Hyper, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
    if is_skipped(d, inputs) {
        return;
    }
    for i in 0..d.len {
        let (g, lr, weight_decay) = start(d, hyper, inputs, i);
        let g = g + weight_decay * outputs[0][i];
        adam_step(hyper, corrections(d, hyper, inputs), outputs, i, lr, g);
    }
}

fn adamw_reference(d: &Update, hyper: &Hyper, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
    if is_skipped(d, inputs) {
        return;
    }
    for i in 0..d.len {
        let (g, lr, weight_decay) = start(d, hyper, inputs, i);
        outputs[0][i] *= 1.0 - lr * weight_decay;
        adam_step(hyper, corrections(d, hyper, inputs), outputs, i, lr, g);
    }
}

fn rmsprop_reference(d: &Update, hyper: &Hyper, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
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

fn update(len: usize) -> Update {
    Update {
        len,
        lr_mult: 1.0,
        decay_mult: 1.0,
        momentum: false,
        nesterov: false,
        clip: false,
        scaled: false,
        number: 0,
        slots: 0,
    }
}

/// An operator from its geometry.
type Make = fn(Update) -> Op;

fn updates() -> Vec<Case> {
    let mut cases = Vec::new();
    let variants = [
        ("plain", update(1031)),
        ("one", Update { momentum: true, ..update(1) }),
        ("momentum", Update { momentum: true, ..update(259) }),
        ("clip", Update { clip: true, ..update(65) }),
        ("multipliers", Update { lr_mult: 2.0, decay_mult: 0.0, momentum: true, ..update(63) }),
        ("everything", Update { lr_mult: 0.5, decay_mult: 3.0, momentum: true, clip: true, ..update(4099) }),
    ];
    let kinds: [(Make, usize); 4] = [(Op::Sgd, 2), (Op::Adam, 4), (Op::AdamW, 4), (Op::RmsProp, 4)];
    for (op, length) in kinds {
        for (what, d) in variants {
            // Adam's first moment is its momentum and the flag has no effect there, so it stays as models leave it.
            cases.push(Case::new(op(d), what, length));
        }
        let scaled = Update { momentum: true, scaled: true, ..update(517) };
        cases.push(Case::new(op(scaled), "scaled", length));
        cases.push(Case::new(op(scaled), "skipped", length).with_data(Data::Skipped));
    }
    let watched = Update { number: 5, slots: 3, ..update(1291) };
    for (op, length) in kinds {
        for (what, momentum, data) in [
            ("watched", true, Data::Plain),
            ("watched_plain", false, Data::Plain),
            ("found", true, Data::Nan),
            ("found_plain", false, Data::Nan),
        ] {
            let hyper = Hyper { slot: 1, ..default_hyper() };
            let case = Case::new(op(Update { momentum, ..watched }), what, length);
            cases.push(case.with_hyper(hyper).with_data(data));
        }
    }
    let nesterov = Update { momentum: true, nesterov: true, ..update(257) };
    cases.push(Case::new(Op::Sgd(nesterov), "nesterov", 2));
    let clipped = Update { clip: true, decay_mult: 0.5, ..nesterov };
    cases.push(Case::new(Op::Sgd(clipped), "nesterov_clip", 2));
    let late = Hyper { correction1: 1.0, correction2: 1.0, eps: 1e-3, ..default_hyper() };
    for op in [Op::Adam, Op::AdamW, Op::RmsProp] {
        cases.push(Case::new(op(update(129)), "large_eps", 4).with_hyper(late));
    }
    let first = Hyper { correction1: 1.0 - 0.9, correction2: 1.0 - 0.999, ..default_hyper() };
    for op in [Op::Adam, Op::AdamW] {
        cases.push(Case::new(op(update(130)), "first_step", 4).with_hyper(first));
    }
    let still = Hyper { weight_decay: 0.0, momentum: 0.0, ..default_hyper() };
    cases.push(Case::new(Op::Sgd(update(66)), "no_decay", 2).with_hyper(still));
    cases
}

fn clipping() -> Vec<Case> {
    let mut cases = Vec::new();
    for (len, index, count) in
        [(1, 0, 1), (63, 1, 3), (1031, 2, 3), (257, 15, 16), (70_001, 0, 2), (300_007, 4, 5)]
    {
        let what = format!("{len}_place_{index}_of_{count}");
        cases.push(Case::new(Op::GradNorm(GradNorm { len, index, count }), &what, len));
    }
    for (count, max_norm) in [(1, 0.5), (3, 1e6), (16, 1.0), (65, 2.5), (300, 0.01)] {
        let what = format!("{count}_max_{max_norm}");
        let hyper = Hyper { max_norm, ..default_hyper() };
        cases.push(Case::new(Op::GradClip(GradClip { count }), &what, count).with_hyper(hyper));
    }
    // Reductions over more than 65,536 elements.
    for count in LENGTHS {
        let norm = GradNorm { len: count, index: 1, count: 3 };
        cases.push(Case::new(Op::GradNorm(norm), &format!("{count}_long"), count));
        let hyper = Hyper { max_norm: 0.01, ..default_hyper() };
        let what = format!("{count}_norms");
        cases.push(Case::new(Op::GradClip(GradClip { count }), &what, count).with_hyper(hyper));
    }
    cases
}

fn accumulation() -> Vec<Case> {
    let mut cases = Vec::new();
    for len in [1, 63, 64, 65, 255, 257, 4099] {
        cases.push(Case::new(Op::GradAccumulate(Pointwise { len }), &format!("{len}"), 1));
    }
    for (accumulate, len) in [(1, 1), (1, 66), (1, 4099)] {
        let hyper = Hyper { accumulate, ..default_hyper() };
        let op = Op::GradAccumulate(Pointwise { len });
        cases.push(Case::new(op, &format!("add_{len}"), 1).with_hyper(hyper));
    }
    cases
}

fn averages() -> Vec<Case> {
    let mut cases = Vec::new();
    for (len, decay) in [(1, 0.9), (63, 0.0), (257, 0.999), (1031, 0.9999), (4099, 0.5)] {
        let op = Op::Ema(Ema { len, decay, scaled: false });
        cases.push(Case::new(op, &format!("{len}_decay_{decay}"), 1));
    }
    for data in [Data::Plain, Data::Skipped] {
        let op = Op::Ema(Ema { len: 517, decay: 0.99, scaled: true });
        cases.push(Case::new(op, &format!("scaled_{data:?}").to_lowercase(), 1).with_data(data));
    }
    cases
}

pub fn cases() -> Vec<Case> {
    [updates(), clipping(), accumulation(), averages()].concat()
}

/// Tensors a little larger than the default limit of a binding, 2^27 bytes.
pub fn large_cases() -> Vec<Case> {
    let len = (1 << 25) + 37;
    vec![
        Case::new(Op::Sgd(update(len)), "large", 2),
        Case::new(Op::GradNorm(GradNorm { len, index: 1, count: 2 }), "large", len),
    ]
}
