//! Average pooling to a fixed output size.

use super::{LayerKind, check, image};
use crate::error::Result;
use crate::model::emit::Emitter;
use crate::model::gradient::Walk;
use crate::model::graph::Extents;
use crate::model::init::Init;
use crate::model::parameter::Declared;
use crate::model::reader::Pair;
use crate::model::reader::Table;
use crate::model::writer::Text;
use crate::ops::{self, Op};

/// The mean of each window; the output size determines the windows.
#[derive(Clone, Debug, PartialEq)]
pub struct AdaptiveAvgPool2d {
    /// Height and width.
    pub output: [usize; 2],
}

impl AdaptiveAvgPool2d {
    fn geometry(&self, extents: &Extents) -> ops::AdaptiveAvgPool2d {
        let (batch, channels, [h_in, w_in]) = (extents.batch, extents.channels(), extents.sides());
        let [h_out, w_out] = self.output;
        ops::AdaptiveAvgPool2d { batch, channels, h_in, w_in, h_out, w_out }
    }
}

impl LayerKind for AdaptiveAvgPool2d {
    fn read(t: &Table<'_>) -> Result<Self> {
        Ok(AdaptiveAvgPool2d { output: t.need::<Pair>("output")?.0 })
    }
    fn write(&self, out: &mut Text) {
        out.put("output", &Pair(self.output));
    }
    fn output(&self, inputs: &[&[usize]], batch: usize) -> std::result::Result<Vec<usize>, String> {
        let [channels, ..] = image(inputs[0])?;
        check(Op::AdaptiveAvgPool2dForward(self.geometry(&Extents::of_input(batch, inputs[0]))))?;
        Ok(vec![channels, self.output[0], self.output[1]])
    }
    fn parameters(&self, _x: &[usize], _init: &Init) -> Vec<Declared> {
        Vec::new()
    }
    fn emit(&self, at: &mut Emitter<'_, '_>) -> Result<usize> {
        // Means of one element each (AlexNet's at 224 pixels). The last layer needs a buffer that the host can read.
        if self.output == at.extents.sides() && !at.is_last() {
            return Ok(at.pass_on());
        }
        at.unary(Op::AdaptiveAvgPool2dForward(self.geometry(&at.extents)))
    }
    fn differentiate(&self, at: &mut Walk<'_, '_>) -> Result<()> {
        at.input_gradient(Op::AdaptiveAvgPool2dBackward(self.geometry(at.extents())), &[at.dy])
    }
}
