//! Operators that treat every element by itself.

use super::{Describe, Op, Operand, OperandKind as Kind};

/// A run of `len` elements; the shape of the tensors does not matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pointwise {
    pub len: usize,
}

impl Describe for Pointwise {
    fn operands(&self, op: &Op) -> Vec<Operand> {
        let n = [self.len];
        match op {
            Op::Add(_) => vec![
                Operand::read("a", Kind::Data, n),
                Operand::read("b", Kind::Data, n),
                Operand::write("y", Kind::Data, n),
            ],
            Op::ReluBackward(_) | Op::SigmoidBackward(_) | Op::TanhBackward(_) => {
                vec![
                    Operand::read("y", Kind::Data, n),
                    Operand::read("dy", Kind::Gradient, n),
                    Operand::write("dx", Kind::Gradient, n),
                ]
            }
            Op::GradAccumulate(_) => vec![
                Operand::read("g", Kind::Gradient, n),
                Operand::read("hyper", Kind::Hyper, [super::Hyper::WORDS]),
                Operand::update("sum", Kind::Gradient, n),
            ],
            _ => vec![Operand::read("x", Kind::Data, n), Operand::write("y", Kind::Data, n)],
        }
    }
    fn flops(&self, op: &Op) -> u64 {
        let per_element = match op {
            Op::SigmoidForward(_) | Op::TanhForward(_) => 4,
            Op::SigmoidBackward(_) | Op::TanhBackward(_) => 3,
            _ => 1,
        };
        per_element * self.len as u64
    }
}
