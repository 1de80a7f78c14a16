//! Activations with attributes.

use super::pointwise::{backward, forward};
use super::{Describe, Op, Operand};

/// y = min(max(alpha x + beta, 0), 1); dx = alpha dy where 0 < y < 1, else 0. A NaN stays a NaN, and its gradient is 0.
///
/// PyTorch's `hardsigmoid` has alpha = 1/6 and beta = 1/2, Keras' of old 0.2 and 0.5.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HardSigmoid {
    pub len: usize,
    pub alpha: f32,
    pub beta: f32,
}

impl Describe for HardSigmoid {
    fn operands(&self, op: &Op) -> Vec<Operand> {
        match op {
            Op::HardSigmoidBackward(_) => backward("y", self.len),
            _ => forward(self.len),
        }
    }
    fn flops(&self, op: &Op) -> u64 {
        let per_element = if matches!(op, Op::HardSigmoidBackward(_)) { 1 } else { 4 };
        per_element * self.len as u64
    }
    fn check(&self, _op: &Op) -> Result<(), String> {
        finite("alpha", self.alpha)?;
        finite("beta", self.beta)
    }
}

/// y = min(max(x, min), max); dx = dy where min < y < max, else 0. A NaN stays a NaN and passes its gradient on.
///
/// At the limits the gradient is 0, as that of PyTorch's `hardtanh` and `relu6` (and of `clamp` in PyTorch 2.15; earlier versions
/// of `clamp` passed it on there). A limit may be infinite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clip {
    pub len: usize,
    pub min: f32,
    pub max: f32,
}

impl Describe for Clip {
    fn operands(&self, op: &Op) -> Vec<Operand> {
        match op {
            Op::ClipBackward(_) => backward("y", self.len),
            _ => forward(self.len),
        }
    }
    fn flops(&self, _op: &Op) -> u64 {
        2 * self.len as u64
    }
    fn check(&self, _op: &Op) -> Result<(), String> {
        let Clip { min, max, .. } = *self;
        if min < max { Ok(()) } else { Err(format!("min must be less than max, found {min} and {max}")) }
    }
}

/// y = x P(x); dx = dy (P(x) + x P'(x)) (Hendrycks & Gimpel 2016). A NaN stays a NaN.
///
/// P is the distribution function of the standard normal distribution, (1 + erf(x / sqrt 2)) / 2, or, if `tanh`, its
/// approximation (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2: PyTorch's `approximate = "none"` and `"tanh"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Gelu {
    pub len: usize,
    pub tanh: bool,
}

impl Describe for Gelu {
    fn operands(&self, op: &Op) -> Vec<Operand> {
        match op {
            Op::GeluBackward(_) => backward("x", self.len),
            _ => forward(self.len),
        }
    }
    fn flops(&self, op: &Op) -> u64 {
        let per_element = if matches!(op, Op::GeluBackward(_)) { 14 } else { 9 };
        per_element * self.len as u64
    }
}

/// y = x if x > 0, else alpha (exp(x) - 1); dx = dy if x > 0, else alpha exp(x) dy (Clevert et al. 2015). At 0 the derivative is
/// alpha. A NaN stays a NaN.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Elu {
    pub len: usize,
    pub alpha: f32,
}

impl Describe for Elu {
    fn operands(&self, op: &Op) -> Vec<Operand> {
        match op {
            Op::EluBackward(_) => backward("x", self.len),
            _ => forward(self.len),
        }
    }
    fn flops(&self, _op: &Op) -> u64 {
        3 * self.len as u64
    }
    fn check(&self, _op: &Op) -> Result<(), String> {
        finite("alpha", self.alpha)
    }
}

/// Rejects an attribute that is infinite or NaN.
pub(super) fn finite(name: &str, value: f32) -> Result<(), String> {
    if value.is_finite() { Ok(()) } else { Err(format!("{name} must be finite, found {value}")) }
}
