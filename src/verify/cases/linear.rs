//! Fully connected layers.

use super::{Case, Data};
use crate::ops::{Linear, Op};

pub(super) fn triple(what: &str, d: Linear) -> [Case; 3] {
    [
        Case::new(Op::LinearForward(d), what, d.inputs + 1),
        Case::new(Op::LinearGradInput(d), what, d.outputs),
        Case::new(Op::LinearGradWeight(d), what, d.batch),
    ]
}

pub(super) fn cases() -> Vec<Case> {
    let sizes = [
        (1, 1, 1),
        (1, 17, 1),
        (3, 5, 7),
        (8, 16, 32),
        (7, 15, 31),
        (9, 17, 33),
        (64, 64, 64),
        (63, 65, 67),
        (65, 129, 127),
        (128, 9, 10),
        (1, 257, 129),
        (2, 9973, 3),
        (5, 3, 10007),
        (10007, 2, 3),
    ];
    let mut cases = Vec::new();
    for (i, (batch, inputs, outputs)) in sizes.into_iter().enumerate() {
        let d = Linear { batch, inputs, outputs, bias: i % 3 != 1, relu: i % 2 == 1 };
        cases.extend(triple(&format!("{batch}x{inputs}x{outputs}"), d));
    }
    // So many sums that a GPU takes its largest tiles, each of few products.
    let [wide, deep, both] = [(1709, 5, 1723), (1709, 1723, 5), (5, 1709, 1723)]
        .map(|(batch, inputs, outputs)| Linear { batch, inputs, outputs, bias: true, relu: false });
    cases.push(Case::new(Op::LinearForward(wide), "many_sums", 6));
    cases.push(Case::new(Op::LinearGradInput(deep), "many_sums", 5));
    cases.push(Case::new(Op::LinearGradWeight(both), "many_sums", 5));
    let nan = Linear { batch: 3, inputs: 9, outputs: 5, bias: true, relu: true };
    cases.push(Case::new(Op::LinearForward(nan), "nan_row", 10).with_data(Data::Nan));
    cases
}

/// AlexNet's fc6 with fewer inputs: its weight is still larger than the default limit of a binding, 2^27 bytes.
pub(super) fn large_cases() -> Vec<Case> {
    triple("large", Linear { batch: 2, inputs: 8209, outputs: 4096, bias: true, relu: true }).into()
}
