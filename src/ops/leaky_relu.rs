//! The leaky rectifier (Maas et al. 2013), as PyTorch's `leaky_relu` defines it.

use super::{Describe, Op, Operand, OperandKind as Kind};

/// y = x if x > 0, else negative_slope x; the derivative at 0 is the slope.
///
/// The gradient is a function of x rather than of y: with a negative slope, y does not tell the sign of x. A NaN stays a
/// NaN.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LeakyRelu {
    pub len: usize,
    pub negative_slope: f32,
}

impl Describe for LeakyRelu {
    fn operands(&self, op: &Op) -> Vec<Operand> {
        let n = [self.len];
        match op {
            Op::LeakyReluBackward(_) => vec![
                Operand::read("x", Kind::Data, n),
                Operand::read("dy", Kind::Gradient, n),
                Operand::write("dx", Kind::Gradient, n),
            ],
            _ => vec![Operand::read("x", Kind::Data, n), Operand::write("y", Kind::Data, n)],
        }
    }
    fn flops(&self, _op: &Op) -> u64 {
        self.len as u64
    }
    fn check(&self, _op: &Op) -> Result<(), String> {
        if self.negative_slope.is_finite() {
            Ok(())
        } else {
            Err(format!("negative_slope must be finite, found {}", self.negative_slope))
        }
    }
}
