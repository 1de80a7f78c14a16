//! Losses and metrics.

use super::{Case, Data, default_hyper};
use crate::ops::{Hyper, Loss, Metrics, Op, Target};

fn rows(rows: usize) -> Hyper {
    Hyper { rows: rows as u32, loss_scale: 1.0 / rows as f32, ..default_hyper() }
}

pub(super) fn cases() -> Vec<Case> {
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
        let d = Loss { batch, classes, target: Target::Class, smoothing, grad };
        let what = format!("{batch}x{classes}_rows_{real}_smoothing_{smoothing}_{data:?}").to_lowercase();
        let case = Case::new(Op::CrossEntropy(d), &what, classes);
        cases.push(case.with_hyper(rows(real)).with_data(data));
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
        let d = Loss { batch, classes, target, smoothing: 0.0, grad };
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
    cases
}
