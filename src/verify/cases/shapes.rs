//! The kernels of single layers at any geometry, for `bench ops`.

use super::Case;
use crate::ops::{BiasGrad, Conv2d, Linear, Op, Pool2d};
use crate::verify::operators;

/// The kernels of a convolution, forward and backward; `what` ends their names.
pub fn convolution_cases(what: &str, d: Conv2d) -> Vec<Case> {
    let inner = d.h_out() * d.w_out();
    let bias = BiasGrad { batch: d.batch, channels: d.c_out, inner };
    let mut cases = operators::conv2d::triple(what, d).to_vec();
    cases.push(Case::new(Op::BiasGrad(bias), what, d.batch * inner));
    cases
}

/// The kernels of a linear layer, forward and backward.
pub fn linear_cases(what: &str, d: Linear) -> Vec<Case> {
    let bias = BiasGrad { batch: d.batch, channels: d.outputs, inner: 1 };
    let mut cases = operators::linear::triple(what, d).to_vec();
    cases.push(Case::new(Op::BiasGrad(bias), what, d.batch));
    cases
}

/// The kernels of maximum and average pooling, forward and backward.
pub fn pooling_cases(what: &str, d: Pool2d) -> Vec<Case> {
    operators::pool2d::quadruple(what, d).to_vec()
}
