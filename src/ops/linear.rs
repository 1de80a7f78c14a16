//! Fully connected layers.

use super::{Describe, Op, Operand, OperandKind as Kind};

/// Geometry of a linear layer. x is `[batch, inputs]`, w is `[outputs, inputs]`, y is `[batch, outputs]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Linear {
    pub batch: usize,
    pub inputs: usize,
    pub outputs: usize,
    /// Whether the forward operator has the operand b, `[outputs]`.
    pub bias: bool,
    /// Whether the forward operator ends with max(0, .); the gradients are given dy before it.
    pub relu: bool,
}

impl Describe for Linear {
    fn operands(&self, op: &Op) -> Vec<Operand> {
        let x = [self.batch, self.inputs];
        let w = [self.outputs, self.inputs];
        let y = [self.batch, self.outputs];
        match op {
            Op::LinearGradInput(_) => {
                vec![
                    Operand::read("dy", Kind::Gradient, y),
                    Operand::read("w", Kind::Parameter, w),
                    Operand::write("dx", Kind::Gradient, x),
                ]
            }
            Op::LinearGradWeight(_) => {
                vec![
                    Operand::read("x", Kind::Data, x),
                    Operand::read("dy", Kind::Gradient, y),
                    Operand::write("dw", Kind::Gradient, w),
                ]
            }
            _ => {
                let mut operands =
                    vec![Operand::read("x", Kind::Data, x), Operand::read("w", Kind::Parameter, w)];
                if self.bias {
                    operands.push(Operand::read("b", Kind::Parameter, [self.outputs]));
                }
                operands.push(Operand::write("y", Kind::Data, y));
                operands
            }
        }
    }
    fn is_product(&self) -> bool {
        true
    }
    fn flops(&self, _op: &Op) -> u64 {
        2 * (self.batch * self.inputs) as u64 * self.outputs as u64
    }
    fn check(&self, _op: &Op) -> Result<(), String> {
        if self.outputs == 0 { Err("out_features must be positive, found 0".into()) } else { Ok(()) }
    }
}
