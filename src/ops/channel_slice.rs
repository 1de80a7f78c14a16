//! Some channels of a tensor: concatenation along channels, one input at a time, and slices.

use super::{Describe, Op, Operand, OperandKind as Kind};

/// Channels `offset .. offset + channels` of a tensor with `total` channels. `inner` is height times width.
///
/// Concatenation: forward copies x `[batch, channels, inner]` into its part of y `[batch, total, inner]`; backward copies
/// that part of dy into dx. A slice (`x[:, offset : offset + channels]` in PyTorch): forward copies the part of x
/// `[batch, total, inner]` into y `[batch, channels, inner]`; backward copies dy into its part of dx, which is 0
/// elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ChannelSlice {
    pub batch: usize,
    pub channels: usize,
    pub inner: usize,
    pub offset: usize,
    pub total: usize,
}

impl Describe for ChannelSlice {
    fn operands(&self, op: &Op) -> Vec<Operand> {
        let part = [self.batch, self.channels, self.inner];
        let whole = [self.batch, self.total, self.inner];
        match op {
            Op::ConcatBackward(_) => {
                vec![Operand::read("dy", Kind::Gradient, whole), Operand::write("dx", Kind::Gradient, part)]
            }
            Op::SliceForward(_) => {
                vec![Operand::read("x", Kind::Data, whole), Operand::write("y", Kind::Data, part)]
            }
            Op::SliceBackward(_) => {
                vec![Operand::read("dy", Kind::Gradient, part), Operand::write("dx", Kind::Gradient, whole)]
            }
            _ => vec![Operand::read("x", Kind::Data, part), Operand::part("y", Kind::Data, whole)],
        }
    }
    fn flops(&self, _op: &Op) -> u64 {
        0
    }
    fn check(&self, _op: &Op) -> Result<(), String> {
        let (start, end) = (self.offset, self.offset.saturating_add(self.channels));
        if start < end && end <= self.total {
            Ok(())
        } else {
            Err(format!("expected start < end <= {} channels, found {start} and {end}", self.total))
        }
    }
}
