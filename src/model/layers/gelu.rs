//! The Gaussian error linear unit. Its gradient is a function of the input.

use super::LayerKind;
use crate::error::Result;
use crate::model::emit::Emitter;
use crate::model::gradient::Walk;
use crate::model::graph::Extents;
use crate::model::init::Init;
use crate::model::parameter::Declared;
use crate::model::reader::Table;
use crate::model::writer::Text;
use crate::ops::{self, Op};

/// y = x P(x), with the distribution function P of the standard normal distribution.
#[derive(Clone, Debug, PartialEq)]
pub struct Gelu {
    /// Whether P is approximated by tanh (PyTorch's `approximate = "tanh"`).
    pub tanh: bool,
}

/// The names of the approximations.
const APPROXIMATE: [(&str, bool); 2] = [("none", false), ("tanh", true)];

impl Gelu {
    fn geometry(&self, extents: &Extents) -> ops::Gelu {
        ops::Gelu { len: extents.len(), tanh: self.tanh }
    }
}

impl LayerKind for Gelu {
    fn read(t: &Table<'_>) -> Result<Self> {
        Ok(Gelu { tanh: t.word("approximate", &APPROXIMATE, false)? })
    }
    fn write(&self, out: &mut Text) {
        if self.tanh {
            out.put("approximate", "tanh");
        }
    }
    fn output(&self, inputs: &[&[usize]], _batch: usize) -> std::result::Result<Vec<usize>, String> {
        Ok(inputs[0].to_vec())
    }
    fn parameters(&self, _x: &[usize], _init: &Init) -> Vec<Declared> {
        Vec::new()
    }
    fn emit(&self, at: &mut Emitter<'_, '_>) -> Result<usize> {
        at.unary(Op::GeluForward(self.geometry(&at.extents)))
    }
    fn differentiate(&self, at: &mut Walk<'_, '_>) -> Result<()> {
        let op = Op::GeluBackward(self.geometry(at.extents()));
        at.input_gradient(op, &[at.x(), at.dy])
    }
}
