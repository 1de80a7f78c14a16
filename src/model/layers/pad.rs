//! Zeros around an image. Convolutions and pools have padding of their own; this is for what has not.

use super::{LayerKind, check, image};
use crate::error::Result;
use crate::model::emit::Emitter;
use crate::model::gradient::Walk;
use crate::model::graph::Extents;
use crate::model::init::Init;
use crate::model::parameter::Declared;
use crate::model::reader::{Padding, Table};
use crate::model::writer::Text;
use crate::ops::{Op, Pad2d};

/// PyTorch's `ZeroPad2d`.
#[derive(Clone, Debug, PartialEq)]
pub struct Pad {
    /// Top, left, bottom, right.
    pub padding: [usize; 4],
}

impl Pad {
    fn geometry(&self, extents: &Extents) -> Pad2d {
        let (batch, channels, [h_in, w_in]) = (extents.batch, extents.channels(), extents.sides());
        Pad2d { batch, channels, h_in, w_in, pad: self.padding }
    }
}

impl LayerKind for Pad {
    fn read(t: &Table<'_>) -> Result<Self> {
        Ok(Pad { padding: t.need::<Padding>("padding")?.0 })
    }
    fn write(&self, out: &mut Text) {
        out.put("padding", &Padding(self.padding));
    }
    fn output(&self, inputs: &[&[usize]], batch: usize) -> std::result::Result<Vec<usize>, String> {
        let [channels, ..] = image(inputs[0])?;
        let d = self.geometry(&Extents::of_input(batch, inputs[0]));
        check(Op::PadForward(d))?;
        Ok(vec![channels, d.h_out(), d.w_out()])
    }
    fn parameters(&self, _x: &[usize], _init: &Init) -> Vec<Declared> {
        Vec::new()
    }
    fn emit(&self, at: &mut Emitter<'_, '_>) -> Result<usize> {
        at.unary(Op::PadForward(self.geometry(&at.extents)))
    }
    fn differentiate(&self, at: &mut Walk<'_, '_>) -> Result<()> {
        at.input_gradient(Op::PadBackward(self.geometry(at.extents())), &[at.dy])
    }
}
