//! Flattening `[channels, height, width]` to one extent: another shape for the same memory.

use super::LayerKind;
use crate::error::Result;
use crate::model::emit::Emitter;
use crate::model::gradient::Walk;
use crate::model::init::Init;
use crate::model::parameter::Declared;
use crate::model::reader::Table;
use crate::model::writer::Text;

/// y = x as one extent.
#[derive(Clone, Debug, PartialEq)]
pub struct Flatten;

impl LayerKind for Flatten {
    fn read(_t: &Table<'_>) -> Result<Self> {
        Ok(Flatten)
    }
    fn write(&self, _out: &mut Text) {}
    fn output(&self, inputs: &[&[usize]], _batch: usize) -> std::result::Result<Vec<usize>, String> {
        Ok(vec![inputs[0].iter().product()])
    }
    fn parameters(&self, _x: &[usize], _init: &Init) -> Vec<Declared> {
        Vec::new()
    }
    fn emit(&self, at: &mut Emitter<'_, '_>) -> Result<usize> {
        Ok(at.pass_on())
    }
    /// Never called: the layer makes no value, so its readers contribute to the gradient of its input.
    fn differentiate(&self, _at: &mut Walk<'_, '_>) -> Result<()> {
        Ok(())
    }
    fn passes_on(&self) -> bool {
        true
    }
}
