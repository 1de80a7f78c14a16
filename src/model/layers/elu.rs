//! The exponential linear unit. Its gradient is a function of the input.

use super::{LayerKind, check};
use crate::error::Result;
use crate::model::emit::Emitter;
use crate::model::gradient::Walk;
use crate::model::graph::Extents;
use crate::model::init::Init;
use crate::model::parameter::Declared;
use crate::model::reader::Table;
use crate::model::writer::Text;
use crate::ops::{self, Op};

/// y = x if x > 0, else alpha (exp(x) - 1).
#[derive(Clone, Debug, PartialEq)]
pub struct Elu {
    pub alpha: f32,
}

impl Elu {
    fn geometry(&self, extents: &Extents) -> ops::Elu {
        ops::Elu { len: extents.len(), alpha: self.alpha }
    }
}

impl LayerKind for Elu {
    fn read(t: &Table<'_>) -> Result<Self> {
        Ok(Elu { alpha: t.or("alpha", 1.0)? })
    }
    fn write(&self, out: &mut Text) {
        out.put_unless("alpha", &self.alpha, &1.0);
    }
    fn output(&self, inputs: &[&[usize]], batch: usize) -> std::result::Result<Vec<usize>, String> {
        check(Op::EluForward(self.geometry(&Extents::of_input(batch, inputs[0]))))?;
        Ok(inputs[0].to_vec())
    }
    fn parameters(&self, _x: &[usize], _init: &Init) -> Vec<Declared> {
        Vec::new()
    }
    fn emit(&self, at: &mut Emitter<'_, '_>) -> Result<usize> {
        at.unary(Op::EluForward(self.geometry(&at.extents)))
    }
    fn differentiate(&self, at: &mut Walk<'_, '_>) -> Result<()> {
        let op = Op::EluBackward(self.geometry(at.extents()));
        at.input_gradient(op, &[at.x(), at.dy])
    }
}
