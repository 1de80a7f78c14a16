//! Inverted dropout: elements become 0 at random in training, and nothing happens in evaluation.

use super::{LayerKind, check};
use crate::error::Result;
use crate::model::emit::Emitter;
use crate::model::gradient::Walk;
use crate::model::init::Init;
use crate::model::parameter::Declared;
use crate::model::reader::Table;
use crate::model::writer::Text;
use crate::ops::{self, Op};

/// y = x / (1 - p) where an element is kept, else 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Dropout {
    /// Probability that an element becomes 0.
    pub p: f32,
}

impl LayerKind for Dropout {
    fn read(t: &Table<'_>) -> Result<Self> {
        Ok(Dropout { p: t.or("p", 0.5)? })
    }
    fn write(&self, out: &mut Text) {
        out.put_unless("p", &self.p, &0.5);
    }
    fn output(&self, inputs: &[&[usize]], _batch: usize) -> std::result::Result<Vec<usize>, String> {
        check(Op::Dropout(ops::Dropout { len: 0, p: self.p, layer: 0 }))?;
        Ok(inputs[0].to_vec())
    }
    fn parameters(&self, _x: &[usize], _init: &Init) -> Vec<Declared> {
        Vec::new()
    }
    fn emit(&self, at: &mut Emitter<'_, '_>) -> Result<usize> {
        // Every dropout layer takes a number, so that switching one off leaves the masks of the others alone.
        let layer = at.next_dropout();
        if !at.training || !at.options().dropout || self.p == 0.0 {
            return Ok(at.pass_on());
        }
        let op = Op::Dropout(ops::Dropout { len: at.extents.len(), p: self.p, layer });
        let y = at.output()?;
        let operands = vec![at.input(), at.hyper(), y];
        Ok(at.record(op, operands, y))
    }
    /// The same operator with the same mask.
    fn differentiate(&self, at: &mut Walk<'_, '_>) -> Result<()> {
        let op = at.op().clone();
        at.input_gradient(op, &[at.dy, at.hyper()])
    }
    fn passes_on(&self) -> bool {
        true
    }
}
