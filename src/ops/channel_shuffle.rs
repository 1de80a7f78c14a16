//! The channel shuffle of ShuffleNet (Zhang et al. 2017, arXiv 1707.01083), as PyTorch's `channel_shuffle` defines it.

use super::{Describe, Op, Operand, OperandKind as Kind};

/// y is x `[batch, channels, inner]` with its channels taken as `groups` rows and transposed:
/// `y[n, j groups + i] = x[n, i channels / groups + j]`. `inner` is height times width.
///
/// The gradient is the shuffle by `channels / groups` groups, which undoes it: see [`ChannelShuffle::inverse`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ChannelShuffle {
    pub batch: usize,
    pub channels: usize,
    pub inner: usize,
    pub groups: usize,
}

impl ChannelShuffle {
    /// The shuffle that restores the order of the channels. `groups` must divide `channels`.
    pub fn inverse(&self) -> Self {
        ChannelShuffle { groups: self.channels / self.groups, ..*self }
    }

    /// The channel of x that is channel `c` of y.
    pub fn source(&self, c: usize) -> usize {
        c % self.groups * (self.channels / self.groups) + c / self.groups
    }
}

impl Describe for ChannelShuffle {
    fn operands(&self, _op: &Op) -> Vec<Operand> {
        let s = [self.batch, self.channels, self.inner];
        vec![Operand::read("x", Kind::Data, s), Operand::write("y", Kind::Data, s)]
    }
    fn flops(&self, _op: &Op) -> u64 {
        0
    }
    fn check(&self, _op: &Op) -> Result<(), String> {
        let ChannelShuffle { channels, groups, .. } = *self;
        if groups > 0 && channels.is_multiple_of(groups) {
            Ok(())
        } else {
            Err(format!("groups must divide the {channels} channels, found {groups}"))
        }
    }
}
