//! Inverted dropout whose mask is recomputed rather than stored.

use super::{Describe, Hyper, Op, Operand, OperandKind as Kind};

/// `y[i] = x[i] / (1 - p)` if element i is kept, else 0. The same operator with dy and dx is its gradient.
///
/// Element i is kept if word i mod 4 of philox(counter = [i / 4, draw, layer, 0], key = [seed_lo, seed_hi]) is
/// at least `threshold`; draw and seed come from `Hyper`, so a mask is a pure function of (seed, draw, layer, i).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dropout {
    pub len: usize,
    /// Probability that an element becomes 0.
    pub p: f32,
    /// Number of this dropout layer in its network.
    pub layer: u32,
}

impl Dropout {
    /// Random words below this drop their element: p * 2^32, rounded.
    pub fn threshold(&self) -> u32 {
        (f64::from(self.p) * 4_294_967_296.0).round().min(4_294_967_295.0) as u32
    }
    /// Factor of the kept elements, 1 / (1 - p).
    pub fn scale(&self) -> f32 {
        1.0 / (1.0 - self.p)
    }
}

impl Describe for Dropout {
    fn operands(&self, _op: &Op) -> Vec<Operand> {
        vec![
            Operand::read("x", Kind::Data, [self.len]),
            Operand::read("hyper", Kind::Hyper, [Hyper::WORDS]),
            Operand::write("y", Kind::Data, [self.len]),
        ]
    }
    fn flops(&self, _op: &Op) -> u64 {
        self.len as u64
    }
    fn check(&self, _op: &Op) -> Result<(), String> {
        if (0.0..1.0).contains(&self.p) {
            Ok(())
        } else {
            Err(format!("p must be at least 0 and less than 1, found {}", self.p))
        }
    }
}
