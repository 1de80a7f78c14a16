//! Values kept within limits. The gradient is a function of the output, so that the input need not be kept.

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

/// y = min(max(x, min), max); an infinite limit is none.
#[derive(Clone, Debug, PartialEq)]
pub struct Clip {
    pub min: f32,
    pub max: f32,
}

impl Clip {
    fn geometry(&self, extents: &Extents) -> ops::Clip {
        ops::Clip { len: extents.len(), min: self.min, max: self.max }
    }
}

impl LayerKind for Clip {
    fn read(t: &Table<'_>) -> Result<Self> {
        let (min, max) = (t.get("min")?, t.get("max")?);
        if min.is_none() && max.is_none() {
            return Err(t.error("op", "clip needs a limit: expected `min`, `max` or both, found neither"));
        }
        Ok(Clip { min: min.unwrap_or(f32::NEG_INFINITY), max: max.unwrap_or(f32::INFINITY) })
    }
    fn write(&self, out: &mut Text) {
        out.put_unless("min", &self.min, &f32::NEG_INFINITY);
        out.put_unless("max", &self.max, &f32::INFINITY);
    }
    fn output(&self, inputs: &[&[usize]], batch: usize) -> std::result::Result<Vec<usize>, String> {
        check(Op::ClipForward(self.geometry(&Extents::of_input(batch, inputs[0]))))?;
        Ok(inputs[0].to_vec())
    }
    fn parameters(&self, _x: &[usize], _init: &Init) -> Vec<Declared> {
        Vec::new()
    }
    fn emit(&self, at: &mut Emitter<'_, '_>) -> Result<usize> {
        at.unary(Op::ClipForward(self.geometry(&at.extents)))
    }
    fn differentiate(&self, at: &mut Walk<'_, '_>) -> Result<()> {
        let op = Op::ClipBackward(self.geometry(at.extents()));
        at.input_gradient(op, &[at.y(), at.dy])
    }
}

/// y = min(max(x, 0), 6).
#[derive(Clone, Debug, PartialEq)]
pub struct Relu6;

impl Relu6 {
    const CLIP: Clip = Clip { min: 0.0, max: 6.0 };
}

impl LayerKind for Relu6 {
    fn read(_t: &Table<'_>) -> Result<Self> {
        Ok(Relu6)
    }
    fn write(&self, _out: &mut Text) {}
    fn output(&self, inputs: &[&[usize]], batch: usize) -> std::result::Result<Vec<usize>, String> {
        Self::CLIP.output(inputs, batch)
    }
    fn parameters(&self, _x: &[usize], _init: &Init) -> Vec<Declared> {
        Vec::new()
    }
    fn emit(&self, at: &mut Emitter<'_, '_>) -> Result<usize> {
        Self::CLIP.emit(at)
    }
    fn differentiate(&self, at: &mut Walk<'_, '_>) -> Result<()> {
        Self::CLIP.differentiate(at)
    }
}
