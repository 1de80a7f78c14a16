//! Pooling over whole maps. The average is the adaptive one with one output, and is kept as such.

use super::{AdaptiveAvgPool2d, LayerKind, check, image};
use crate::error::Result;
use crate::model::emit::Emitter;
use crate::model::gradient::Walk;
use crate::model::graph::Extents;
use crate::model::init::Init;
use crate::model::parameter::Declared;
use crate::model::reader::Table;
use crate::model::writer::Text;
use crate::ops::{Op, Pool2d};

/// Reads `global_avg_pool2d`, which has no attributes.
pub(super) fn average(_t: &Table<'_>) -> Result<AdaptiveAvgPool2d> {
    Ok(AdaptiveAvgPool2d { output: [1, 1] })
}

/// The maximum of each map: PyTorch's `AdaptiveMaxPool2d(1)`.
#[derive(Clone, Debug, PartialEq)]
pub struct GlobalMaxPool2d;

impl GlobalMaxPool2d {
    fn geometry(extents: &Extents) -> Pool2d {
        let (batch, channels, [h_in, w_in]) = (extents.batch, extents.channels(), extents.sides());
        let kernel = [h_in, w_in];
        Pool2d {
            batch,
            channels,
            h_in,
            w_in,
            kernel,
            stride: kernel,
            pad: [0; 4],
            ceil: false,
            count_include_pad: true,
        }
    }
}

impl LayerKind for GlobalMaxPool2d {
    fn read(_t: &Table<'_>) -> Result<Self> {
        Ok(GlobalMaxPool2d)
    }
    fn write(&self, _out: &mut Text) {}
    fn output(&self, inputs: &[&[usize]], batch: usize) -> std::result::Result<Vec<usize>, String> {
        let [channels, ..] = image(inputs[0])?;
        check(Op::MaxPool2dForward(Self::geometry(&Extents::of_input(batch, inputs[0]))))?;
        Ok(vec![channels, 1, 1])
    }
    fn parameters(&self, _x: &[usize], _init: &Init) -> Vec<Declared> {
        Vec::new()
    }
    fn emit(&self, at: &mut Emitter<'_, '_>) -> Result<usize> {
        at.unary_with(Op::MaxPool2dForward(Self::geometry(&at.extents)), "index")
    }
    fn differentiate(&self, at: &mut Walk<'_, '_>) -> Result<()> {
        let (op, index) = (Op::MaxPool2dBackward(Self::geometry(at.extents())), at.operand(2));
        at.input_gradient(op, &[index, at.dy])
    }
}
