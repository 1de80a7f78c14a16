//! Two-dimensional convolution.

use super::{LayerKind, check, image};
use crate::error::Result;
use crate::model::emit::Emitter;
use crate::model::gradient::Walk;
use crate::model::graph::Extents;
use crate::model::init::Init;
use crate::model::parameter::Declared;
use crate::model::parameter::weight_and_bias;
use crate::model::reader::Table;
use crate::model::reader::{Padding, Pair};
use crate::model::writer::Text;
use crate::ops::{self, BiasGrad, Op};

/// Cross-correlation with `out_channels` filters, as in PyTorch.
#[derive(Clone, Debug, PartialEq)]
pub struct Conv2d {
    pub out_channels: usize,
    /// Height and width.
    pub kernel: [usize; 2],
    /// Vertical and horizontal.
    pub stride: [usize; 2],
    /// Top, left, bottom, right.
    pub padding: [usize; 4],
    /// Vertical and horizontal.
    pub dilation: [usize; 2],
    pub groups: usize,
    pub bias: bool,
}

impl Conv2d {
    fn geometry(&self, extents: &Extents, relu: bool) -> ops::Conv2d {
        let Conv2d { out_channels: c_out, kernel, stride, padding: pad, dilation, groups, bias } = *self;
        let (batch, c_in, [h_in, w_in]) = (extents.batch, extents.channels(), extents.sides());
        ops::Conv2d { batch, c_in, h_in, w_in, c_out, kernel, stride, pad, dilation, groups, bias, relu }
    }
}

impl LayerKind for Conv2d {
    fn read(t: &Table<'_>) -> Result<Self> {
        Ok(Conv2d {
            out_channels: t.need("out_channels")?,
            kernel: t.need::<Pair>("kernel")?.0,
            stride: t.or("stride", Pair([1, 1]))?.0,
            padding: t.or("padding", Padding([0; 4]))?.0,
            dilation: t.or("dilation", Pair([1, 1]))?.0,
            groups: t.or("groups", 1)?,
            bias: t.or("bias", true)?,
        })
    }
    fn write(&self, out: &mut Text) {
        let Conv2d { out_channels, kernel, stride, padding, dilation, groups, bias } = *self;
        out.put("out_channels", &out_channels);
        out.put("kernel", &Pair(kernel));
        out.put_unless("stride", &Pair(stride), &Pair([1, 1]));
        out.put_unless("padding", &Padding(padding), &Padding([0; 4]));
        out.put_unless("dilation", &Pair(dilation), &Pair([1, 1]));
        out.put_unless("groups", &groups, &1);
        out.put_unless("bias", &bias, &true);
    }
    fn output(&self, inputs: &[&[usize]], batch: usize) -> std::result::Result<Vec<usize>, String> {
        image(inputs[0])?;
        let d = self.geometry(&Extents::of_input(batch, inputs[0]), false);
        check(Op::Conv2dForward(d))?;
        Ok(vec![d.c_out, d.h_out(), d.w_out()])
    }
    fn parameters(&self, x: &[usize], init: &Init) -> Vec<Declared> {
        let c_in = x[0].checked_div(self.groups).unwrap_or(0);
        let area = self.kernel[0] * self.kernel[1];
        let shape = vec![self.out_channels, c_in, self.kernel[0], self.kernel[1]];
        weight_and_bias(shape, [c_in * area, self.out_channels * area], self.bias, init)
    }
    fn emit(&self, at: &mut Emitter<'_, '_>) -> Result<usize> {
        at.unary(Op::Conv2dForward(self.geometry(&at.extents, at.relu())))
    }
    fn differentiate(&self, at: &mut Walk<'_, '_>) -> Result<()> {
        let (d, x, w, dy) = (self.geometry(at.extents(), at.relu()), at.operand(0), at.operand(1), at.dy);
        if let Some(db) = at.parameter(1)? {
            let bias = BiasGrad { batch: d.batch, channels: d.c_out, inner: d.h_out() * d.w_out() };
            at.step(Op::BiasGrad(bias), &[dy, db]);
        }
        if let Some(dw) = at.parameter(0)? {
            at.step(Op::Conv2dGradWeight(d), &[x, dy, dw]);
        }
        at.input_gradient(Op::Conv2dGradInput(d), &[dy, w])
    }
    fn fuses_relu(&self) -> bool {
        true
    }
    fn macs(&self, x: &[usize]) -> u64 {
        self.geometry(&Extents::of_input(1, x), false).macs()
    }
    fn outputs_mut(&mut self) -> Option<&mut usize> {
        Some(&mut self.out_channels)
    }
}
