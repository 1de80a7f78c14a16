//! Updates of parameters and clipping by norm.

use super::{Case, Data, default_hyper};
use crate::ops::{GradClip, GradNorm, GradScale, GradUnscale, Hyper, Op, Scaling, Update};

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
    for (op, terms) in kinds {
        for (what, d) in variants {
            // Adam's first moment is its momentum; the flag says nothing there, so it stays as models leave it.
            cases.push(Case::new(op(d), what, terms));
        }
        let scaled = Update { momentum: true, scaled: true, ..update(517) };
        cases.push(Case::new(op(scaled), "scaled", terms));
        cases.push(Case::new(op(scaled), "skipped", terms).with_data(Data::Skipped));
    }
    let watched = Update { number: 5, slots: 3, ..update(1291) };
    for (op, terms) in kinds {
        for (what, momentum, data) in [
            ("watched", true, Data::Plain),
            ("watched_plain", false, Data::Plain),
            ("found", true, Data::Nan),
            ("found_plain", false, Data::Nan),
        ] {
            let hyper = Hyper { slot: 1, ..default_hyper() };
            let case = Case::new(op(Update { momentum, ..watched }), what, terms);
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
    cases
}

fn scaling() -> Vec<Case> {
    let mut cases = Vec::new();
    for len in [1, 63, 640, 1000, 1031, 4097] {
        cases.push(Case::new(Op::GradScale(GradScale { len }), &format!("{len}"), 1));
    }
    // The cases are in their sixth update since the scale has changed.
    for (count, clip, interval, max_norm, data) in [
        (1, false, Scaling::INTERVAL, 0.0, Data::Plain),
        (16, false, 6, 0.0, Data::Plain),
        (17, false, 7, 0.0, Data::Plain),
        (65, true, Scaling::INTERVAL, 1e-4, Data::Plain),
        (3, true, 6, 1e6, Data::Plain),
        (16, false, 6, 0.0, Data::Skipped),
        (300, true, Scaling::INTERVAL, 0.5, Data::Skipped),
        (65, false, Scaling::INTERVAL, 0.0, Data::Nan),
    ] {
        let what = format!("{count}_clip_{clip}_interval_{interval}_{data:?}").to_lowercase();
        let hyper = Hyper { max_norm, ..default_hyper() };
        // 24 squarings behind a correction.
        let case = Case::new(Op::GradUnscale(GradUnscale { count, clip, interval }), &what, count.max(24));
        cases.push(case.with_hyper(hyper).with_data(data));
    }
    cases
}

pub(super) fn cases() -> Vec<Case> {
    [updates(), clipping(), scaling()].concat()
}

/// Tensors a little larger than the default limit of a binding, 2^27 bytes.
pub(super) fn large_cases() -> Vec<Case> {
    let len = (1 << 25) + 37;
    vec![
        Case::new(Op::Sgd(update(len)), "large", 2),
        Case::new(Op::GradNorm(GradNorm { len, index: 1, count: 2 }), "large", len),
    ]
}
