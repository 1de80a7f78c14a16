//! Local response normalisation across channels (Krizhevsky et al. 2012, section 3.3).

use super::{Describe, Op, Operand, OperandKind as Kind};

/// y = x / scale^beta with scale = k + alpha / size * (sum of x^2 over the window of channels).
///
/// The window of channel c runs from c - floor(size / 2) to c + floor((size - 1) / 2), as in PyTorch, cut off
/// at the first and last channel. (ONNX puts the longer side of an even window after the channel; for odd sizes
/// all agree.) alpha is divided by `size`, as in PyTorch, Caffe and ONNX. `inner` is height times width.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LocalResponseNorm {
    pub batch: usize,
    pub channels: usize,
    pub inner: usize,
    pub size: usize,
    pub alpha: f32,
    pub beta: f32,
    pub k: f32,
}

impl Describe for LocalResponseNorm {
    fn operands(&self, op: &Op) -> Vec<Operand> {
        let s = [self.batch, self.channels, self.inner];
        match op {
            Op::LocalResponseNormBackward(_) => vec![
                Operand::read("x", Kind::Data, s),
                Operand::read("scale", Kind::Intermediate, s),
                Operand::read("dy", Kind::Gradient, s),
                Operand::write("dx", Kind::Gradient, s),
            ],
            _ => vec![
                Operand::read("x", Kind::Data, s),
                Operand::write("y", Kind::Data, s),
                Operand::write("scale", Kind::Intermediate, s),
            ],
        }
    }
    fn flops(&self, op: &Op) -> u64 {
        let elements = (self.batch * self.channels * self.inner) as u64;
        let window = self.size as u64;
        match op {
            Op::LocalResponseNormBackward(_) => elements * (4 * window + 6),
            _ => elements * (2 * window + 4),
        }
    }
    fn check(&self, _op: &Op) -> Result<(), String> {
        if self.size == 0 { Err("size must be positive, found 0".into()) } else { Ok(()) }
    }
}
