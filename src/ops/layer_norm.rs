//! Layer normalisation over channels (Ba et al. 2016, arXiv 1607.06450), at each position of an image by itself: ConvNeXt's
//! `LayerNorm2d` in torchvision, and PyTorch's `LayerNorm` where there is one position.

use super::{Describe, Op, Operand, OperandKind as Kind};

/// With mean and variance (biased) of the channels of x at one position of one image and r = 1 / sqrt(variance + eps):
///
/// `y = (x - mean) r w[c] + b[c]`. Mean and r, `[batch, inner]` each, are further outputs, which the gradients need:
///
/// * `dx = r (g - mean(g) - z mean(g z))` with `z = (x - mean) r`, `g = dy w[c]` and means over the channels;
/// * `dw[c]` = sum of dy z over images and positions; db is a [`super::BiasGrad`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LayerNorm {
    pub batch: usize,
    pub channels: usize,
    pub inner: usize,
    pub eps: f32,
}

impl Describe for LayerNorm {
    fn operands(&self, op: &Op) -> Vec<Operand> {
        let (x, c, places) =
            ([self.batch, self.channels, self.inner], [self.channels], [self.batch, self.inner]);
        match op {
            Op::LayerNormGradInput(_) => vec![
                Operand::read("x", Kind::Data, x),
                Operand::read("w", Kind::Parameter, c),
                Operand::read("mean", Kind::Intermediate, places),
                Operand::read("r", Kind::Intermediate, places),
                Operand::read("dy", Kind::Gradient, x),
                Operand::write("dx", Kind::Gradient, x),
            ],
            Op::LayerNormGradWeight(_) => vec![
                Operand::read("x", Kind::Data, x),
                Operand::read("mean", Kind::Intermediate, places),
                Operand::read("r", Kind::Intermediate, places),
                Operand::read("dy", Kind::Gradient, x),
                Operand::write("dw", Kind::Gradient, c),
            ],
            _ => vec![
                Operand::read("x", Kind::Data, x),
                Operand::read("w", Kind::Parameter, c),
                Operand::read("b", Kind::Parameter, c),
                Operand::write("y", Kind::Data, x),
                Operand::write("mean", Kind::Intermediate, places),
                Operand::write("r", Kind::Intermediate, places),
            ],
        }
    }
    fn flops(&self, op: &Op) -> u64 {
        let elements = (self.batch * self.channels * self.inner) as u64;
        match op {
            Op::LayerNormGradInput(_) => 10 * elements,
            Op::LayerNormGradWeight(_) => 4 * elements,
            _ => 8 * elements,
        }
    }
    fn check(&self, _op: &Op) -> Result<(), String> {
        if self.eps > 0.0 { Ok(()) } else { Err(format!("eps must be positive, found {}", self.eps)) }
    }
}
