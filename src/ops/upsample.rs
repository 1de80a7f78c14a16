//! Upsampling by repetition, as PyTorch's `Upsample` does it with mode `nearest` and a whole `scale_factor`.

use super::{Describe, Op, Operand, OperandKind as Kind};

/// `y[n, c, i, j] = x[n, c, i / scale_h, j / scale_w]`, quotients rounded down. The gradient of an element is the sum of dy
/// over its copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Upsample {
    pub batch: usize,
    pub channels: usize,
    pub h_in: usize,
    pub w_in: usize,
    /// Copies of an element, vertical and horizontal.
    pub scale: [usize; 2],
}

impl Upsample {
    /// The largest scale; a thread sums all copies of an element.
    pub const MOST: usize = 64;

    /// Height of y.
    pub fn h_out(&self) -> usize {
        self.h_in * self.scale[0]
    }
    /// Width of y.
    pub fn w_out(&self) -> usize {
        self.w_in * self.scale[1]
    }
}

impl Describe for Upsample {
    fn operands(&self, op: &Op) -> Vec<Operand> {
        let x = [self.batch, self.channels, self.h_in, self.w_in];
        let y = [self.batch, self.channels, self.h_out(), self.w_out()];
        match op {
            Op::UpsampleBackward(_) => {
                vec![Operand::read("dy", Kind::Gradient, y), Operand::write("dx", Kind::Gradient, x)]
            }
            _ => vec![Operand::read("x", Kind::Data, x), Operand::write("y", Kind::Data, y)],
        }
    }
    fn flops(&self, op: &Op) -> u64 {
        match op {
            Op::UpsampleBackward(_) => (self.batch * self.channels * self.h_out() * self.w_out()) as u64,
            _ => 0,
        }
    }
    fn check(&self, _op: &Op) -> Result<(), String> {
        if self.scale.iter().all(|n| (1..=Self::MOST).contains(n)) {
            Ok(())
        } else {
            Err(format!("scale_factor must be 1 to {}, found {:?}", Self::MOST, self.scale))
        }
    }
}
