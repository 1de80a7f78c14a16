//! The concatenation of two or more inputs along channels.

use super::LayerKind;
use crate::error::Result;
use crate::model::emit::Emitter;
use crate::model::gradient::Walk;
use crate::model::init::Init;
use crate::model::parameter::Declared;
use crate::model::reader::Table;
use crate::model::writer::Text;
use crate::ops::{ChannelSlice, Op};

/// y = the channels of all inputs, one after another.
#[derive(Clone, Debug, PartialEq)]
pub struct Concat;

impl LayerKind for Concat {
    fn read(_t: &Table<'_>) -> Result<Self> {
        Ok(Concat)
    }
    fn write(&self, _out: &mut Text) {}
    fn output(&self, inputs: &[&[usize]], _batch: usize) -> std::result::Result<Vec<usize>, String> {
        let x = inputs[0];
        if let Some(other) = inputs.iter().find(|i| i.len() != x.len() || i[1..] != x[1..]) {
            return Err(format!("expected inputs that differ only in channels, found {x:?} and {other:?}"));
        }
        let mut out = x.to_vec();
        out[0] = inputs.iter().map(|i| i[0]).sum();
        Ok(out)
    }
    fn parameters(&self, _x: &[usize], _init: &Init) -> Vec<Declared> {
        Vec::new()
    }
    fn emit(&self, at: &mut Emitter<'_, '_>) -> Result<usize> {
        let y = at.output()?;
        let (batch, total) = (at.extents.batch, at.extents.y[0]);
        let inner = at.extents.y[1..].iter().product();
        let (mut offset, mut steps) = (0, Vec::new());
        for (&input, channels) in at.inputs.iter().zip(at.input_channels()) {
            let slice = ChannelSlice { batch, channels, inner, offset, total };
            offset += channels;
            steps.push((Op::ConcatForward(slice), vec![at.buffer(input), y]));
        }
        let (name, inputs) = (at.layer.name.clone(), at.inputs.clone());
        Ok(at.record_as(&name, steps, inputs, y))
    }
    fn differentiate(&self, at: &mut Walk<'_, '_>) -> Result<()> {
        let slices: Vec<Op> = at.record().steps.iter().map(|step| step.op.clone()).collect();
        for (input, op) in slices.into_iter().enumerate().rev() {
            let Op::ConcatForward(slice) = op else { continue };
            // A layer may read one value twice, so the name holds the place of the slice.
            let suffix = format!("x{}", slice.offset);
            at.gradient_of(input, &suffix, Op::ConcatBackward(slice), &[at.dy])?;
        }
        Ok(())
    }
    fn reads_several(&self) -> bool {
        true
    }
}
