//! The steps that make the input of a network: stored images as views show them, and images mixed with each other.

use super::spec::Spec;
use crate::error::{Error, Result};
use crate::ops::{Access, Augment, Mix, Op};
use crate::program::{BufferId, Program, ProgramBuilder, Role, Step, step};
use std::sync::Arc;

/// The input of training: the images of `input` mixed with each other.
pub(super) fn mix(
    builder: &mut ProgramBuilder,
    spec: &Spec,
    batch: usize,
    input: BufferId,
    hyper: BufferId,
) -> Result<BufferId> {
    let [channels, height, width] = spec.input;
    let mixed = builder.buffer("input.mixed", [batch, channels, height, width], Role::Transient)?;
    let op = Op::Mix(Mix { batch, channels, height, width });
    builder.gradients.push(step(op, "input", &[input, hyper, mixed]));
    Ok(mixed)
}

/// A program that only makes the input of `spec` from stored images of `pixels` (channels, height, width).
#[derive(Clone, Debug)]
pub struct PreprocessProgram {
    pub program: Arc<Program>,
    /// `[batch, words]`, as [`Augment`] takes them.
    pub pixels: BufferId,
    /// `[batch, View::WORDS]`.
    pub views: BufferId,
    /// `[batch, channels, height, width]`, after `Span::Forward`.
    pub input: BufferId,
}

impl PreprocessProgram {
    /// For `batch` images at a time.
    pub fn build(spec: &Spec, batch: usize, pixels: [usize; 3]) -> Result<Self> {
        let mut builder = ProgramBuilder::default();
        let [channels, height, width] = spec.input;
        let input = builder.buffer("input", [batch, channels, height, width], Role::Output)?;
        let step = augmentation(&mut builder, spec, batch, pixels, input)?;
        let (pixels, views) = (step.buffers[0], step.buffers[1]);
        builder.forward.push(step);
        Ok(PreprocessProgram { program: Arc::new(builder.finish(false)?), pixels, views, input })
    }
}

/// The step that makes the input from images of the shape `[c_in, h_in, w_in]`, and its buffers.
pub(super) fn augmentation(
    builder: &mut ProgramBuilder,
    spec: &Spec,
    batch: usize,
    [c_in, h_in, w_in]: [usize; 3],
    input: BufferId,
) -> Result<Step> {
    let [c_out, h_out, w_out] = spec.input;
    let op = Op::Augment(Augment { batch, c_in, h_in, w_in, c_out, h_out, w_out });
    op.check().map_err(|e| Error::Model(format!("{}: input: {e}", spec.origin)))?;
    let mut buffers = Vec::new();
    for operand in op.operands().into_iter().filter(|operand| operand.access == Access::Read) {
        buffers.push(builder.buffer(operand.name, operand.shape, Role::Input)?);
    }
    buffers.push(input);
    Ok(Step { op, buffers, label: "input".into() })
}
