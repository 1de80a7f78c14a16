//! Operators that treat every element by itself.

use super::{Describe, Op, Operand, OperandKind as Kind};

/// A run of `len` elements; the shape of the tensors does not matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pointwise {
    pub len: usize,
}

/// The operands of an activation, x and y.
pub(super) fn forward(len: usize) -> Vec<Operand> {
    vec![Operand::read("x", Kind::Data, [len]), Operand::write("y", Kind::Data, [len])]
}

/// The operands of an activation's gradient: `saved` (x or y), dy and dx.
pub(super) fn backward(saved: &'static str, len: usize) -> Vec<Operand> {
    vec![
        Operand::read(saved, Kind::Data, [len]),
        Operand::read("dy", Kind::Gradient, [len]),
        Operand::write("dx", Kind::Gradient, [len]),
    ]
}

impl Describe for Pointwise {
    fn operands(&self, op: &Op) -> Vec<Operand> {
        let n = [self.len];
        match op {
            Op::Add(_) | Op::Mul(_) => vec![
                Operand::read("a", Kind::Data, n),
                Operand::read("b", Kind::Data, n),
                Operand::write("y", Kind::Data, n),
            ],
            Op::ReluBackward(_) | Op::SigmoidBackward(_) | Op::TanhBackward(_) => backward("y", self.len),
            Op::SiluBackward(_) | Op::HardSwishBackward(_) => backward("x", self.len),
            Op::GradAccumulate(_) => vec![
                Operand::read("g", Kind::Gradient, n),
                Operand::read("hyper", Kind::Hyper, [super::Hyper::WORDS]),
                Operand::update("sum", Kind::Gradient, n),
            ],
            _ => forward(self.len),
        }
    }
    fn flops(&self, op: &Op) -> u64 {
        let per_element = match op {
            Op::SiluBackward(_) => 9,
            Op::HardSwishForward(_) => 5,
            Op::SigmoidForward(_) | Op::TanhForward(_) | Op::SiluForward(_) => 4,
            Op::SigmoidBackward(_) | Op::TanhBackward(_) | Op::HardSwishBackward(_) => 3,
            _ => 1,
        };
        per_element * self.len as u64
    }
}
