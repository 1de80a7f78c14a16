//! Local response normalisation within each map (cuda-convnet's `rnorm`, Caffe's WITHIN_CHANNEL): the second
//! normalisation of the network that the authors of AlexNet ran.

use super::{Describe, Op, Operand, OperandKind as Kind};

/// y = x / scale^beta with scale = k + alpha / size^2 * (sum of x^2 over a window of size x size places of the map).
///
/// The window of row r runs from r - floor(size / 2) to r + floor((size - 1) / 2), and so for columns; places outside
/// count as 0, and alpha is divided by size^2 everywhere, as in both programs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LocalResponseNormWithin {
    pub batch: usize,
    pub channels: usize,
    pub h: usize,
    pub w: usize,
    pub size: usize,
    pub alpha: f32,
    pub beta: f32,
    pub k: f32,
}

impl Describe for LocalResponseNormWithin {
    fn operands(&self, op: &Op) -> Vec<Operand> {
        let s = [self.batch, self.channels, self.h, self.w];
        match op {
            Op::LocalResponseNormWithinBackward(_) => vec![
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
        let elements = (self.batch * self.channels * self.h * self.w) as u64;
        let window = (self.size * self.size) as u64;
        match op {
            Op::LocalResponseNormWithinBackward(_) => elements * (4 * window + 6),
            _ => elements * (2 * window + 4),
        }
    }
    fn check(&self, _op: &Op) -> Result<(), String> {
        // Beyond twice the map a larger window holds nothing more.
        match self.size {
            1..=1024 => Ok(()),
            size => Err(format!("size must be 1 to 1024, found {size}")),
        }
    }
}
