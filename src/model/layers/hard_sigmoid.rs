//! The sigmoid of straight lines. Its gradient is a function of the output.

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

/// y = min(max(alpha x + beta, 0), 1).
#[derive(Clone, Debug, PartialEq)]
pub struct HardSigmoid {
    pub alpha: f32,
    pub beta: f32,
}

impl HardSigmoid {
    /// PyTorch's `hardsigmoid`.
    pub const PYTORCH: HardSigmoid = HardSigmoid { alpha: 1.0 / 6.0, beta: 0.5 };

    fn geometry(&self, extents: &Extents) -> ops::HardSigmoid {
        ops::HardSigmoid { len: extents.len(), alpha: self.alpha, beta: self.beta }
    }
}

impl LayerKind for HardSigmoid {
    fn read(t: &Table<'_>) -> Result<Self> {
        let HardSigmoid { alpha, beta } = Self::PYTORCH;
        Ok(HardSigmoid { alpha: t.or("alpha", alpha)?, beta: t.or("beta", beta)? })
    }
    fn write(&self, out: &mut Text) {
        out.put_unless("alpha", &self.alpha, &Self::PYTORCH.alpha);
        out.put_unless("beta", &self.beta, &Self::PYTORCH.beta);
    }
    fn output(&self, inputs: &[&[usize]], batch: usize) -> std::result::Result<Vec<usize>, String> {
        check(Op::HardSigmoidForward(self.geometry(&Extents::of_input(batch, inputs[0]))))?;
        Ok(inputs[0].to_vec())
    }
    fn parameters(&self, _x: &[usize], _init: &Init) -> Vec<Declared> {
        Vec::new()
    }
    fn emit(&self, at: &mut Emitter<'_, '_>) -> Result<usize> {
        at.unary(Op::HardSigmoidForward(self.geometry(&at.extents)))
    }
    fn differentiate(&self, at: &mut Walk<'_, '_>) -> Result<()> {
        let op = Op::HardSigmoidBackward(self.geometry(at.extents()));
        at.input_gradient(op, &[at.y(), at.dy])
    }
}
