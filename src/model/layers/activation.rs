//! The activations without attributes: relu, sigmoid and tanh. Their gradients are functions of the output.

use super::LayerKind;
use crate::error::Result;
use crate::model::emit::Emitter;
use crate::model::gradient::Walk;
use crate::model::init::Init;
use crate::model::parameter::Declared;
use crate::model::reader::Table;
use crate::model::writer::Text;
use crate::ops::{Op, Pointwise};

/// y = max(0, x).
#[derive(Clone, Debug, PartialEq)]
pub struct Relu;

impl LayerKind for Relu {
    fn read(_t: &Table<'_>) -> Result<Self> {
        Ok(Relu)
    }
    fn write(&self, _out: &mut Text) {}
    fn output(&self, inputs: &[&[usize]], _batch: usize) -> std::result::Result<Vec<usize>, String> {
        Ok(inputs[0].to_vec())
    }
    fn parameters(&self, _x: &[usize], _init: &Init) -> Vec<Declared> {
        Vec::new()
    }
    fn emit(&self, at: &mut Emitter<'_, '_>) -> Result<usize> {
        at.unary(Op::ReluForward(Pointwise { len: at.extents.len() }))
    }
    fn differentiate(&self, at: &mut Walk<'_, '_>) -> Result<()> {
        let op = Op::ReluBackward(Pointwise { len: at.extents().len() });
        at.input_gradient(op, &[at.y(), at.dy])
    }
}

/// y = 1 / (1 + exp(-x)).
#[derive(Clone, Debug, PartialEq)]
pub struct Sigmoid;

impl LayerKind for Sigmoid {
    fn read(_t: &Table<'_>) -> Result<Self> {
        Ok(Sigmoid)
    }
    fn write(&self, _out: &mut Text) {}
    fn output(&self, inputs: &[&[usize]], _batch: usize) -> std::result::Result<Vec<usize>, String> {
        Ok(inputs[0].to_vec())
    }
    fn parameters(&self, _x: &[usize], _init: &Init) -> Vec<Declared> {
        Vec::new()
    }
    fn emit(&self, at: &mut Emitter<'_, '_>) -> Result<usize> {
        at.unary(Op::SigmoidForward(Pointwise { len: at.extents.len() }))
    }
    fn differentiate(&self, at: &mut Walk<'_, '_>) -> Result<()> {
        let op = Op::SigmoidBackward(Pointwise { len: at.extents().len() });
        at.input_gradient(op, &[at.y(), at.dy])
    }
}

/// y = tanh(x).
#[derive(Clone, Debug, PartialEq)]
pub struct Tanh;

impl LayerKind for Tanh {
    fn read(_t: &Table<'_>) -> Result<Self> {
        Ok(Tanh)
    }
    fn write(&self, _out: &mut Text) {}
    fn output(&self, inputs: &[&[usize]], _batch: usize) -> std::result::Result<Vec<usize>, String> {
        Ok(inputs[0].to_vec())
    }
    fn parameters(&self, _x: &[usize], _init: &Init) -> Vec<Declared> {
        Vec::new()
    }
    fn emit(&self, at: &mut Emitter<'_, '_>) -> Result<usize> {
        at.unary(Op::TanhForward(Pointwise { len: at.extents.len() }))
    }
    fn differentiate(&self, at: &mut Walk<'_, '_>) -> Result<()> {
        let op = Op::TanhBackward(Pointwise { len: at.extents().len() });
        at.input_gradient(op, &[at.y(), at.dy])
    }
}
