//! The leaky rectifier (Maas et al. 2013), as PyTorch's `leaky_relu` defines it.

use super::activation::finite;
use super::pointwise::{backward, forward};
use super::{Describe, Op, Operand};

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
        match op {
            Op::LeakyReluBackward(_) => backward("x", self.len),
            _ => forward(self.len),
        }
    }
    fn flops(&self, _op: &Op) -> u64 {
        self.len as u64
    }
    fn check(&self, _op: &Op) -> Result<(), String> {
        finite("negative_slope", self.negative_slope)
    }
}
