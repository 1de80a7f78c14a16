//! The product of two inputs, element by element: of two of one shape, or of a feature map with a gate, one factor for each
//! channel, as squeeze-and-excitation blocks have it.

use super::LayerKind;
use crate::error::{Error, Result};
use crate::model::emit::Emitter;
use crate::model::gradient::Walk;
use crate::model::init::Init;
use crate::model::parameter::Declared;
use crate::model::reader::Table;
use crate::model::writer::Text;
use crate::ops::{Gate, Op, Pointwise};

/// y = a b.
#[derive(Clone, Debug, PartialEq)]
pub struct Mul;

/// The roles of two inputs with different extents.
enum Roles {
    Same,
    /// The first one is the gate of the second.
    GateFirst,
    GateSecond,
}

impl Roles {
    fn new(inputs: &[&[usize]]) -> std::result::Result<Self, String> {
        let [a, b] = *inputs else { return Err(format!("expected 2 inputs, found {}", inputs.len())) };
        if a == b {
            Ok(Roles::Same)
        } else if is_gate(b, a) {
            Ok(Roles::GateSecond)
        } else if is_gate(a, b) {
            Ok(Roles::GateFirst)
        } else {
            Err(format!(
                "expected inputs of one shape, or [channels, height, width] and [channels, 1, 1] or [channels], found {a:?} \
                 and {b:?}"
            ))
        }
    }
}

/// Whether `gate` has one factor for each channel of the feature map `x`.
fn is_gate(gate: &[usize], x: &[usize]) -> bool {
    matches!((gate, x), ([c, 1, 1] | [c], [channels, _, _]) if c == channels)
}

impl LayerKind for Mul {
    fn read(_t: &Table<'_>) -> Result<Self> {
        Ok(Mul)
    }
    fn write(&self, _out: &mut Text) {}
    fn output(&self, inputs: &[&[usize]], _batch: usize) -> std::result::Result<Vec<usize>, String> {
        Ok(match Roles::new(inputs)? {
            Roles::Same | Roles::GateSecond => inputs[0].to_vec(),
            Roles::GateFirst => inputs[1].to_vec(),
        })
    }
    fn parameters(&self, _x: &[usize], _init: &Init) -> Vec<Declared> {
        Vec::new()
    }
    fn emit(&self, at: &mut Emitter<'_, '_>) -> Result<usize> {
        let roles = Roles::new(&at.input_dims()).map_err(Error::Model)?;
        let mut inputs = at.inputs.clone();
        if matches!(roles, Roles::GateFirst) {
            inputs.reverse();
        }
        let op = match roles {
            Roles::Same => Op::Mul(Pointwise { len: at.extents.len() }),
            Roles::GateFirst | Roles::GateSecond => {
                let (batch, channels) = (at.extents.batch, at.extents.y[0]);
                Op::MulGate(Gate { batch, channels, inner: at.extents.y[1..].iter().product() })
            }
        };
        let y = at.output()?;
        let operands = vec![at.buffer(inputs[0]), at.buffer(inputs[1]), y];
        let name = at.layer.name.clone();
        Ok(at.record_as(&name, vec![(op, operands)], inputs, y))
    }
    fn differentiate(&self, at: &mut Walk<'_, '_>) -> Result<()> {
        let (op, a, b, dy) = (at.op().clone(), at.operand(0), at.operand(1), at.dy);
        match op {
            Op::MulGate(d) => {
                at.gradient_of(1, "gate", Op::MulGradGate(d), &[a, dy])?;
                at.gradient_of(0, "x", op, &[dy, b])
            }
            _ => {
                at.gradient_of(1, "b", op.clone(), &[a, dy])?;
                at.gradient_of(0, "a", op, &[dy, b])
            }
        }
    }
    fn reads_several(&self) -> bool {
        true
    }
}
