//! Average pooling over windows.

use super::{LayerKind, check, image};
use crate::error::Result;
use crate::model::emit::Emitter;
use crate::model::gradient::Walk;
use crate::model::graph::Extents;
use crate::model::init::Init;
use crate::model::parameter::Declared;
use crate::model::reader::Table;
use crate::model::reader::{Padding, Pair};
use crate::model::writer::Text;
use crate::ops::{Op, Pool2d};

/// The mean of each window; PyTorch's `AvgPool2d` with `ceil_mode` as `ceil`.
#[derive(Clone, Debug, PartialEq)]
pub struct AvgPool2d {
    /// Height and width.
    pub kernel: [usize; 2],
    /// Vertical and horizontal.
    pub stride: [usize; 2],
    /// Top, left, bottom, right.
    pub padding: [usize; 4],
    /// Whether output extents are rounded up.
    pub ceil: bool,
}

impl AvgPool2d {
    fn geometry(&self, extents: &Extents) -> Pool2d {
        let AvgPool2d { kernel, stride, padding: pad, ceil } = *self;
        let (batch, channels, [h_in, w_in]) = (extents.batch, extents.channels(), extents.sides());
        Pool2d { batch, channels, h_in, w_in, kernel, stride, pad, ceil }
    }
}

impl LayerKind for AvgPool2d {
    fn read(t: &Table<'_>) -> Result<Self> {
        let kernel = t.need::<Pair>("kernel")?.0;
        Ok(AvgPool2d {
            kernel,
            stride: t.or("stride", Pair(kernel))?.0,
            padding: t.or("padding", Padding([0; 4]))?.0,
            ceil: t.or("ceil", false)?,
        })
    }
    fn write(&self, out: &mut Text) {
        let AvgPool2d { kernel, stride, padding, ceil } = *self;
        out.put("kernel", &Pair(kernel));
        out.put_unless("stride", &Pair(stride), &Pair(kernel));
        out.put_unless("padding", &Padding(padding), &Padding([0; 4]));
        out.put_unless("ceil", &ceil, &false);
    }
    fn output(&self, inputs: &[&[usize]], batch: usize) -> std::result::Result<Vec<usize>, String> {
        let [channels, ..] = image(inputs[0])?;
        let d = self.geometry(&Extents::of_input(batch, inputs[0]));
        check(Op::MaxPool2dForward(d))?;
        Ok(vec![channels, d.h_out(), d.w_out()])
    }
    fn parameters(&self, _x: &[usize], _init: &Init) -> Vec<Declared> {
        Vec::new()
    }
    fn emit(&self, at: &mut Emitter<'_, '_>) -> Result<usize> {
        at.unary(Op::AvgPool2dForward(self.geometry(&at.extents)))
    }
    fn differentiate(&self, at: &mut Walk<'_, '_>) -> Result<()> {
        at.input_gradient(Op::AvgPool2dBackward(self.geometry(at.extents())), &[at.dy])
    }
}
