//! Softmax over channels as a separate layer (cross-entropy contains a fused one).

use super::{Describe, Op, Operand, OperandKind as Kind};

/// y = exp(x - max) / sum exp(x - max) over the `channels` of `[batch, channels, inner]`.
/// Backward: dx = y (dy - sum over channels of dy y).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Softmax {
    pub batch: usize,
    pub channels: usize,
    pub inner: usize,
}

impl Describe for Softmax {
    fn operands(&self, op: &Op) -> Vec<Operand> {
        let s = [self.batch, self.channels, self.inner];
        match op {
            Op::SoftmaxBackward(_) => {
                vec![
                    Operand::read("y", Kind::Data, s),
                    Operand::read("dy", Kind::Gradient, s),
                    Operand::write("dx", Kind::Gradient, s),
                ]
            }
            _ => vec![Operand::read("x", Kind::Data, s), Operand::write("y", Kind::Data, s)],
        }
    }
    fn flops(&self, op: &Op) -> u64 {
        let elements = (self.batch * self.channels * self.inner) as u64;
        if matches!(op, Op::SoftmaxBackward(_)) { 4 * elements } else { 5 * elements }
    }
}
