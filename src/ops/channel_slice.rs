//! Concatenation along channels, one input at a time, and its gradient.

use super::{Describe, Op, Operand, OperandKind as Kind};

/// Channels `offset .. offset + channels` of a tensor with `total` channels. `inner` is height times width.
/// Forward copies x `[batch, channels, inner]` into its part of y `[batch, total, inner]`; backward copies that
/// part of dy into dx.
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
            _ => vec![Operand::read("x", Kind::Data, part), Operand::part("y", Kind::Data, whole)],
        }
    }
    fn flops(&self, _op: &Op) -> u64 {
        0
    }
}
