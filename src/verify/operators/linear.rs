//! Fully connected layers.

use super::OperatorCheck;
use super::pointwise::relu;
use crate::ops::{Linear, Op};
use crate::verify::cases::{Case, Data, LENGTHS};
use crate::verify::error_scale::root_of_squares;

pub fn forward(d: &Linear) -> OperatorCheck<'_> {
    OperatorCheck::new(
        Some(d.inputs),
        |_, inputs, outputs| forward_reference(d, inputs, outputs),
        root_of_squares,
    )
}

pub fn grad_input(d: &Linear) -> OperatorCheck<'_> {
    OperatorCheck::new(
        Some(d.outputs),
        |_, inputs, outputs| grad_input_reference(d, inputs, outputs),
        root_of_squares,
    )
}

pub fn grad_weight(d: &Linear) -> OperatorCheck<'_> {
    OperatorCheck::new(
        Some(d.batch),
        |_, inputs, outputs| grad_weight_reference(d, inputs, outputs),
        root_of_squares,
    )
}

fn forward_reference(d: &Linear, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
    let (x, w) = (&inputs[0], &inputs[1]);
    for n in 0..d.batch {
        for o in 0..d.outputs {
            let mut sum = if d.bias { inputs[2][o] } else { 0.0 };
            for i in 0..d.inputs {
                sum += x[n * d.inputs + i] * w[o * d.inputs + i];
            }
            outputs[0][n * d.outputs + o] = if d.relu { relu(sum) } else { sum };
        }
    }
}

fn grad_input_reference(d: &Linear, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
    let (dy, w, dx) = (&inputs[0], &inputs[1], &mut outputs[0]);
    dx.fill(0.0);
    for n in 0..d.batch {
        for o in 0..d.outputs {
            for i in 0..d.inputs {
                dx[n * d.inputs + i] += dy[n * d.outputs + o] * w[o * d.inputs + i];
            }
        }
    }
}

fn grad_weight_reference(d: &Linear, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
    let (x, dy, dw) = (&inputs[0], &inputs[1], &mut outputs[0]);
    dw.fill(0.0);
    for n in 0..d.batch {
        for o in 0..d.outputs {
            for i in 0..d.inputs {
                dw[o * d.inputs + i] += dy[n * d.outputs + o] * x[n * d.inputs + i];
            }
        }
    }
}

pub fn triple(what: &str, d: Linear) -> [Case; 3] {
    [
        Case::new(Op::LinearForward(d), what, d.inputs + 1),
        Case::new(Op::LinearGradInput(d), what, d.outputs),
        Case::new(Op::LinearGradWeight(d), what, d.batch),
    ]
}

pub fn cases() -> Vec<Case> {
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
    // Enough sums for a GPU's largest tiles, with few products each.
    let [wide, deep, both] = [(1709, 5, 1723), (1709, 1723, 5), (5, 1709, 1723)]
        .map(|(batch, inputs, outputs)| Linear { batch, inputs, outputs, bias: true, relu: false });
    cases.push(Case::new(Op::LinearForward(wide), "many_sums", 6));
    cases.push(Case::new(Op::LinearGradInput(deep), "many_sums", 5));
    cases.push(Case::new(Op::LinearGradWeight(both), "many_sums", 5));
    let nan = Linear { batch: 3, inputs: 9, outputs: 5, bias: true, relu: true };
    cases.push(Case::new(Op::LinearForward(nan), "nan_row", 10).with_data(Data::Nan));
    cases.extend(long_cases());
    cases
}

/// Reductions over more than 65,536 elements.
fn long_cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (n, len) in LENGTHS.into_iter().enumerate() {
        let what = format!("{len}_terms");
        let d = |batch, inputs, outputs| Linear { batch, inputs, outputs, bias: n == 0, relu: n == 1 };
        let [forward, _, _] = triple(&what, d(3, len, 2));
        let [_, grad_input, _] = triple(&what, d(2, 3, len));
        let [_, _, grad_weight] = triple(&what, d(len, 3, 2));
        cases.extend([forward, grad_input, grad_weight]);
    }
    cases
}

/// AlexNet's fc6 with fewer inputs: its weight is still larger than the default limit of a binding, 2^27 bytes.
pub fn large_cases() -> Vec<Case> {
    triple("large", Linear { batch: 2, inputs: 8209, outputs: 4096, bias: true, relu: true }).into()
}
