//! Pointwise operators, dropout, concatenation and softmax.

use super::{Case, Data, default_hyper};
use crate::ops::{ChannelSlice, Dropout, Hyper, Op, Pointwise, Softmax};

/// An operator from its geometry.
type Make = fn(Pointwise) -> Op;

fn pointwise() -> Vec<Case> {
    let kinds: [(Make, usize); 8] = [
        (Op::ReluForward, 1),
        (Op::ReluBackward, 1),
        (Op::SigmoidForward, 2),
        (Op::SigmoidBackward, 2),
        (Op::TanhForward, 2),
        (Op::TanhBackward, 2),
        (Op::Add, 1),
        (Op::GradAccumulate, 1),
    ];
    let mut cases = Vec::new();
    for (op, terms) in kinds {
        for len in [1, 63, 64, 65, 255, 257, 4099] {
            cases.push(Case::new(op(Pointwise { len }), &format!("{len}"), terms));
        }
    }
    for (accumulate, len) in [(1, 1), (1, 66), (1, 4099)] {
        let hyper = Hyper { accumulate, ..default_hyper() };
        let op = Op::GradAccumulate(Pointwise { len });
        cases.push(Case::new(op, &format!("add_{len}"), 1).with_hyper(hyper));
    }
    let long = Pointwise { len: 4_200_007 };
    cases.push(Case::new(Op::Add(long), "folded_grid", 1));
    for op in [Op::ReluForward, Op::SigmoidForward, Op::TanhForward, Op::Add] {
        cases.push(Case::new(op(Pointwise { len: 131 }), "nan", 2).with_data(Data::Nan));
    }
    for op in [Op::SigmoidForward, Op::TanhForward] {
        cases.push(Case::new(op(Pointwise { len: 131 }), "saturated", 2).with_data(Data::Huge));
    }
    cases
}

fn dropout() -> Vec<Case> {
    let sizes = [
        (1, 0.5, 0, 0),
        (3, 0.5, 1, 1),
        (64, 0.0, 0, 7),
        (257, 0.1, 2, 1_000_000),
        (1027, 0.5, 0, 12),
        (4099, 0.9, 3, u32::MAX),
        (9216, 0.25, 7, 4_000_000_000),
    ];
    let mut cases = Vec::new();
    for (len, p, layer, draw) in sizes {
        let hyper = Hyper { draw, ..default_hyper() };
        let what = format!("{len}_p{p}_draw_{draw}");
        cases.push(Case::new(Op::Dropout(Dropout { len, p, layer }), &what, 1).with_hyper(hyper));
    }
    cases
}

fn concat() -> Vec<Case> {
    let parts = [
        (1, 1, 1, 0, 1),
        (3, 5, 7, 0, 12),
        (3, 5, 7, 4, 12),
        (3, 5, 7, 7, 12),
        (1, 64, 33, 64, 128),
        (2, 17, 169, 3, 31),
    ];
    let mut cases = Vec::new();
    for (batch, channels, inner, offset, total) in parts {
        let d = ChannelSlice { batch, channels, inner, offset, total };
        let what = format!("{batch}x{channels}x{inner}_at_{offset}_of_{total}");
        cases.push(Case::new(Op::ConcatForward(d), &what, 1));
        cases.push(Case::new(Op::ConcatBackward(d), &what, 1));
    }
    cases
}

fn softmax() -> Vec<Case> {
    let sizes = [(1, 1, 1), (3, 10, 1), (2, 7, 35), (1, 1000, 1), (5, 65, 3), (130, 2, 1), (1, 257, 64)];
    let mut cases = Vec::new();
    for (batch, channels, inner) in sizes {
        let d = Softmax { batch, channels, inner };
        let what = format!("{batch}x{channels}x{inner}");
        cases.push(Case::new(Op::SoftmaxForward(d), &what, channels));
        cases.push(Case::new(Op::SoftmaxBackward(d), &what, channels));
    }
    let d = Softmax { batch: 3, channels: 11, inner: 2 };
    cases.push(Case::new(Op::SoftmaxForward(d), "huge", 11).with_data(Data::Huge));
    cases.push(Case::new(Op::SoftmaxForward(d), "nan_row", 11).with_data(Data::Nan));
    cases
}

pub(super) fn cases() -> Vec<Case> {
    [pointwise(), dropout(), concat(), softmax()].concat()
}

/// More elements than 65,535 workgroups of 256 invocations.
pub(super) fn large_cases() -> Vec<Case> {
    let len = 16_777_259;
    vec![
        Case::new(Op::ReluForward(Pointwise { len }), "large", 1),
        Case::new(Op::Dropout(Dropout { len, p: 0.5, layer: 1 }), "large", 1),
    ]
}
