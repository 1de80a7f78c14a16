//! Fully connected layers, of whole inputs or of each position of a feature map.

use super::{LayerKind, check, image};
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

/// y = x w^T + b, w `[outputs, inputs]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Linear {
    pub out_features: usize,
    pub bias: bool,
    /// Whether the input is a feature map, whose channels at each position are an input of their own: PyTorch's `Linear` over
    /// maps with the channels last, which is a convolution of 1 x 1.
    pub per_position: bool,
}

impl Linear {
    fn geometry(&self, extents: &Extents, relu: bool) -> ops::Linear {
        let Linear { out_features: outputs, bias, .. } = *self;
        ops::Linear { batch: extents.batch, inputs: extents.channels(), outputs, bias, relu }
    }

    /// The convolution that does the same at each position.
    fn convolution(&self, extents: &Extents, relu: bool) -> ops::Conv2d {
        let (batch, c_in, [h_in, w_in]) = (extents.batch, extents.channels(), extents.sides());
        let (c_out, bias) = (self.out_features, self.bias);
        let (kernel, stride, pad, dilation) = ([1, 1], [1, 1], [0; 4], [1, 1]);
        ops::Conv2d { batch, c_in, h_in, w_in, c_out, kernel, stride, pad, dilation, groups: 1, bias, relu }
    }

    fn operators(&self, extents: &Extents, relu: bool) -> Operators {
        match self.per_position {
            true => {
                let d = self.convolution(extents, relu);
                Operators {
                    forward: Op::Conv2dForward(d),
                    grad_weight: Op::Conv2dGradWeight(d),
                    grad_input: Op::Conv2dGradInput(d),
                }
            }
            false => {
                let d = self.geometry(extents, relu);
                Operators {
                    forward: Op::LinearForward(d),
                    grad_weight: Op::LinearGradWeight(d),
                    grad_input: Op::LinearGradInput(d),
                }
            }
        }
    }
}

/// The operators that compute a layer and its gradients.
struct Operators {
    forward: Op,
    grad_weight: Op,
    grad_input: Op,
}

impl LayerKind for Linear {
    fn read(t: &Table<'_>) -> Result<Self> {
        Ok(Linear {
            out_features: t.need("out_features")?,
            bias: t.or("bias", true)?,
            per_position: t.or("per_position", false)?,
        })
    }
    fn write(&self, out: &mut Text) {
        out.put("out_features", &self.out_features);
        out.put_unless("bias", &self.bias, &true);
        out.put_unless("per_position", &self.per_position, &false);
    }
    fn output(&self, inputs: &[&[usize]], batch: usize) -> std::result::Result<Vec<usize>, String> {
        let x = inputs[0];
        if !self.per_position && x.len() != 1 {
            return Err(format!("expected a flat input, found {x:?}; add a flatten layer above it"));
        }
        if self.out_features == 0 {
            return Err("out_features: expected at least 1, found 0".into());
        }
        if self.per_position {
            image(x)?;
            check(Op::Conv2dForward(self.convolution(&Extents::of_input(batch, x), false)))?;
        }
        Ok([self.out_features].iter().chain(&x[1..]).copied().collect())
    }
    fn parameters(&self, x: &[usize], init: &Init) -> Vec<Declared> {
        let (fan_in, fan_out) = (x[0], self.out_features);
        weight_and_bias(vec![fan_out, fan_in], [fan_in, fan_out], self.bias, init)
    }
    fn emit(&self, at: &mut Emitter<'_, '_>) -> Result<usize> {
        at.unary(self.operators(&at.extents, at.relu()).forward)
    }
    fn differentiate(&self, at: &mut Walk<'_, '_>) -> Result<()> {
        let operators = self.operators(at.extents(), at.relu());
        let (batch, inner) = (at.extents().batch, at.extents().y[1..].iter().product());
        let (x, w, dy) = (at.operand(0), at.operand(1), at.dy);
        if let Some(db) = at.parameter(1)? {
            let bias = BiasGrad { batch, channels: self.out_features, inner };
            at.step(Op::BiasGrad(bias), &[dy, db]);
        }
        if let Some(dw) = at.parameter(0)? {
            at.step(operators.grad_weight, &[x, dy, dw]);
        }
        at.input_gradient(operators.grad_input, &[dy, w])
    }
    fn fuses_relu(&self) -> bool {
        true
    }
    fn macs(&self, x: &[usize]) -> u64 {
        x.iter().product::<usize>() as u64 * self.out_features as u64
    }
    fn outputs_mut(&mut self) -> Option<&mut usize> {
        Some(&mut self.out_features)
    }
}
