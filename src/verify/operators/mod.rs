//! The operators as the self-test knows them: one file per group with the f64 reference, the error scale, the length of
//! reductions and the cases. [`entry`] and [`cases`] list all of them.
//!
//! The references are the plainest loops that state the formulas. They share no code with the executors and know nothing
//! of tiles, threads or layouts, so a mistake there cannot hide here. Where a formula in `ops` leaves something open,
//! PyTorch decides.

// A loop over an index is the plainest way to state a formula.
#![allow(clippy::needless_range_loop, reason = "plain loops are the point")]

mod activation;
pub(super) mod adaptive_avg_pool2d;
pub(super) mod augment;
mod batch_norm2d;
mod channel_shuffle;
mod concat;
pub(super) mod conv2d;
mod dropout;
mod elu;
mod gate;
mod gelu;
mod layer_norm;
mod leaky_relu;
pub(super) mod linear;
pub(super) mod local_response_norm;
mod local_response_norm_within;
pub(super) mod loss;
mod loss_scale;
mod mix;
mod pointwise;
pub(super) mod pool2d;
mod prelu;
mod resize;
mod scale;
mod softmax;
mod structured_dropout;
mod update;

use super::cases::Case;
use super::error_scale::Run;
use crate::ops::{Hyper, Op};

type Reference<'a> = Box<dyn Fn(&Hyper, &[Vec<f64>], &mut [Vec<f64>]) + 'a>;
type ErrorScale<'a> = Box<dyn Fn(&Run<'_>) -> Vec<Vec<f64>> + 'a>;
type Prepare<'a> = Box<dyn Fn(&Case, &mut [Vec<f32>]) + 'a>;

/// What the self-test knows of one operator.
pub(super) struct OperatorCheck<'a> {
    /// How many elements of its operands the longest reduction of the operator goes over; `None` where that does not
    /// grow with the data.
    pub reduction: Option<usize>,
    /// Computes the outputs from the step's hyperparameters and the inputs. Outputs that are only written may hold
    /// anything before, for instance NaN.
    pub reference: Reference<'a>,
    /// See [`super::error_scales`].
    pub error_scale: ErrorScale<'a>,
    /// Replaces operands that follow from others by their values in a training step.
    pub prepare: Prepare<'a>,
}

