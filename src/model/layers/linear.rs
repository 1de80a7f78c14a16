//! Fully connected layers.

use super::LayerKind;
use crate::error::Result;
use crate::model::emit::Emitter;
use crate::model::gradient::Walk;
use crate::model::graph::Extents;
use crate::model::init::Init;
use crate::model::parameter::Declared;
use crate::model::parameter::weight_and_bias;
use crate::model::reader::Table;
use crate::model::writer::Text;
use crate::ops::{self, BiasGrad, Op};

/// y = x w^T + b.
#[derive(Clone, Debug, PartialEq)]
pub struct Linear {
    pub out_features: usize,
    pub bias: bool,
}

impl Linear {
    fn geometry(&self, extents: &Extents, relu: bool) -> ops::Linear {
        let Linear { out_features: outputs, bias } = *self;
        ops::Linear { batch: extents.batch, inputs: extents.channels(), outputs, bias, relu }
    }
}

impl LayerKind for Linear {
    fn read(t: &Table<'_>) -> Result<Self> {
        Ok(Linear { out_features: t.need("out_features")?, bias: t.or("bias", true)? })
    }
    fn write(&self, out: &mut Text) {
        out.put("out_features", &self.out_features);
        out.put_unless("bias", &self.bias, &true);
    }
    fn output(&self, inputs: &[&[usize]], _batch: usize) -> std::result::Result<Vec<usize>, String> {
        let x = inputs[0];
        if x.len() != 1 {
            return Err(format!("expected a flat input, found {x:?}; add a flatten layer above it"));
        }
        if self.out_features == 0 {
            return Err("out_features: expected at least 1, found 0".into());
        }
        Ok(vec![self.out_features])
    }
    fn parameters(&self, x: &[usize], init: &Init) -> Vec<Declared> {
        let (fan_in, fan_out) = (x[0], self.out_features);
        weight_and_bias(vec![fan_out, fan_in], [fan_in, fan_out], self.bias, init)
    }
    fn emit(&self, at: &mut Emitter<'_, '_>) -> Result<usize> {
        at.unary(Op::LinearForward(self.geometry(&at.extents, at.relu())))
    }
    fn differentiate(&self, at: &mut Walk<'_, '_>) -> Result<()> {
        let (d, x, w, dy) = (self.geometry(at.extents(), at.relu()), at.operand(0), at.operand(1), at.dy);
        if let Some(db) = at.parameter(1)? {
            let bias = BiasGrad { batch: d.batch, channels: d.outputs, inner: 1 };
            at.step(Op::BiasGrad(bias), &[dy, db]);
        }
        if let Some(dw) = at.parameter(0)? {
            at.step(Op::LinearGradWeight(d), &[x, dy, dw]);
        }
        at.input_gradient(Op::LinearGradInput(d), &[dy, w])
    }
    fn fuses_relu(&self) -> bool {
        true
    }
    fn macs(&self, x: &[usize]) -> u64 {
        (x[0] * self.out_features) as u64
    }
    fn outputs_mut(&mut self) -> Option<&mut usize> {
        Some(&mut self.out_features)
    }
}
