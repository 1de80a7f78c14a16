//! Dropout of whole channels, images or batches.

use super::OperatorCheck;
use crate::ops::{DropUnit, Hyper, Op, StructuredDropout};
use crate::random::philox;
use crate::verify::cases::{Case, Data, default_hyper};
use crate::verify::error_scale::absolute;

pub fn structured_dropout(d: &StructuredDropout) -> OperatorCheck<'_> {
    let reference = |hyper: &Hyper, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]| {
        let threshold = (f64::from(d.p) * 4_294_967_296.0).round();
        for (i, y) in outputs[0].iter_mut().enumerate() {
            let unit = match d.unit {
                DropUnit::Channel => i / d.inner,
                DropUnit::Row => i / d.inner / d.channels,
                DropUnit::Batch => 0,
            };
            let words = philox([(unit / 4) as u32, hyper.draw, d.layer, 0], [hyper.seed_lo, hyper.seed_hi]);
            let kept = f64::from(words[unit % 4]) >= threshold;
            *y = if kept { inputs[0][i] / (1.0 - f64::from(d.p)) } else { 0.0 };
        }
    };
    OperatorCheck::new(None, reference, absolute)
}

pub fn cases() -> Vec<Case> {
    // Some have whole blocks of channels.
    let sizes = [
        (1, 1, 1, DropUnit::Channel, 0.5, 0),
        (3, 7, 35, DropUnit::Channel, 0.3, 1),
        (5, 48, 9, DropUnit::Channel, 0.5, 1_000_000),
        (2, 4099, 1, DropUnit::Channel, 0.9, 12),
        (1, 16, 2000, DropUnit::Channel, 0.5, 2),
        (37, 3, 11, DropUnit::Row, 0.2, u32::MAX),
        (9, 32, 25, DropUnit::Row, 0.5, 3),
        (130, 5, 1, DropUnit::Row, 0.7, 4_000_000_000),
        (5, 3, 7, DropUnit::Row, 0.0, 7),
        (6, 16, 49, DropUnit::Batch, 0.5, 0),
        (6, 16, 49, DropUnit::Batch, 0.5, 1),
        (6, 5, 49, DropUnit::Batch, 0.5, 2),
        (6, 5, 49, DropUnit::Batch, 0.5, 3),
    ];
    let mut cases = Vec::new();
    for (batch, channels, inner, unit, p, draw) in sizes {
        let d = StructuredDropout { batch, channels, inner, unit, p, layer: 3 };
        let hyper = Hyper { draw, ..default_hyper() };
        let what = format!("{batch}x{channels}x{inner}_{unit:?}_p{p}_draw_{draw}").to_lowercase();
        cases.push(Case::new(Op::StructuredDropout(d), &what, 1).with_hyper(hyper));
    }
    // A NaN in a unit that is dropped becomes 0.
    for (channels, unit) in [(5, DropUnit::Channel), (16, DropUnit::Channel), (5, DropUnit::Row)] {
        let d = StructuredDropout { batch: 7, channels, inner: 6, unit, p: 0.5, layer: 0 };
        let what = format!("nan_row_{channels}_{unit:?}").to_lowercase();
        cases.push(Case::new(Op::StructuredDropout(d), &what, 1).with_data(Data::Nan));
    }
    cases
}
