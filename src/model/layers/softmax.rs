//! Softmax over channels.

use super::LayerKind;
use crate::error::Result;
use crate::model::emit::Emitter;
use crate::model::gradient::Walk;
use crate::model::init::Init;
use crate::model::parameter::Declared;
use crate::model::reader::Table;
use crate::model::writer::Text;
use crate::ops::{self, Op};

/// y = exp(x) / sum of exp(x) over the channels.
#[derive(Clone, Debug, PartialEq)]
pub struct Softmax;

impl Softmax {
    fn geometry(extents: &crate::model::graph::Extents) -> ops::Softmax {
        ops::Softmax { batch: extents.batch, channels: extents.channels(), inner: extents.inner() }
    }
}

impl LayerKind for Softmax {
    fn read(_t: &Table<'_>) -> Result<Self> {
        Ok(Softmax)
    }
    fn write(&self, _out: &mut Text) {}
    fn output(&self, inputs: &[&[usize]], _batch: usize) -> std::result::Result<Vec<usize>, String> {
        Ok(inputs[0].to_vec())
    }
    fn parameters(&self, _x: &[usize], _init: &Init) -> Vec<Declared> {
        Vec::new()
    }
    fn emit(&self, at: &mut Emitter<'_, '_>) -> Result<usize> {
        at.unary(Op::SoftmaxForward(Self::geometry(&at.extents)))
    }
    fn differentiate(&self, at: &mut Walk<'_, '_>) -> Result<()> {
        let op = Op::SoftmaxBackward(Self::geometry(at.extents()));
        at.input_gradient(op, &[at.y(), at.dy])
    }
}
