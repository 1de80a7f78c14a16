//! Images of a batch mixed with each other: MixUp and CutMix.

use super::{Describe, Hyper, Op, Operand, OperandKind as Kind};

/// y = x, each image mixed with its partner: image n - 1 of the batch, and for image 0 the last real one
/// (`Hyper::rows` - 1), as torchvision's `v2.MixUp` and `v2.CutMix` roll the batch by one.
///
/// With w = `Hyper::mix_weight`:
/// * if the box [`mix_top`, `mix_bottom`) x [`mix_left`, `mix_right`) is empty, y = w x + (1 - w) partner (MixUp; Zhang et al.,
///   arXiv 1710.09412); y = x where w is 1, whatever the partner holds;
/// * otherwise y = partner inside the box and x outside (CutMix; Yun et al., arXiv 1905.04899).
///
/// Images that only pad the batch are copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mix {
    pub batch: usize,
    pub channels: usize,
    pub height: usize,
    pub width: usize,
}

impl Mix {
    /// Elements of one image.
    pub fn image(&self) -> usize {
        self.channels * self.height * self.width
    }
}

impl Describe for Mix {
    fn operands(&self, _op: &Op) -> Vec<Operand> {
        let images = [self.batch, self.channels, self.height, self.width];
        vec![
            Operand::read("x", Kind::Data, images),
            Operand::read("hyper", Kind::Hyper, [Hyper::WORDS]),
            Operand::write("y", Kind::Data, images),
        ]
    }
    fn flops(&self, _op: &Op) -> u64 {
        3 * (self.batch * self.image()) as u64
    }
}
