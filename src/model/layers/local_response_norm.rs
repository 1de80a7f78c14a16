//! Local response normalisation, across channels or within each map.

use super::{LayerKind, check, image};
use crate::error::Result;
use crate::model::emit::Emitter;
use crate::model::gradient::Walk;
use crate::model::graph::Extents;
use crate::model::init::Init;
use crate::model::parameter::Declared;
use crate::model::reader::Table;
use crate::model::writer::Text;
use crate::ops::{self, Op};

/// y = x / (k + alpha * mean of x^2 over a window)^beta.
#[derive(Clone, Debug, PartialEq)]
pub struct LocalResponseNorm {
    pub size: usize,
    pub alpha: f32,
    pub beta: f32,
    pub k: f32,
    /// Whether the window is a square of positions in each map rather than a range of channels.
    pub within: bool,
}

impl LocalResponseNorm {
    fn across(&self, extents: &Extents) -> ops::LocalResponseNorm {
        let LocalResponseNorm { size, alpha, beta, k, .. } = *self;
        let (batch, channels, inner) = (extents.batch, extents.channels(), extents.inner());
        ops::LocalResponseNorm { batch, channels, inner, size, alpha, beta, k }
    }

    fn within(&self, extents: &Extents) -> ops::LocalResponseNormWithin {
        let LocalResponseNorm { size, alpha, beta, k, .. } = *self;
        let (batch, channels, [h, w]) = (extents.batch, extents.channels(), extents.sides());
        ops::LocalResponseNormWithin { batch, channels, h, w, size, alpha, beta, k }
    }
}

impl LayerKind for LocalResponseNorm {
    fn read(t: &Table<'_>) -> Result<Self> {
        Ok(LocalResponseNorm {
            size: t.need("size")?,
            alpha: t.or("alpha", 1e-4)?,
            beta: t.or("beta", 0.75)?,
            k: t.or("k", 1.0)?,
            within: t.word("region", &[("across", false), ("within", true)], false)?,
        })
    }
    fn write(&self, out: &mut Text) {
        let LocalResponseNorm { size, alpha, beta, k, within } = *self;
        out.put("size", &size);
        out.put_unless("alpha", &alpha, &1e-4);
        out.put_unless("beta", &beta, &0.75);
        out.put_unless("k", &k, &1.0);
        if within {
            out.put("region", "within");
        }
    }
    fn output(&self, inputs: &[&[usize]], batch: usize) -> std::result::Result<Vec<usize>, String> {
        let x = inputs[0];
        image(x)?;
        if self.within {
            check(Op::LocalResponseNormWithinForward(self.within(&Extents::of_input(batch, x))))?;
        }
        if self.size == 0 { Err("size: expected at least 1, found 0".into()) } else { Ok(x.to_vec()) }
    }
    fn parameters(&self, _x: &[usize], _init: &Init) -> Vec<Declared> {
        Vec::new()
    }
    fn emit(&self, at: &mut Emitter<'_, '_>) -> Result<usize> {
        let op = match self.within {
            true => Op::LocalResponseNormWithinForward(self.within(&at.extents)),
            false => Op::LocalResponseNormForward(self.across(&at.extents)),
        };
        at.unary_with(op, "scale")
    }
    fn differentiate(&self, at: &mut Walk<'_, '_>) -> Result<()> {
        let op = match self.within {
            true => Op::LocalResponseNormWithinBackward(self.within(at.extents())),
            false => Op::LocalResponseNormBackward(self.across(at.extents())),
        };
        let (x, scale) = (at.operand(0), at.operand(2));
        at.input_gradient(op, &[x, scale, at.dy])
    }
}
