//! The leaky rectifier. Its gradient is a function of the input, see [`crate::ops::LeakyRelu`].

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

/// y = x if x > 0, else negative_slope x.
#[derive(Clone, Debug, PartialEq)]
pub struct LeakyRelu {
    pub negative_slope: f32,
}

impl LeakyRelu {
    fn geometry(&self, extents: &Extents) -> ops::LeakyRelu {
        ops::LeakyRelu { len: extents.len(), negative_slope: self.negative_slope }
    }
}

impl LayerKind for LeakyRelu {
    fn read(t: &Table<'_>) -> Result<Self> {
        Ok(LeakyRelu { negative_slope: t.or("negative_slope", 0.01)? })
    }
    fn write(&self, out: &mut Text) {
        out.put_unless("negative_slope", &self.negative_slope, &0.01);
    }
    fn output(&self, inputs: &[&[usize]], batch: usize) -> std::result::Result<Vec<usize>, String> {
        check(Op::LeakyReluForward(self.geometry(&Extents::of_input(batch, inputs[0]))))?;
        Ok(inputs[0].to_vec())
    }
    fn parameters(&self, _x: &[usize], _init: &Init) -> Vec<Declared> {
        Vec::new()
    }
    fn emit(&self, at: &mut Emitter<'_, '_>) -> Result<usize> {
        at.unary(Op::LeakyReluForward(self.geometry(&at.extents)))
    }
    fn differentiate(&self, at: &mut Walk<'_, '_>) -> Result<()> {
        let op = Op::LeakyReluBackward(self.geometry(at.extents()));
        at.input_gradient(op, &[at.x(), at.dy])
    }
}
