//! Upsampling by repetition.

use super::{LayerKind, check, image};
use crate::error::Result;
use crate::model::emit::Emitter;
use crate::model::gradient::Walk;
use crate::model::graph::Extents;
use crate::model::init::Init;
use crate::model::parameter::Declared;
use crate::model::reader::{Pair, Table};
use crate::model::writer::Text;
use crate::ops::{self, Op};

/// PyTorch's `Upsample` with mode `nearest`, by whole factors.
#[derive(Clone, Debug, PartialEq)]
pub struct Upsample {
    /// Vertical and horizontal.
    pub scale_factor: [usize; 2],
}

impl Upsample {
    /// The largest factor.
    pub const MOST: usize = ops::Upsample::MOST;

    fn geometry(&self, extents: &Extents) -> ops::Upsample {
        let (batch, channels, [h_in, w_in]) = (extents.batch, extents.channels(), extents.sides());
        ops::Upsample { batch, channels, h_in, w_in, scale: self.scale_factor }
    }
}

impl LayerKind for Upsample {
    fn read(t: &Table<'_>) -> Result<Self> {
        Ok(Upsample { scale_factor: t.need::<Pair>("scale_factor")?.0 })
    }
    fn write(&self, out: &mut Text) {
        out.put("scale_factor", &Pair(self.scale_factor));
    }
    fn output(&self, inputs: &[&[usize]], batch: usize) -> std::result::Result<Vec<usize>, String> {
        let [channels, ..] = image(inputs[0])?;
        let d = self.geometry(&Extents::of_input(batch, inputs[0]));
        check(Op::UpsampleForward(d))?;
        Ok(vec![channels, d.h_out(), d.w_out()])
    }
    fn parameters(&self, _x: &[usize], _init: &Init) -> Vec<Declared> {
        Vec::new()
    }
    fn emit(&self, at: &mut Emitter<'_, '_>) -> Result<usize> {
        at.unary(Op::UpsampleForward(self.geometry(&at.extents)))
    }
    fn differentiate(&self, at: &mut Walk<'_, '_>) -> Result<()> {
        at.input_gradient(Op::UpsampleBackward(self.geometry(at.extents())), &[at.dy])
    }
}
