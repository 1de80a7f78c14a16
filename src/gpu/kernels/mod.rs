//! From an operator to dispatches: the only part of `gpu` that knows operators.
//!
//! Each function here looks at a geometry and answers with a list of dispatches: which shader, with which
//! constants, over which parts of which buffers. It touches no device, so it can be tested without one.

mod augment;
mod bias_grad;
mod block_size;
mod channel;
mod conv2d;
mod dispatch;
mod elements;
mod fused;
mod gemm;
mod limits;
mod linear;
mod loss;
mod normalise;
mod pointwise;
mod pool2d;
mod rounds;
mod shader;
mod slices;
mod table;
mod update;

pub use block_size::BlockSize;
pub use dispatch::{Binding, Dispatch, DispatchKind, Kernels, Source, fold};
pub use fused::fused;
pub use limits::{GemmKernel, Limits, Precision};
pub(super) use rounds::check as check_rounds;
pub use rounds::{LONGEST, MAX_ROUNDS};
pub use shader::{Part, Shader, ShaderFile};
use shader::{files, shader};
pub(super) use table::{Entry, Reduction, reductions, update_table};

use crate::error::Result;
use crate::ops::Op;

/// Does nothing to its one binding: the floor under every measured time.
pub const NOOP: Shader = shader!("probe/noop");

/// Fused multiply-adds in registers: the peak rate of arithmetic.
pub const PEAK_FMA: Shader = shader!("probe/peak_fma");

/// A copy: the peak bandwidth of memory.
pub const PEAK_COPY: Shader = shader!("probe/peak_copy", "shared/elements");

/// The dispatches of `op` under `limits`; an error (exit code 3) if a tensor cannot be bound even in parts, or a loop may
/// be longer than the adapter runs it.
pub fn kernels(op: &Op, limits: &Limits) -> Result<Kernels> {
    rounds::checked(unchecked(op, limits)?, limits)
}

fn unchecked(op: &Op, limits: &Limits) -> Result<Kernels> {
    match op {
        Op::Augment(d) => augment::kernels(op, d, limits),
        Op::Conv2dForward(_) | Op::Conv2dGradInput(_) | Op::Conv2dGradWeight(_) => {
            conv2d::kernels(op, limits)
        }
        Op::BiasGrad(_) => bias_grad::kernels(op, limits),
        Op::LinearForward(_) | Op::LinearGradInput(_) | Op::LinearGradWeight(_) => {
            linear::kernels(op, limits)
        }
        Op::ReluForward(_)
        | Op::ReluBackward(_)
        | Op::SigmoidForward(_)
        | Op::SigmoidBackward(_)
        | Op::TanhForward(_)
        | Op::TanhBackward(_)
        | Op::Add(_)
        | Op::Dropout(_) => pointwise::kernels(op, limits),
        Op::MaxPool2dForward(_)
        | Op::MaxPool2dBackward(_)
        | Op::AvgPool2dForward(_)
        | Op::AvgPool2dBackward(_)
        | Op::AdaptiveAvgPool2dForward(_)
        | Op::AdaptiveAvgPool2dBackward(_) => pool2d::kernels(op, limits),
        Op::LocalResponseNormForward(_)
        | Op::LocalResponseNormBackward(_)
        | Op::LocalResponseNormWithinForward(_)
        | Op::LocalResponseNormWithinBackward(_)
        | Op::BatchNorm2dStats(_)
        | Op::BatchNorm2dForward(_)
        | Op::BatchNorm2dGradParameters(_)
        | Op::BatchNorm2dGradInput(_) => normalise::kernels(op, limits),
        Op::ConcatForward(_) | Op::ConcatBackward(_) => channel::kernels(op, limits),
        Op::SoftmaxForward(_)
        | Op::SoftmaxBackward(_)
        | Op::CrossEntropy(_)
        | Op::HalfSquaredError(_)
        | Op::Metrics(_) => loss::kernels(op, limits),
        Op::Sgd(_)
        | Op::Adam(_)
        | Op::AdamW(_)
        | Op::RmsProp(_)
        | Op::GradAccumulate(_)
        | Op::GradNorm(_)
        | Op::GradClip(_)
        | Op::GradScale(_)
        | Op::GradUnscale(_) => update::kernels(op, limits),
    }
}
