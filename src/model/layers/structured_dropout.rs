//! Dropout of whole channels, and of the layers of a residual branch: in training they become 0 at random, and nothing happens
//! in evaluation.

use super::{LayerKind, check, image};
use crate::error::Result;
use crate::model::emit::Emitter;
use crate::model::gradient::Walk;
use crate::model::graph::Extents;
use crate::model::init::Init;
use crate::model::parameter::Declared;
use crate::model::reader::Table;
use crate::model::writer::Text;
use crate::ops::{DropUnit, Op, StructuredDropout};

/// Whole channels of an image become 0: PyTorch's `Dropout2d`.
#[derive(Clone, Debug, PartialEq)]
pub struct Dropout2d {
    /// Probability that a channel becomes 0.
    pub p: f32,
}

/// Whole images become 0, or the batch does: torchvision's `StochasticDepth`, for the end of a residual branch.
#[derive(Clone, Debug, PartialEq)]
pub struct StochasticDepth {
    /// Probability that an image becomes 0.
    pub p: f32,
    /// Whether all images of a batch are kept or dropped together (mode `batch`) rather than each by itself (`row`).
    pub batch: bool,
}

/// The step of training, or none where nothing is dropped.
fn emit_structured(at: &mut Emitter<'_, '_>, unit: DropUnit, p: f32) -> Result<usize> {
    // Every dropout layer takes a number, so that switching one off leaves the masks of the others alone.
    let layer = at.next_dropout();
    if !at.training || !at.options().dropout || p == 0.0 {
        return Ok(at.pass_on());
    }
    let Extents { batch, .. } = at.extents;
    let (channels, inner) = (at.extents.channels(), at.extents.inner());
    let op = Op::StructuredDropout(StructuredDropout { batch, channels, inner, unit, p, layer });
    let y = at.output()?;
    let operands = vec![at.input(), at.hyper(), y];
    Ok(at.record(op, operands, y))
}

/// The reason why `p` is no probability, if so.
fn check_p(p: f32) -> std::result::Result<(), String> {
    let unit = DropUnit::Row;
    check(Op::StructuredDropout(StructuredDropout { batch: 0, channels: 0, inner: 0, unit, p, layer: 0 }))
}

impl LayerKind for Dropout2d {
    fn read(t: &Table<'_>) -> Result<Self> {
        Ok(Dropout2d { p: t.or("p", 0.5)? })
    }
    fn write(&self, out: &mut Text) {
        out.put_unless("p", &self.p, &0.5);
    }
    fn output(&self, inputs: &[&[usize]], _batch: usize) -> std::result::Result<Vec<usize>, String> {
        image(inputs[0])?;
        check_p(self.p)?;
        Ok(inputs[0].to_vec())
    }
    fn parameters(&self, _x: &[usize], _init: &Init) -> Vec<Declared> {
        Vec::new()
    }
    fn emit(&self, at: &mut Emitter<'_, '_>) -> Result<usize> {
        emit_structured(at, DropUnit::Channel, self.p)
    }
    /// The same operator with the same mask.
    fn differentiate(&self, at: &mut Walk<'_, '_>) -> Result<()> {
        let op = at.op().clone();
        at.input_gradient(op, &[at.dy, at.hyper()])
    }
    fn passes_on(&self) -> bool {
        true
    }
}

impl LayerKind for StochasticDepth {
    fn read(t: &Table<'_>) -> Result<Self> {
        let batch = t.word("mode", &[("row", false), ("batch", true)], false)?;
        Ok(StochasticDepth { p: t.need("p")?, batch })
    }
    fn write(&self, out: &mut Text) {
        out.put("p", &self.p);
        if self.batch {
            out.put("mode", "batch");
        }
    }
    fn output(&self, inputs: &[&[usize]], _batch: usize) -> std::result::Result<Vec<usize>, String> {
        check_p(self.p)?;
        Ok(inputs[0].to_vec())
    }
    fn parameters(&self, _x: &[usize], _init: &Init) -> Vec<Declared> {
        Vec::new()
    }
    fn emit(&self, at: &mut Emitter<'_, '_>) -> Result<usize> {
        emit_structured(at, if self.batch { DropUnit::Batch } else { DropUnit::Row }, self.p)
    }
    /// The same operator with the same mask.
    fn differentiate(&self, at: &mut Walk<'_, '_>) -> Result<()> {
        let op = at.op().clone();
        at.input_gradient(op, &[at.dy, at.hyper()])
    }
    fn passes_on(&self) -> bool {
        true
    }
}
