//! Which shape a layer makes of its inputs, and whether they fit.

use super::layer::LayerOp;
use super::spec::Spec;
use crate::error::{Error, Result};
use crate::ops::{AdaptiveAvgPool2d, Conv2d, Dropout, LocalResponseNormWithin, Op, Pool2d};
use std::collections::HashMap;

impl LayerOp {
    /// Extents of the layer's output, without the batch, for inputs of these extents, or why they do not fit.
    pub fn output_dims(&self, inputs: &[&[usize]]) -> std::result::Result<Vec<usize>, String> {
        if inputs.is_empty() {
            Err("expected an input, found none".into())
        } else {
            output_dims(self, inputs, 1)
        }
    }
}

/// The geometry of a convolution layer over x `[channels, height, width]`.
pub(super) fn conv2d(op: &LayerOp, x: &[usize], batch: usize, relu: bool) -> Conv2d {
    let LayerOp::Conv2d { out_channels, kernel, stride, padding, dilation, groups, bias } = *op else {
        unreachable!("called for convolutions only")
    };
    let (c_in, h_in, w_in, c_out) = (x[0], x[1], x[2], out_channels);
    Conv2d { batch, c_in, h_in, w_in, c_out, kernel, stride, pad: padding, dilation, groups, bias, relu }
}

impl Spec {
    /// Output extents of every layer without the batch, in the order of `layers`. An error names the layer whose inputs
    /// do not fit or are not above it.
    pub fn layer_shapes(&self) -> Result<Vec<Vec<usize>>> {
        let mut known: HashMap<&str, Vec<usize>> = HashMap::from([("input", self.input.to_vec())]);
        let mut shapes = Vec::with_capacity(self.layers.len());
        for layer in &self.layers {
            let fault = |what: String| {
                Error::Model(format!("{}:{}: layer {}: {what}", self.origin, layer.line, layer.name))
            };
            let mut inputs = Vec::with_capacity(layer.inputs.len());
            for name in &layer.inputs {
                let shape = known.get(name.as_str());
                inputs.push(shape.ok_or_else(|| fault(format!("no layer `{name}` above it")))?.as_slice());
            }
            if inputs.is_empty() {
                return Err(fault("expected at least 1 input, found none".into()));
            }
            let out = output_dims(&layer.op, &inputs, 1).map_err(fault)?;
            known.insert(&layer.name, out.clone());
            shapes.push(out);
        }
        Ok(shapes)
    }

    /// Gives the network's last layer with weights `classes` outputs, and returns that layer's name.
    pub fn replace_outputs(&mut self, classes: usize) -> Result<String> {
        for layer in self.layers.iter_mut().rev() {
            match &mut layer.op {
                LayerOp::Linear { out_features, .. } => *out_features = classes,
                LayerOp::Conv2d { out_channels, .. } => *out_channels = classes,
                _ => continue,
            }
            return Ok(layer.name.clone());
        }
        Err(Error::Usage(format!(
            "model {} has no layer whose outputs --num-classes could replace",
            self.name
        )))
    }
}

/// Output extents of a layer without the batch, or why its inputs do not fit.
pub(super) fn output_dims(
    op: &LayerOp,
    inputs: &[&[usize]],
    batch: usize,
) -> std::result::Result<Vec<usize>, String> {
    let x = inputs[0];
    let picture = || match x {
        [c, h, w] => Ok([*c, *h, *w]),
        _ => Err(format!("expected an input [channels, height, width], found {x:?}")),
    };
    let checked = |op: Op| op.check().map_err(|e| e.to_string());
    match *op {
        LayerOp::Conv2d { .. } => {
            picture()?;
            let c = conv2d(op, x, batch, false);
            checked(Op::Conv2dForward(c))?;
            Ok(vec![c.c_out, c.h_out(), c.w_out()])
        }
        LayerOp::Linear { out_features, .. } => {
            if x.len() != 1 {
                return Err(format!("expected a flat input, found {x:?}; add a flatten layer above it"));
            }
            if out_features == 0 {
                return Err("out_features: expected at least 1, found 0".into());
            }
            Ok(vec![out_features])
        }
        LayerOp::MaxPool2d { kernel, stride, padding, ceil }
        | LayerOp::AvgPool2d { kernel, stride, padding, ceil } => {
            let [channels, h_in, w_in] = picture()?;
            let d = Pool2d { batch, channels, h_in, w_in, kernel, stride, pad: padding, ceil };
            checked(Op::MaxPool2dForward(d))?;
            Ok(vec![channels, d.h_out(), d.w_out()])
        }
        LayerOp::AdaptiveAvgPool2d { output: [h_out, w_out] } => {
            let [channels, h_in, w_in] = picture()?;
            checked(Op::AdaptiveAvgPool2dForward(AdaptiveAvgPool2d {
                batch,
                channels,
                h_in,
                w_in,
                h_out,
                w_out,
            }))?;
            Ok(vec![channels, h_out, w_out])
        }
        LayerOp::LocalResponseNorm { size, alpha, beta, k, within } => {
            let [channels, h, w] = picture()?;
            if within {
                let d = LocalResponseNormWithin { batch, channels, h, w, size, alpha, beta, k };
                checked(Op::LocalResponseNormWithinForward(d))?;
            }
            if size == 0 { Err("size: expected at least 1, found 0".into()) } else { Ok(x.to_vec()) }
        }
        LayerOp::BatchNorm2d { eps, .. } => {
            // A flat input is one place: what PyTorch calls BatchNorm1d.
            if x.len() != 1 {
                picture()?;
            }
            if eps > 0.0 { Ok(x.to_vec()) } else { Err(format!("eps: expected more than 0, found {eps}")) }
        }
        LayerOp::Dropout { p } => {
            checked(Op::Dropout(Dropout { len: 0, p, layer: 0 }))?;
            Ok(x.to_vec())
        }
        LayerOp::Flatten => Ok(vec![x.iter().product()]),
        LayerOp::Add => {
            if let Some(other) = inputs.iter().find(|i| **i != x) {
                return Err(format!("expected inputs of one shape, found {x:?} and {other:?}"));
            }
            Ok(x.to_vec())
        }
        LayerOp::Concat => {
            if let Some(other) = inputs.iter().find(|i| i.len() != x.len() || i[1..] != x[1..]) {
                return Err(format!(
                    "expected inputs that differ only in channels, found {x:?} and {other:?}"
                ));
            }
            let mut out = x.to_vec();
            out[0] = inputs.iter().map(|i| i[0]).sum();
            Ok(out)
        }
        LayerOp::Relu | LayerOp::Sigmoid | LayerOp::Tanh | LayerOp::Softmax => Ok(x.to_vec()),
    }
}
