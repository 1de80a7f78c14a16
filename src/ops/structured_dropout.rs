//! Inverted dropout of whole channels, images or batches: PyTorch's `Dropout2d` and torchvision's `StochasticDepth` (Huang
//! et al. 2016, arXiv 1603.09382).

use super::dropout::Dropout;
use super::{Describe, Hyper, Op, Operand, OperandKind as Kind};

/// What is kept or becomes 0 together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DropUnit {
    /// A channel of an image.
    Channel,
    /// An image.
    Row,
    /// The whole batch.
    Batch,
}

/// `y = x / (1 - p)` in the units that are kept, else 0, over `[batch, channels, inner]`. The same operator with dy and dx is
/// its gradient.
///
/// Units are numbered in the order of their elements, and unit u is kept if element u of a [`Dropout`] of this layer number
/// is: see there for the random numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StructuredDropout {
    pub batch: usize,
    pub channels: usize,
    pub inner: usize,
    pub unit: DropUnit,
    /// Probability that a unit becomes 0.
    pub p: f32,
    /// Number of this dropout layer in its network.
    pub layer: u32,
}

impl StructuredDropout {
    /// The dropout of one element for each unit.
    pub fn of_units(&self) -> Dropout {
        let len = match self.unit {
            DropUnit::Channel => self.batch * self.channels,
            DropUnit::Row => self.batch,
            DropUnit::Batch => 1,
        };
        Dropout { len, p: self.p, layer: self.layer }
    }

    /// Elements of a unit.
    pub fn unit_len(&self) -> usize {
        match self.unit {
            DropUnit::Channel => self.inner,
            DropUnit::Row => self.channels * self.inner,
            DropUnit::Batch => self.batch * self.channels * self.inner,
        }
    }
}

impl Describe for StructuredDropout {
    fn operands(&self, _op: &Op) -> Vec<Operand> {
        let x = [self.batch, self.channels, self.inner];
        vec![
            Operand::read("x", Kind::Data, x),
            Operand::read("hyper", Kind::Hyper, [Hyper::WORDS]),
            Operand::write("y", Kind::Data, x),
        ]
    }
    fn flops(&self, _op: &Op) -> u64 {
        (self.batch * self.channels * self.inner) as u64
    }
    fn check(&self, op: &Op) -> Result<(), String> {
        self.of_units().check(op)
    }
}
