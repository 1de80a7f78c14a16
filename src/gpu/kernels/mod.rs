//! The dispatches of each operator: the only part of `gpu` that knows operators.
//!
//! Each function takes a geometry and returns a list of dispatches: which shader, with which constants, over which parts
//! of which buffers. It needs no device, so it can be tested without one.

mod activation;
mod augment;
mod bias_grad;
mod block_size;
mod channel;
mod channel_norm;
mod conv2d;
mod dispatch;
mod elements;
mod fused;
mod gate;
mod gemm;
mod limits;
mod linear;
mod loss;
mod mix;
mod normalise;
mod pointwise;
mod pool2d;
mod prelu;
mod resize;
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
pub use shader::{Shader, ShaderFile, ShaderPart};
use shader::{files, shader};
pub(super) use table::{Reduction, TableDispatch, reductions, update_table};

use crate::error::Result;
use crate::ops::Op;
use activation::activation;
use pointwise::pointwise;

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
        Op::Mix(d) => mix::kernels(op, d, limits),
        Op::Conv2dForward(d) => conv2d::forward(op, d, limits),
        Op::Conv2dGradInput(d) => conv2d::grad_input(op, d, limits),
        Op::Conv2dGradWeight(d) => conv2d::grad_weight(op, d, limits),
        Op::BiasGrad(d) => bias_grad::kernels(op, d, limits),
        Op::LinearForward(d) => linear::forward(op, d, limits),
        Op::LinearGradInput(d) => linear::grad_input(op, d, limits),
        Op::LinearGradWeight(d) => linear::grad_weight(op, d, limits),
        Op::ReluForward(d) => {
            let shader = shader!("activation/relu_forward", "activation/relu", "shared/elements");
            pointwise(op, shader, d.len, &[], limits)
        }
        Op::ReluBackward(d) => {
            let shader = shader!("activation/relu_backward", "shared/elements");
            pointwise(op, shader, d.len, &[], limits)
        }
        Op::LeakyReluForward(d) => {
            let shader = shader!("activation/leaky_relu_forward", "shared/elements");
            let slope = ("negative_slope", f64::from(d.negative_slope));
            pointwise(op, shader, d.len, &[slope], limits)
        }
        Op::LeakyReluBackward(d) => {
            let shader = shader!("activation/leaky_relu_backward", "shared/elements");
            let slope = ("negative_slope", f64::from(d.negative_slope));
            pointwise(op, shader, d.len, &[slope], limits)
        }
        Op::SigmoidForward(d) => {
            let shader = shader!("activation/sigmoid_forward", "shared/elementary", "shared/elements");
            pointwise(op, shader, d.len, &[], limits)
        }
        Op::SigmoidBackward(d) => {
            let shader = shader!("activation/sigmoid_backward", "shared/elements");
            pointwise(op, shader, d.len, &[], limits)
        }
        Op::TanhForward(d) => {
            let shader = shader!("activation/tanh_forward", "shared/elementary", "shared/elements");
            pointwise(op, shader, d.len, &[], limits)
        }
        Op::TanhBackward(d) => {
            let shader = shader!("activation/tanh_backward", "shared/elements");
            pointwise(op, shader, d.len, &[], limits)
        }
        Op::SiluForward(d) => activation(op, activation::SILU, d.len, &[], limits),
        Op::SiluBackward(d) => activation(op, activation::SILU, d.len, &[], limits),
        Op::HardSwishForward(d) => activation(op, activation::HARD_SWISH, d.len, &[], limits),
        Op::HardSwishBackward(d) => activation(op, activation::HARD_SWISH, d.len, &[], limits),
        Op::HardSigmoidForward(d) | Op::HardSigmoidBackward(d) => {
            let attributes = [("alpha", f64::from(d.alpha)), ("beta", f64::from(d.beta))];
            activation(op, activation::HARD_SIGMOID, d.len, &attributes, limits)
        }
        Op::ClipForward(d) | Op::ClipBackward(d) => {
            activation(op, activation::CLIP, d.len, &activation::limits_of(d), limits)
        }
        Op::GeluForward(d) | Op::GeluBackward(d) if d.tanh => {
            activation(op, activation::GELU_TANH, d.len, &[], limits)
        }
        Op::GeluForward(d) | Op::GeluBackward(d) => activation(op, activation::GELU, d.len, &[], limits),
        Op::EluForward(d) | Op::EluBackward(d) => {
            activation(op, activation::ELU, d.len, &[("alpha", f64::from(d.alpha))], limits)
        }
        Op::PreluForward(d) => prelu::forward(op, d, limits),
        Op::PreluGradInput(d) => prelu::grad_input(op, d, limits),
        Op::PreluGradWeight(d) => prelu::grad_weight(op, d, limits),
        Op::Mul(d) => pointwise(op, shader!("merge/mul", "shared/elements"), d.len, &[], limits),
        Op::MulGate(d) => gate::mul_gate(op, d, limits),
        Op::MulGradGate(d) => gate::mul_grad_gate(op, d, limits),
        Op::Add(d) => {
            let shader = shader!("merge/add", "shared/elements");
            pointwise(op, shader, d.len, &[], limits)
        }
        Op::MaxPool2dForward(d) => pool2d::max_pool2d_forward(op, d, limits),
        Op::MaxPool2dBackward(d) => pool2d::max_pool2d_backward(op, d, limits),
        Op::AvgPool2dForward(d) => pool2d::avg_pool2d_forward(op, d, limits),
        Op::AvgPool2dBackward(d) => pool2d::avg_pool2d_backward(op, d, limits),
        Op::AdaptiveAvgPool2dForward(d) => pool2d::adaptive_avg_pool2d_forward(op, d, limits),
        Op::AdaptiveAvgPool2dBackward(d) => pool2d::adaptive_avg_pool2d_backward(op, d, limits),
        Op::LocalResponseNormForward(d) => normalise::local_response_norm_forward(op, d, limits),
        Op::LocalResponseNormBackward(d) => normalise::local_response_norm_backward(op, d, limits),
        Op::LocalResponseNormWithinForward(d) => normalise::local_response_norm_within_forward(op, d, limits),
        Op::LocalResponseNormWithinBackward(d) => {
            normalise::local_response_norm_within_backward(op, d, limits)
        }
        Op::BatchNorm2dStats(d) => normalise::stats(op, d, limits),
        Op::BatchNorm2dForward(d) => normalise::forward(op, d, limits),
        Op::BatchNorm2dGradParameters(d) => normalise::grad_parameters(op, d, limits),
        Op::BatchNorm2dGradInput(d) => normalise::grad_input(op, d, limits),
        Op::Dropout(d) => pointwise::dropout(op, d, limits),
        Op::StructuredDropout(d) => pointwise::structured_dropout(op, d, limits),
        Op::Scale(d) => channel_norm::scale(op, d, limits),
        Op::ScaleGradWeight(d) => channel_norm::scale_grad_weight(op, d, limits),
        Op::LayerNormForward(d) => channel_norm::layer_norm_forward(op, d, limits),
        Op::LayerNormGradInput(d) => channel_norm::layer_norm_grad_input(op, d, limits),
        Op::LayerNormGradWeight(d) => channel_norm::layer_norm_grad_weight(op, d, limits),
        Op::PadForward(d) | Op::PadBackward(d) => resize::pad(op, d, limits),
        Op::UpsampleForward(d) | Op::UpsampleBackward(d) => resize::upsample(op, d, limits),
        Op::ConcatForward(d) => channel::concat_forward(op, d, limits),
        Op::ConcatBackward(d) => channel::concat_backward(op, d, limits),
        Op::SliceForward(d) => channel::slice_forward(op, d, limits),
        Op::SliceBackward(d) => channel::slice_backward(op, d, limits),
        Op::ChannelShuffle(d) => channel::channel_shuffle(op, d, limits),
        Op::SoftmaxForward(d) => loss::softmax_forward(op, d, limits),
        Op::SoftmaxBackward(d) => loss::softmax_backward(op, d, limits),
        Op::CrossEntropy(d) => loss::cross_entropy(op, d, limits),
        Op::HalfSquaredError(d) => loss::half_squared_error(op, d, limits),
        Op::Metrics(d) => loss::metrics(d),
        Op::GradAccumulate(d) => update::grad_accumulate(op, d, limits),
        Op::GradNorm(d) => update::grad_norm(op, d, limits),
        Op::GradClip(d) => update::grad_clip(d),
        Op::GradScale(d) => update::grad_scale(op, d, limits),
        Op::GradUnscale(d) => update::grad_unscale(d),
        Op::Sgd(d) => update::update(op, d, limits),
        Op::Adam(d) => update::update(op, d, limits),
        Op::AdamW(d) => update::update(op, d, limits),
        Op::RmsProp(d) => update::update(op, d, limits),
        Op::Ema(d) => update::ema(op, d, limits),
    }
}
