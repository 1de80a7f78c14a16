//! Batch normalisation over channels. A flat input has one position per channel, which PyTorch calls BatchNorm1d.

use super::{LayerKind, image};
use crate::error::Result;
use crate::model::emit::Emitter;
use crate::model::gradient::Walk;
use crate::model::graph::Extents;
use crate::model::init::Init;
use crate::model::parameter::Declared;
use crate::model::parameter::{Start, TensorKind};
use crate::model::reader::Table;
use crate::model::writer::Text;
use crate::ops::{self, Op};

/// y = (x - mean) / sqrt(variance + eps) * w + b, with the batch's statistics in training and the running ones in
/// evaluation.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchNorm2d {
    pub eps: f32,
    /// Weight of the new statistics in the running ones.
    pub momentum: f32,
}

impl BatchNorm2d {
    fn geometry(&self, extents: &Extents, relu: bool) -> ops::BatchNorm2d {
        let (batch, channels, inner) = (extents.batch, extents.channels(), extents.inner());
        ops::BatchNorm2d { batch, channels, inner, eps: self.eps, momentum: self.momentum, relu }
    }
}

impl LayerKind for BatchNorm2d {
    fn read(t: &Table<'_>) -> Result<Self> {
        Ok(BatchNorm2d { eps: t.or("eps", 1e-5)?, momentum: t.or("momentum", 0.1)? })
    }
    fn write(&self, out: &mut Text) {
        out.put_unless("eps", &self.eps, &1e-5);
        out.put_unless("momentum", &self.momentum, &0.1);
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
        vec![
            tensor(TensorKind::Weight, 1.0),
            tensor(TensorKind::Bias, 0.0),
            tensor(TensorKind::RunningMean, 0.0),
            tensor(TensorKind::RunningVariance, 1.0),
        ]
    }
    fn emit(&self, at: &mut Emitter<'_, '_>) -> Result<usize> {
        let d = self.geometry(&at.extents, at.relu());
        let (x, hyper, y) = (at.input(), at.hyper(), at.output()?);
        let running = at.state();
        let [w, b] = [at.parameter(0), at.parameter(1)];
        let forward = Op::BatchNorm2dForward(d);
        // With nothing to train in it or above it, it is as in evaluation.
        if !at.training || !at.needs_gradient() {
            return Ok(at.record(forward, vec![x, w, b, running[0], running[1], y], y));
        }
        let mean = at.own_buffer("batch_mean", d.channels)?;
        let variance = at.own_buffer("batch_var", d.channels)?;
        let stats = (Op::BatchNorm2dStats(d), vec![x, hyper, mean, variance, running[0], running[1]]);
        let steps = vec![stats, (forward, vec![x, w, b, mean, variance, y])];
        let (name, inputs) = (at.output_name().to_string(), at.inputs.clone());
        Ok(at.record_as(&name, steps, inputs, y))
    }
    fn differentiate(&self, at: &mut Walk<'_, '_>) -> Result<()> {
        let (d, dy, hyper) = (self.geometry(at.extents(), at.relu()), at.dy, at.hyper());
        let [x, w, mean, variance] = [0, 1, 3, 4].map(|i| at.operand(i));
        // Both are computed together, and the gradient of the input needs them, frozen or not.
        let dw = at.parameter_or_buffer(0, "frozen_weight", d.channels)?;
        let db = at.parameter_or_buffer(1, "frozen_bias", d.channels)?;
        let coefficients = at.own_buffer("coefficients", [4, d.channels])?;
        let buffers = [x, w, mean, variance, dy, hyper, dw, db, coefficients];
        at.step(Op::BatchNorm2dGradParameters(d), &buffers);
        at.input_gradient(Op::BatchNorm2dGradInput(d), &[x, coefficients, dy, hyper])
    }
    fn fuses_relu(&self) -> bool {
        true
    }
    fn takes_init(&self) -> bool {
        false
    }
}