impl<'a> OperatorCheck<'a> {
    fn new(
        reduction: Option<usize>,
        reference: impl Fn(&Hyper, &[Vec<f64>], &mut [Vec<f64>]) + 'a,
        error_scale: impl Fn(&Run<'_>) -> Vec<Vec<f64>> + 'a,
    ) -> Self {
        OperatorCheck {
            reduction,
            reference: Box::new(reference),
            error_scale: Box::new(error_scale),
            prepare: Box::new(|_, _| {}),
        }
    }

    fn prepared(self, prepare: impl Fn(&Case, &mut [Vec<f32>]) + 'a) -> Self {
        OperatorCheck { prepare: Box::new(prepare), ..self }
    }
}

/// The table of operators.
pub(super) fn entry(op: &Op) -> OperatorCheck<'_> {
    match op {
        Op::Augment(d) => augment::augment(d),
        Op::Mix(d) => mix::mix(d),
        Op::Conv2dForward(d) => conv2d::forward(d),
        Op::Conv2dGradInput(d) => conv2d::grad_input(d),
        Op::Conv2dGradWeight(d) => conv2d::grad_weight(d),
        Op::BiasGrad(d) => conv2d::bias_grad(d),
        Op::LinearForward(d) => linear::forward(d),
        Op::LinearGradInput(d) => linear::grad_input(d),
        Op::LinearGradWeight(d) => linear::grad_weight(d),
        Op::ReluForward(_) => pointwise::relu_forward(),
        Op::ReluBackward(_) => pointwise::relu_backward(),
        Op::LeakyReluForward(d) => leaky_relu::forward(d),
        Op::LeakyReluBackward(d) => leaky_relu::backward(d),
        Op::SigmoidForward(_) => pointwise::sigmoid_forward(),
        Op::SigmoidBackward(_) => pointwise::sigmoid_backward(),
        Op::TanhForward(_) => pointwise::tanh_forward(),
        Op::TanhBackward(_) => pointwise::tanh_backward(),
        Op::SiluForward(_) => activation::silu_forward(),
        Op::SiluBackward(_) => activation::silu_backward(),
        Op::HardSwishForward(_) => activation::hard_swish_forward(),
        Op::HardSwishBackward(_) => activation::hard_swish_backward(),
        Op::HardSigmoidForward(d) => activation::hard_sigmoid_forward(d),
        Op::HardSigmoidBackward(d) => activation::hard_sigmoid_backward(d),
        Op::ClipForward(d) => activation::clip_forward(d),
        Op::ClipBackward(d) => activation::clip_backward(d),
        Op::GeluForward(d) => gelu::forward(d),
        Op::GeluBackward(d) => gelu::backward(d),
        Op::EluForward(d) => elu::forward(d),
        Op::EluBackward(d) => elu::backward(d),
        Op::PreluForward(d) => prelu::forward(d),
        Op::PreluGradInput(d) => prelu::grad_input(d),
        Op::PreluGradWeight(d) => prelu::grad_weight(d),
        Op::Mul(_) => gate::mul(),
        Op::MulGate(d) => gate::mul_gate(d),
        Op::MulGradGate(d) => gate::mul_grad_gate(d),
        Op::Add(_) => pointwise::add(),
        Op::MaxPool2dForward(d) => pool2d::max_forward(d),
        Op::MaxPool2dBackward(d) => pool2d::max_backward(d),
        Op::AvgPool2dForward(d) => pool2d::avg_forward(d),
        Op::AvgPool2dBackward(d) => pool2d::avg_backward(d),
        Op::AdaptiveAvgPool2dForward(d) => adaptive_avg_pool2d::forward(d),
        Op::AdaptiveAvgPool2dBackward(d) => adaptive_avg_pool2d::backward(d),
        Op::LocalResponseNormForward(d) => local_response_norm::forward(d),
        Op::LocalResponseNormBackward(d) => local_response_norm::backward(d),
        Op::LocalResponseNormWithinForward(d) => local_response_norm_within::forward(d),
        Op::LocalResponseNormWithinBackward(d) => local_response_norm_within::backward(d),
        Op::BatchNorm2dStats(d) => batch_norm2d::stats(d),
        Op::BatchNorm2dForward(d) => batch_norm2d::forward(d),
        Op::BatchNorm2dGradParameters(d) => batch_norm2d::grad_parameters(d),
        Op::BatchNorm2dGradInput(d) => batch_norm2d::grad_input(d),
        Op::Dropout(d) => dropout::dropout(d),
        Op::StructuredDropout(d) => structured_dropout::structured_dropout(d),
        Op::Scale(d) => scale::scale(d),
        Op::ScaleGradWeight(d) => scale::grad_weight(d),
        Op::LayerNormForward(d) => layer_norm::forward(d),
        Op::LayerNormGradInput(d) => layer_norm::grad_input(d),
        Op::LayerNormGradWeight(d) => layer_norm::grad_weight(d),
        Op::PadForward(d) => resize::pad_forward(d),
        Op::PadBackward(d) => resize::pad_backward(d),
        Op::UpsampleForward(d) => resize::upsample_forward(d),
        Op::UpsampleBackward(d) => resize::upsample_backward(d),
        Op::ConcatForward(d) => concat::forward(d),
        Op::ConcatBackward(d) => concat::backward(d),
        Op::SliceForward(d) => concat::slice_forward(d),
        Op::SliceBackward(d) => concat::slice_backward(d),
        Op::ChannelShuffle(d) => channel_shuffle::channel_shuffle(d),
        Op::SoftmaxForward(d) => softmax::forward(d),
        Op::SoftmaxBackward(d) => softmax::backward(d),
        Op::CrossEntropy(d) => loss::cross_entropy(d),
        Op::HalfSquaredError(d) => loss::half_squared_error(d),
        Op::Metrics(d) => loss::metrics(d),
        Op::GradAccumulate(_) => update::grad_accumulate(),
        Op::GradNorm(d) => update::grad_norm(d),
        Op::GradClip(d) => update::grad_clip(d),
        Op::GradScale(_) => loss_scale::grad_scale(),
        Op::GradUnscale(d) => loss_scale::grad_unscale(d),
        Op::Sgd(d) => update::sgd(d),
        Op::Adam(d) => update::adam(d),
        Op::AdamW(d) => update::adamw(d),
        Op::RmsProp(d) => update::rmsprop(d),
        Op::Ema(d) => update::ema(d),
    }
}

/// The cases of all operators.
pub(super) fn cases() -> Vec<Case> {
    [
        augment::cases(),
        mix::cases(),
        conv2d::cases(),
        linear::cases(),
        pointwise::cases(),
        leaky_relu::cases(),
        activation::cases(),
        gelu::cases(),
        elu::cases(),
        prelu::cases(),
        gate::cases(),
        dropout::cases(),
        structured_dropout::cases(),
        scale::cases(),
        layer_norm::cases(),
        resize::cases(),
        concat::cases(),
        channel_shuffle::cases(),
        softmax::cases(),
        pool2d::cases(),
        adaptive_avg_pool2d::cases(),
        local_response_norm::cases(),
        local_response_norm_within::cases(),
        batch_norm2d::cases(),
        loss::cases(),
        update::cases(),
        loss_scale::cases(),
    ]
    .concat()
}

/// See [`super::cases::large_cases`].
pub(super) fn large_cases() -> Vec<Case> {
    [linear::large_cases(), pointwise::large_cases(), dropout::large_cases(), update::large_cases()].concat()
}
