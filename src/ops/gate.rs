//! The product of a feature map with one factor for each image and channel, as squeeze-and-excitation blocks have it (Hu et al.
//! 2018).

use super::{Describe, Op, Operand, OperandKind as Kind};

/// Geometry of the product of x `[batch, channels, inner]` with gate `[batch, channels]`. `inner` is height times width.
///
/// * `mul_gate`: `y[n, c, i] = x[n, c, i] gate[n, c]`; the gradient of x is the same operator on dy.
/// * `mul_grad_gate`: `dgate[n, c] = sum over i of dy[n, c, i] x[n, c, i]`, in an order that the shape fixes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Gate {
    pub batch: usize,
    pub channels: usize,
    pub inner: usize,
}

impl Describe for Gate {
    fn operands(&self, op: &Op) -> Vec<Operand> {
        let (x, gate) = ([self.batch, self.channels, self.inner], [self.batch, self.channels]);
        match op {
            Op::MulGradGate(_) => vec![
                Operand::read("x", Kind::Data, x),
                Operand::read("dy", Kind::Gradient, x),
                Operand::write("dgate", Kind::Gradient, gate),
            ],
            _ => vec![
                Operand::read("x", Kind::Data, x),
                Operand::read("gate", Kind::Data, gate),
                Operand::write("y", Kind::Data, x),
            ],
        }
    }
    fn flops(&self, op: &Op) -> u64 {
        let per_element = if matches!(op, Op::MulGradGate(_)) { 2 } else { 1 };
        per_element * (self.batch * self.channels * self.inner) as u64
    }
}
