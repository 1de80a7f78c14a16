//! Dynamic loss scaling. The words of `scaling` are: scale, updates since it changed, updates made, updates skipped.

use super::OperatorCheck;
use crate::ops::{GradScale, GradUnscale, Hyper, Op, Scaling};
use crate::verify::cases::{Case, Data, LENGTHS, default_hyper};
use crate::verify::error_scale::{Run, absolute, exact_like};

pub fn grad_scale<'a>() -> OperatorCheck<'a> {
    OperatorCheck::new(None, |_, inputs, outputs| grad_scale_reference(inputs, outputs), absolute)
}

pub fn grad_unscale(d: &GradUnscale) -> OperatorCheck<'_> {
    let reference = |hyper: &Hyper, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]| {
        grad_unscale_reference(d, hyper, inputs, outputs);
    };
    let scale = |run: &Run<'_>| {
        let factor = run.outputs[1].iter().map(|v| v.abs()).collect();
        vec![exact_like(&run.outputs[0]), factor]
    };
    OperatorCheck::new(Some(d.count), reference, scale)
}

fn grad_scale_reference(inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
    for dx in &mut outputs[0] {
        *dx *= inputs[0][0];
    }
}

fn grad_unscale_reference(d: &GradUnscale, hyper: &Hyper, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
    let (scale, streak, updates, skipped) = (outputs[0][0], outputs[0][1], outputs[0][2], outputs[0][3]);
    let mut total = 0.0;
    for norm in &inputs[0] {
        total += norm;
    }
    outputs[1][1] = 1.0 - f64::from(hyper.momentum).powf(updates + 1.0);
    outputs[1][2] = 1.0 - f64::from(hyper.beta2).powf(updates + 1.0);
    if total.is_nan() || total.is_infinite() {
        outputs[0] = vec![scale / 2.0, 0.0, updates, skipped + 1.0];
        outputs[1][0] = 0.0;
        return;
    }
    let mut factor = 1.0;
    if d.clip {
        let norm = total.sqrt() / scale;
        factor = (f64::from(hyper.max_norm) / (norm + 1e-6)).min(1.0);
    }
    outputs[1][0] = factor / scale;
    outputs[0] = if streak + 1.0 == d.interval as f64 {
        vec![scale * 2.0, 0.0, updates + 1.0, skipped]
    } else {
        vec![scale, streak + 1.0, updates + 1.0, skipped]
    };
}

pub fn cases() -> Vec<Case> {
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
    // Reductions over more than 65,536 elements.
    for count in LENGTHS {
        let hyper = Hyper { max_norm: 0.01, ..default_hyper() };
        let what = format!("{count}_norms");
        let unscale = GradUnscale { count, clip: true, interval: Scaling::INTERVAL };
        cases.push(Case::new(Op::GradUnscale(unscale), &what, count).with_hyper(hyper));
    }
    cases
}
