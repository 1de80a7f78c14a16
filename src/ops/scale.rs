//! A factor for each channel, learned: ConvNeXt's layer scale (Touvron et al. 2021, arXiv 2103.17239).

use super::{Describe, Op, Operand, OperandKind as Kind};

/// `y[n, c, i] = x[n, c, i] w[c]` over `[batch, channels, inner]`. The same operator with dy and dx is the gradient of x;
/// that of w is `dw[c]` = sum over n and i of x dy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Scale {
    pub batch: usize,
    pub channels: usize,
    pub inner: usize,
}

impl Describe for Scale {
    fn operands(&self, op: &Op) -> Vec<Operand> {
        let (x, w) = ([self.batch, self.channels, self.inner], [self.channels]);
        match op {
            Op::ScaleGradWeight(_) => vec![
                Operand::read("x", Kind::Data, x),
                Operand::read("dy", Kind::Gradient, x),
                Operand::write("dw", Kind::Gradient, w),
            ],
            _ => vec![
                Operand::read("x", Kind::Data, x),
                Operand::read("w", Kind::Parameter, w),
                Operand::write("y", Kind::Data, x),
            ],
        }
    }
    fn flops(&self, op: &Op) -> u64 {
        let elements = (self.batch * self.channels * self.inner) as u64;
        if matches!(op, Op::ScaleGradWeight(_)) { 2 * elements } else { elements }
    }
}
