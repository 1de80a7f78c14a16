//! Operators that treat every element by itself.

use super::{Describe, Op, Operand};

/// A run of `len` elements; the shape of the tensors does not matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pointwise {
    pub len: usize,
}

impl Describe for Pointwise {
    fn operands(&self, op: &Op) -> Vec<Operand> {
        let n = [self.len];
        match op {
            Op::Add(_) => vec![Operand::read("a", n), Operand::read("b", n), Operand::write("y", n)],
            Op::ReluBackward(_) | Op::SigmoidBackward(_) | Op::TanhBackward(_) => {
                vec![Operand::read("y", n), Operand::read("dy", n), Operand::write("dx", n)]
            }
            Op::GradAccumulate(_) => vec![
                Operand::read("g", n),
                Operand::read("hyper", [super::Hyper::WORDS]),
                Operand::update("sum", n),
            ],
            _ => vec![Operand::read("x", n), Operand::write("y", n)],
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
