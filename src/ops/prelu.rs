//! The rectifier with a trained slope (He et al. 2015), as PyTorch's `PReLU` defines it.

use super::{Describe, Op, Operand, OperandKind as Kind};

/// Geometry of prelu over x `[batch, channels, inner]`, where `inner` is height times width; w is `[channels]`, or `[1]` if
/// `shared`.
///
/// * forward: y = x if x > 0, else w x.
/// * grad_input: dx = dy if x > 0, else w dy.
/// * grad_weight: dw = the sum of x dy where x is not above 0, over everything but the channel (over everything if `shared`), in
///   an order that the shape fixes.
///
/// At 0 the derivative is w. A NaN stays a NaN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Prelu {
    pub batch: usize,
    pub channels: usize,
    pub inner: usize,
    pub shared: bool,
}

impl Prelu {
    /// Elements of w.
    pub fn weights(&self) -> usize {
        if self.shared { 1 } else { self.channels }
    }

    /// Elements of all images.
    pub fn len(&self) -> usize {
        self.batch * self.channels * self.inner
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Describe for Prelu {
    fn operands(&self, op: &Op) -> Vec<Operand> {
        let (x, w) = ([self.batch, self.channels, self.inner], [self.weights()]);
        match op {
            Op::PreluGradInput(_) => vec![
                Operand::read("x", Kind::Data, x),
                Operand::read("w", Kind::Parameter, w),
                Operand::read("dy", Kind::Gradient, x),
                Operand::write("dx", Kind::Gradient, x),
            ],
            Op::PreluGradWeight(_) => vec![
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
        let per_element = if matches!(op, Op::PreluGradWeight(_)) { 2 } else { 1 };
        per_element * self.len() as u64
    }
}
