//! Some channels of the input. Several slices of one layer split its output; their gradients are added up.

use super::LayerKind;
use crate::error::Result;
use crate::model::emit::Emitter;
use crate::model::gradient::Walk;
use crate::model::graph::Extents;
use crate::model::init::Init;
use crate::model::parameter::Declared;
use crate::model::reader::Table;
use crate::model::writer::Text;
use crate::ops::{ChannelSlice, Op};

/// y = channels `start .. end` of x: PyTorch's `x[:, start:end]`. A flat input is sliced along its features.
#[derive(Clone, Debug, PartialEq)]
pub struct Slice {
    /// The first channel.
    pub start: usize,
    /// One more than the last channel.
    pub end: usize,
}

impl Slice {
    fn geometry(&self, extents: &Extents) -> ChannelSlice {
        let (batch, total, inner) = (extents.batch, extents.channels(), extents.inner());
        let channels = self.end.saturating_sub(self.start);
        ChannelSlice { batch, channels, inner, offset: self.start, total }
    }
}

impl LayerKind for Slice {
    fn read(t: &Table<'_>) -> Result<Self> {
        Ok(Slice { start: t.or("start", 0)?, end: t.need("end")? })
    }
    fn write(&self, out: &mut Text) {
        out.put_unless("start", &self.start, &0);
        out.put("end", &self.end);
    }
    fn output(&self, inputs: &[&[usize]], _batch: usize) -> std::result::Result<Vec<usize>, String> {
        let (Slice { start, end }, channels) = (self, inputs[0][0]);
        if start >= end || *end > channels {
            return Err(format!("expected start < end <= {channels} channels, found {start} and {end}"));
        }
        let mut out = inputs[0].to_vec();
        out[0] = end - start;
        Ok(out)
    }
    fn parameters(&self, _x: &[usize], _init: &Init) -> Vec<Declared> {
        Vec::new()
    }
    fn emit(&self, at: &mut Emitter<'_, '_>) -> Result<usize> {
        at.unary(Op::SliceForward(self.geometry(&at.extents)))
    }
    fn differentiate(&self, at: &mut Walk<'_, '_>) -> Result<()> {
        at.input_gradient(Op::SliceBackward(self.geometry(at.extents())), &[at.dy])
    }
}
