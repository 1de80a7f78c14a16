//! Local response normalisation and batch normalisation.

use super::{Case, Data, default_hyper};
use crate::ops::{BatchNorm2d, Hyper, LocalResponseNorm, LocalResponseNormWithin, Op};

/// A power counts as eight roundings beside the window's sum.
const POWER: usize = 8;

pub(super) fn pair(what: &str, d: LocalResponseNorm) -> [Case; 2] {
    [
        Case::new(Op::LocalResponseNormForward(d), what, d.size + POWER),
        Case::new(Op::LocalResponseNormBackward(d), what, 2 * d.size + POWER),
    ]
}

fn local_response_norm() -> Vec<Case> {
    let sizes = [
        (1, 1, 1, 1, 1e-4, 0.75, 1.0),
        (2, 7, 9, 5, 1e-4, 0.75, 2.0),
        (2, 7, 9, 5, 0.5, 0.75, 2.0),
        (3, 11, 5, 4, 0.5, 0.75, 1.0),
        (1, 3, 35, 9, 0.5, 0.5, 0.5),
        (2, 2, 17, 6, 2.0, 1.0, 0.5),
        (1, 65, 31, 3, 0.5, 0.5, 2.0),
        (1, 64, 65, 2, 0.1, 0.75, 1.0),
        (1, 5, 257, 1, 0.5, 1.0, 1.0),
        (1, 96, 169, 5, 5e-4, 0.75, 2.0),
    ];
    let mut cases = Vec::new();
    for (batch, channels, inner, size, alpha, beta, k) in sizes {
        let what = format!("{batch}x{channels}x{inner}_size_{size}_alpha_{alpha}_beta_{beta}_k_{k}");
        cases.extend(pair(&what, LocalResponseNorm { batch, channels, inner, size, alpha, beta, k }));
    }
    cases
}

pub(super) fn within_pair(what: &str, d: LocalResponseNormWithin) -> [Case; 2] {
    let terms = d.size.min(2 * d.h) * d.size.min(2 * d.w);
    [
        Case::new(Op::LocalResponseNormWithinForward(d), what, terms + POWER),
        Case::new(Op::LocalResponseNormWithinBackward(d), what, 2 * terms + POWER),
    ]
}

fn local_response_norm_within() -> Vec<Case> {
    // batch, channels, h, w, size, alpha, beta, k
    let sizes = [
        (1, 1, 1, 1, 1, 1e-4, 0.75, 1.0),
        (2, 3, 7, 9, 5, 1e-3, 0.75, 1.0),
        (2, 3, 7, 9, 5, 2.0, 0.75, 1.0),
        (1, 2, 11, 5, 4, 2.0, 0.75, 2.0),
        (3, 5, 1, 13, 3, 1.0, 0.5, 0.5),
        (1, 2, 13, 1, 2, 1.0, 1.0, 1.0),
        // Windows larger than the map, odd and even.
        (1, 3, 3, 4, 9, 20.0, 0.75, 1.0),
        (2, 1, 4, 3, 12, 20.0, 0.6, 1.0),
        (1, 17, 16, 17, 3, 0.5, 0.75, 2.0),
        (1, 2, 31, 33, 1, 0.5, 0.75, 1.0),
        (1, 128, 13, 13, 5, 1e-3, 0.75, 1.0),
    ];
    let mut cases = Vec::new();
    for (batch, channels, h, w, size, alpha, beta, k) in sizes {
        let what = format!("{batch}x{channels}x{h}x{w}_size_{size}_alpha_{alpha}_beta_{beta}_k_{k}");
        let d = LocalResponseNormWithin { batch, channels, h, w, size, alpha, beta, k };
        cases.extend(within_pair(&what, d));
    }
    cases
}

pub(super) fn quadruple(what: &str, d: BatchNorm2d, rows: usize) -> [Case; 4] {
    let hyper = Hyper { rows: rows as u32, ..default_hyper() };
    let terms = rows * d.inner;
    [
        Case::new(Op::BatchNorm2dStats(d), what, terms).with_hyper(hyper),
        Case::new(Op::BatchNorm2dForward(d), what, 4).with_hyper(hyper),
        Case::new(Op::BatchNorm2dGradParameters(d), what, terms).with_hyper(hyper),
        Case::new(Op::BatchNorm2dGradInput(d), what, 4).with_hyper(hyper),
    ]
}

fn batch_norm2d() -> Vec<Case> {
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
    cases
}

pub(super) fn cases() -> Vec<Case> {
    [local_response_norm(), local_response_norm_within(), batch_norm2d()].concat()
}
