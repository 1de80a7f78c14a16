//! The sum of two or more inputs, element by element.

use super::LayerKind;
use crate::error::Result;
use crate::model::emit::Emitter;
use crate::model::gradient::Walk;
use crate::model::init::Init;
use crate::model::parameter::Declared;
use crate::model::reader::Table;
use crate::model::writer::Text;
use crate::ops::{Op, Pointwise};

/// y = ((a + b) + c) + ...
#[derive(Clone, Debug, PartialEq)]
pub struct Add;

impl LayerKind for Add {
    fn read(_t: &Table<'_>) -> Result<Self> {
        Ok(Add)
    }
    fn write(&self, _out: &mut Text) {}
    fn output(&self, inputs: &[&[usize]], _batch: usize) -> std::result::Result<Vec<usize>, String> {
        let x = inputs[0];
        if let Some(other) = inputs.iter().find(|i| **i != x) {
            return Err(format!("expected inputs of one shape, found {x:?} and {other:?}"));
        }
        Ok(x.to_vec())
    }
    fn parameters(&self, _x: &[usize], _init: &Init) -> Vec<Declared> {
        Vec::new()
    }
    fn emit(&self, at: &mut Emitter<'_, '_>) -> Result<usize> {
        let inputs = at.inputs.clone();
        let mut sum = inputs[0];
        for (i, &next) in inputs[1..].iter().enumerate() {
            let last = i + 2 == inputs.len();
            let name = if last { at.layer.name.clone() } else { format!("{}.sum{i}", at.layer.name) };
            let y = at.output_named(&name)?;
            let op = Op::Add(Pointwise { len: at.extents.len() });
            let operands = vec![at.buffer(sum), at.buffer(next), y];
            sum = at.record_as(&name, vec![(op, operands)], vec![sum, next], y);
        }
        Ok(sum)
    }
    /// The gradient of a sum is the gradient of each addend: there is no step, both inputs share the buffer.
    fn differentiate(&self, at: &mut Walk<'_, '_>) -> Result<()> {
        at.pass_to_inputs();
        Ok(())
    }
    fn reads_several(&self) -> bool {
        true
    }
}
