//! Maximum pooling over windows.

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

/// The maximum of each window; PyTorch's `MaxPool2d` with `ceil_mode` as `ceil`.
#[derive(Clone, Debug, PartialEq)]
pub struct MaxPool2d {
    /// Height and width.
    pub kernel: [usize; 2],
    /// Vertical and horizontal.
    pub stride: [usize; 2],
    /// Top, left, bottom, right.
    pub padding: [usize; 4],
    /// Whether output extents are rounded up.
    pub ceil: bool,
}

impl MaxPool2d {
    fn geometry(&self, extents: &Extents) -> Pool2d {
        let MaxPool2d { kernel, stride, padding: pad, ceil } = *self;
        let (batch, channels, [h_in, w_in]) = (extents.batch, extents.channels(), extents.sides());
        Pool2d { batch, channels, h_in, w_in, kernel, stride, pad, ceil }
    }
}

impl LayerKind for MaxPool2d {
    fn read(t: &Table<'_>) -> Result<Self> {
        let kernel = t.need::<Pair>("kernel")?.0;
        Ok(MaxPool2d {
            kernel,
            stride: t.or("stride", Pair(kernel))?.0,
            padding: t.or("padding", Padding([0; 4]))?.0,
            ceil: t.or("ceil", false)?,
        })
    }
    fn write(&self, out: &mut Text) {
        let MaxPool2d { kernel, stride, padding, ceil } = *self;
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
        at.unary_with(Op::MaxPool2dForward(self.geometry(&at.extents)), "index")
    }
    fn differentiate(&self, at: &mut Walk<'_, '_>) -> Result<()> {
        let index = at.operand(2);
        at.input_gradient(Op::MaxPool2dBackward(self.geometry(at.extents())), &[index, at.dy])
    }
}
