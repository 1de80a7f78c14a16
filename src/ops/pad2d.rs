//! Zeros around an image, as PyTorch's `ZeroPad2d` adds them.

use super::{Describe, Op, Operand, OperandKind as Kind};

/// y is x `[batch, channels, h_in, w_in]` with `pad` zeros at the top, left, bottom and right. The gradient is the part of
/// dy where x lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pad2d {
    pub batch: usize,
    pub channels: usize,
    pub h_in: usize,
    pub w_in: usize,
    /// Zeros at the top, left, bottom and right.
    pub pad: [usize; 4],
}

impl Pad2d {
    /// The most zeros on one side.
    pub const MOST: usize = 1 << 16;

    /// Height of y.
    pub fn h_out(&self) -> usize {
        self.h_in + self.pad[0] + self.pad[2]
    }
    /// Width of y.
    pub fn w_out(&self) -> usize {
        self.w_in + self.pad[1] + self.pad[3]
    }
}

impl Describe for Pad2d {
    fn operands(&self, op: &Op) -> Vec<Operand> {
        let x = [self.batch, self.channels, self.h_in, self.w_in];
        let y = [self.batch, self.channels, self.h_out(), self.w_out()];
        match op {
            Op::PadBackward(_) => {
                vec![Operand::read("dy", Kind::Gradient, y), Operand::write("dx", Kind::Gradient, x)]
            }
            _ => vec![Operand::read("x", Kind::Data, x), Operand::write("y", Kind::Data, y)],
        }
    }
    fn flops(&self, _op: &Op) -> u64 {
        0
    }
    fn check(&self, _op: &Op) -> Result<(), String> {
        if self.pad.iter().all(|&n| n <= Self::MOST) {
            Ok(())
        } else {
            Err(format!("padding must be at most {}, found {:?}", Self::MOST, self.pad))
        }
    }
}
