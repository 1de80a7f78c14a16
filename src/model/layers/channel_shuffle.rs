//! The channel shuffle of ShuffleNet.

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

/// The channels as `groups` rows, transposed: PyTorch's `ChannelShuffle`.
#[derive(Clone, Debug, PartialEq)]
pub struct ChannelShuffle {
    pub groups: usize,
}

impl ChannelShuffle {
    fn geometry(&self, extents: &Extents) -> ops::ChannelShuffle {
        let (batch, channels, inner) = (extents.batch, extents.channels(), extents.inner());
        ops::ChannelShuffle { batch, channels, inner, groups: self.groups }
    }
}

impl LayerKind for ChannelShuffle {
    fn read(t: &Table<'_>) -> Result<Self> {
        Ok(ChannelShuffle { groups: t.need("groups")? })
    }
    fn write(&self, out: &mut Text) {
        out.put("groups", &self.groups);
    }
    fn output(&self, inputs: &[&[usize]], batch: usize) -> std::result::Result<Vec<usize>, String> {
        check(Op::ChannelShuffle(self.geometry(&Extents::of_input(batch, inputs[0]))))?;
        Ok(inputs[0].to_vec())
    }
    fn parameters(&self, _x: &[usize], _init: &Init) -> Vec<Declared> {
        Vec::new()
    }
    fn emit(&self, at: &mut Emitter<'_, '_>) -> Result<usize> {
        at.unary(Op::ChannelShuffle(self.geometry(&at.extents)))
    }
    /// The shuffle that restores the order.
    fn differentiate(&self, at: &mut Walk<'_, '_>) -> Result<()> {
        at.input_gradient(Op::ChannelShuffle(self.geometry(at.extents()).inverse()), &[at.dy])
    }
}
