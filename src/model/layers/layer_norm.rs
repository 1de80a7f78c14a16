//! Layer normalisation over channels: torchvision's `LayerNorm2d`, and PyTorch's `LayerNorm` over a flat input.

use super::{LayerKind, image};
use crate::error::Result;
use crate::model::emit::Emitter;
use crate::model::gradient::Walk;
use crate::model::graph::Extents;
use crate::model::init::Init;
use crate::model::parameter::{Declared, Start, TensorKind};
use crate::model::reader::Table;
use crate::model::writer::Text;
use crate::ops::{self, BiasGrad, Op};

/// y = (x - mean) / sqrt(variance + eps) * w + b, with the statistics of the channels at each position of each image.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerNorm {
    pub eps: f32,
}

impl LayerNorm {
    fn geometry(&self, extents: &Extents) -> ops::LayerNorm {
        let (batch, channels, inner) = (extents.batch, extents.channels(), extents.inner());
        ops::LayerNorm { batch, channels, inner, eps: self.eps }
    }
}

impl LayerKind for LayerNorm {
    fn read(t: &Table<'_>) -> Result<Self> {
        Ok(LayerNorm { eps: t.or("eps", 1e-5)? })
    }
    fn write(&self, out: &mut Text) {
        out.put_unless("eps", &self.eps, &1e-5);
    }
    fn output(&self, inputs: &[&[usize]], _batch: usize) -> std::result::Result<Vec<usize>, String> {
        let (x, eps) = (inputs[0], self.eps);
        if x.len() != 1 {
            image(x)?;
        }
        if eps > 0.0 { Ok(x.to_vec()) } else { Err(format!("eps: expected more than 0, found {eps}")) }
    }
    fn parameters(&self, x: &[usize], _init: &Init) -> Vec<Declared> {
        let tensor = |kind, value| Declared { kind, shape: vec![x[0]], start: Start::Fill(value) };
        vec![tensor(TensorKind::Weight, 1.0), tensor(TensorKind::Bias, 0.0)]
    }
    fn emit(&self, at: &mut Emitter<'_, '_>) -> Result<usize> {
        let d = self.geometry(&at.extents);
        let (x, w, b, y) = (at.input(), at.parameter(0), at.parameter(1), at.output()?);
        let [mean, r] =
            [at.further_output("mean", [d.batch, d.inner])?, at.further_output("r", [d.batch, d.inner])?];
        Ok(at.record(Op::LayerNormForward(d), vec![x, w, b, y, mean, r], y))
    }
    fn differentiate(&self, at: &mut Walk<'_, '_>) -> Result<()> {
        let (d, dy) = (self.geometry(at.extents()), at.dy);
        let [x, w, mean, r] = [0, 1, 4, 5].map(|i| at.operand(i));
        if let Some(db) = at.parameter(1)? {
            let bias = BiasGrad { batch: d.batch, channels: d.channels, inner: d.inner };
            at.step(Op::BiasGrad(bias), &[dy, db]);
        }
        if let Some(dw) = at.parameter(0)? {
            at.step(Op::LayerNormGradWeight(d), &[x, mean, r, dy, dw]);
        }
        at.input_gradient(Op::LayerNormGradInput(d), &[x, w, mean, r, dy])
    }
    fn takes_init(&self) -> bool {
        false
    }
}
