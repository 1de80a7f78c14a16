//! Operator descriptors: geometry, operands with their shapes, floating-point operations and bytes.
//! No arithmetic on data happens here; `cpu` and `gpu` execute what these describe, and `verify::oracle`
//! says what the result must be.
//!
//! **One stem for one thing everywhere**: `Op::Conv2dGradWeight` has the name `conv2d_grad_weight`, and so
//! have its CPU function, its WGSL file, its profiler label, its test case and its bench id.
//!
//! Operands stand in one order everywhere (`Op::operands`, `Step::buffers`, WGSL bindings): inputs first,
//! outputs last. Tensors are `x w b y`, gradients `dx dw db dy`. All are contiguous NCHW `f32`.

pub mod augment;
pub mod batch_norm;
pub mod channel_slice;
pub mod conv2d;
pub mod dropout;
pub mod hyper;
pub mod linear;
pub mod local_response_norm;
pub mod local_response_norm_within;
pub mod loss;
pub mod loss_scale;
pub mod pointwise;
pub mod pool2d;
pub mod softmax;
pub mod update;

pub use augment::Augment;
pub use batch_norm::BatchNorm2d;
pub use channel_slice::ChannelSlice;
pub use conv2d::{BiasGrad, Conv2d};
pub use dropout::Dropout;
pub use hyper::Hyper;
pub use linear::Linear;
pub use local_response_norm::LocalResponseNorm;
pub use local_response_norm_within::LocalResponseNormWithin;
pub use loss::{Loss, Metrics, Target};
pub use loss_scale::{GradScale, GradUnscale, Scaling};
pub use pointwise::Pointwise;
pub use pool2d::{AdaptiveAvgPool2d, Pool2d};
pub use softmax::Softmax;
pub use update::{GradClip, GradNorm, NonFinite, Update};

use crate::error::{Error, Result};
use crate::tensor::Shape;

/// How an operator touches an operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// Only read.
    Read,
    /// Every element is written; what was there before is not looked at.
    Write,
    /// Read and written (weights in an update, running statistics).
    Update,
    /// Some elements are written, the others are left alone (one input's part of a concatenation).
    Part,
}

/// One operand of an operator: its name in the formulas, its shape, and how it is touched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operand {
    pub name: &'static str,
    pub shape: Shape,
    pub access: Access,
}

impl Operand {
    pub(crate) fn read(name: &'static str, shape: impl Into<Shape>) -> Self {
        Operand { name, shape: shape.into(), access: Access::Read }
    }
    pub(crate) fn write(name: &'static str, shape: impl Into<Shape>) -> Self {
        Operand { name, shape: shape.into(), access: Access::Write }
    }
    pub(crate) fn update(name: &'static str, shape: impl Into<Shape>) -> Self {
        Operand { name, shape: shape.into(), access: Access::Update }
    }
    pub(crate) fn part(name: &'static str, shape: impl Into<Shape>) -> Self {
        Operand { name, shape: shape.into(), access: Access::Part }
    }
}

/// An operator with its geometry: one step of a program.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// Network input from bytes, looked at as the views say.
    Augment(Augment),
    /// y = conv(x, w) (+ b) (then max(0, .) if `relu`).
    Conv2dForward(Conv2d),
    /// dx from dy and w.
    Conv2dGradInput(Conv2d),
    /// dw from x and dy.
    Conv2dGradWeight(Conv2d),
    /// db = sum of dy over everything but the channel; for convolutions and linear layers.
    BiasGrad(BiasGrad),
    /// y = x w^T (+ b) (then max(0, .) if `relu`).
    LinearForward(Linear),
    /// dx = dy w.
    LinearGradInput(Linear),
    /// dw = dy^T x.
    LinearGradWeight(Linear),
    /// y = max(0, x).
    ReluForward(Pointwise),
    /// dx = dy where y > 0, else 0.
    ReluBackward(Pointwise),
    /// y = 1 / (1 + exp(-x)).
    SigmoidForward(Pointwise),
    /// dx = dy y (1 - y).
    SigmoidBackward(Pointwise),
    /// y = tanh(x).
    TanhForward(Pointwise),
    /// dx = dy (1 - y^2).
    TanhBackward(Pointwise),
    /// y = a + b: residual connections, and the sum of gradients where a value has several readers.
    Add(Pointwise),
    MaxPool2dForward(Pool2d),
    MaxPool2dBackward(Pool2d),
    AvgPool2dForward(Pool2d),
    AvgPool2dBackward(Pool2d),
    AdaptiveAvgPool2dForward(AdaptiveAvgPool2d),
    AdaptiveAvgPool2dBackward(AdaptiveAvgPool2d),
    LocalResponseNormForward(LocalResponseNorm),
    LocalResponseNormBackward(LocalResponseNorm),
    LocalResponseNormWithinForward(LocalResponseNormWithin),
    LocalResponseNormWithinBackward(LocalResponseNormWithin),
    /// Mean and variance of the batch; running statistics brought up to date.
    BatchNorm2dStats(BatchNorm2d),
    /// Normalise with given mean and variance (the batch's in training, the running ones in evaluation).
    BatchNorm2dForward(BatchNorm2d),
    /// dw and db.
    BatchNorm2dGradParameters(BatchNorm2d),
    /// dx, given dw and db.
    BatchNorm2dGradInput(BatchNorm2d),
    /// y = x times the recomputed mask; its own backward operator with dy and dx in place of x and y.
    Dropout(Dropout),
    /// Copies x into its channels of y.
    ConcatForward(ChannelSlice),
    /// Copies its channels of dy into dx.
    ConcatBackward(ChannelSlice),
    SoftmaxForward(Softmax),
    SoftmaxBackward(Softmax),
    /// Softmax, cross-entropy, rank of the right answer and (if `grad`) d-logits, at once.
    CrossEntropy(Loss),
    /// Half the squared error summed over outputs, rank of the right answer and (if `grad`) dx.
    HalfSquaredError(Loss),
    /// Sums a step's losses and hits into its record.
    Metrics(Metrics),
    /// sum = g or sum + g, as `Hyper::accumulate` says.
    GradAccumulate(Pointwise),
    /// Squared norm of one gradient into its place in the list of norms.
    GradNorm(GradNorm),
    /// Factor min(1, max_norm / (norm + 1e-6)) from the list of squared norms.
    GradClip(GradClip),
    /// The gradient of a loss times the loss scale.
    GradScale(GradScale),
    /// The factor that undoes the scale (and clips), and the scale of the next step, from the list of squared norms.
    GradUnscale(GradUnscale),
    Sgd(Update),
    Adam(Update),
    AdamW(Update),
    RmsProp(Update),
}

/// Calls `$body` with the descriptor of whatever operator `$op` is.
macro_rules! descriptor {
    ($op:expr, $d:ident => $body:expr) => {
        match $op {
            Op::Augment($d) => $body,
            Op::Conv2dForward($d) | Op::Conv2dGradInput($d) | Op::Conv2dGradWeight($d) => $body,
            Op::BiasGrad($d) => $body,
            Op::LinearForward($d) | Op::LinearGradInput($d) | Op::LinearGradWeight($d) => $body,
            Op::ReluForward($d)
            | Op::ReluBackward($d)
            | Op::SigmoidForward($d)
            | Op::SigmoidBackward($d)
            | Op::TanhForward($d)
            | Op::TanhBackward($d)
            | Op::Add($d)
            | Op::GradAccumulate($d) => $body,
            Op::MaxPool2dForward($d)
            | Op::MaxPool2dBackward($d)
            | Op::AvgPool2dForward($d)
            | Op::AvgPool2dBackward($d) => $body,
            Op::AdaptiveAvgPool2dForward($d) | Op::AdaptiveAvgPool2dBackward($d) => $body,
            Op::LocalResponseNormForward($d) | Op::LocalResponseNormBackward($d) => $body,
            Op::LocalResponseNormWithinForward($d) | Op::LocalResponseNormWithinBackward($d) => $body,
            Op::BatchNorm2dStats($d)
            | Op::BatchNorm2dForward($d)
            | Op::BatchNorm2dGradParameters($d)
            | Op::BatchNorm2dGradInput($d) => $body,
            Op::Dropout($d) => $body,
            Op::ConcatForward($d) | Op::ConcatBackward($d) => $body,
            Op::SoftmaxForward($d) | Op::SoftmaxBackward($d) => $body,
            Op::CrossEntropy($d) | Op::HalfSquaredError($d) => $body,
            Op::Metrics($d) => $body,
            Op::GradNorm($d) => $body,
            Op::GradClip($d) => $body,
            Op::GradScale($d) => $body,
            Op::GradUnscale($d) => $body,
            Op::Sgd($d) | Op::Adam($d) | Op::AdamW($d) | Op::RmsProp($d) => $body,
        }
    };
}

/// What a descriptor says about the operators it describes.
pub(crate) trait Describe {
    /// Operands of `op` in binding order.
    fn operands(&self, op: &Op) -> Vec<Operand>;
    /// Floating-point operations of `op`; a multiply-add counts as two.
    fn flops(&self, op: &Op) -> u64;
    /// Says why this geometry cannot be executed, if so.
    fn check(&self) -> std::result::Result<(), String> {
        Ok(())
    }
}

impl Op {
    /// The stem: CPU function, WGSL file, label, test and bench id.
    pub fn name(&self) -> &'static str {
        match self {
            Op::Augment(_) => "augment",
            Op::Conv2dForward(_) => "conv2d_forward",
            Op::Conv2dGradInput(_) => "conv2d_grad_input",
            Op::Conv2dGradWeight(_) => "conv2d_grad_weight",
            Op::BiasGrad(_) => "bias_grad",
            Op::LinearForward(_) => "linear_forward",
            Op::LinearGradInput(_) => "linear_grad_input",
            Op::LinearGradWeight(_) => "linear_grad_weight",
            Op::ReluForward(_) => "relu_forward",
            Op::ReluBackward(_) => "relu_backward",
            Op::SigmoidForward(_) => "sigmoid_forward",
            Op::SigmoidBackward(_) => "sigmoid_backward",
            Op::TanhForward(_) => "tanh_forward",
            Op::TanhBackward(_) => "tanh_backward",
            Op::Add(_) => "add",
            Op::MaxPool2dForward(_) => "max_pool2d_forward",
            Op::MaxPool2dBackward(_) => "max_pool2d_backward",
            Op::AvgPool2dForward(_) => "avg_pool2d_forward",
            Op::AvgPool2dBackward(_) => "avg_pool2d_backward",
            Op::AdaptiveAvgPool2dForward(_) => "adaptive_avg_pool2d_forward",
            Op::AdaptiveAvgPool2dBackward(_) => "adaptive_avg_pool2d_backward",
            Op::LocalResponseNormForward(_) => "local_response_norm_forward",
            Op::LocalResponseNormBackward(_) => "local_response_norm_backward",
            Op::LocalResponseNormWithinForward(_) => "local_response_norm_within_forward",
            Op::LocalResponseNormWithinBackward(_) => "local_response_norm_within_backward",
            Op::BatchNorm2dStats(_) => "batch_norm2d_stats",
            Op::BatchNorm2dForward(_) => "batch_norm2d_forward",
            Op::BatchNorm2dGradParameters(_) => "batch_norm2d_grad_parameters",
            Op::BatchNorm2dGradInput(_) => "batch_norm2d_grad_input",
            Op::Dropout(_) => "dropout",
            Op::ConcatForward(_) => "concat_forward",
            Op::ConcatBackward(_) => "concat_backward",
            Op::SoftmaxForward(_) => "softmax_forward",
            Op::SoftmaxBackward(_) => "softmax_backward",
            Op::CrossEntropy(_) => "cross_entropy",
            Op::HalfSquaredError(_) => "half_squared_error",
            Op::Metrics(_) => "metrics",
            Op::GradAccumulate(_) => "grad_accumulate",
            Op::GradNorm(_) => "grad_norm",
            Op::GradClip(_) => "grad_clip",
            Op::GradScale(_) => "grad_scale",
            Op::GradUnscale(_) => "grad_unscale",
            Op::Sgd(_) => "sgd",
            Op::Adam(_) => "adam",
            Op::AdamW(_) => "adamw",
            Op::RmsProp(_) => "rmsprop",
        }
    }

    /// Whether it is a matrix product at heart: a pass of a convolution or of a linear layer.
    pub fn is_product(&self) -> bool {
        matches!(
            self,
            Op::Conv2dForward(_)
                | Op::Conv2dGradInput(_)
                | Op::Conv2dGradWeight(_)
                | Op::LinearForward(_)
                | Op::LinearGradInput(_)
                | Op::LinearGradWeight(_)
        )
    }

    /// The operands in binding order: inputs first, outputs last.
    pub fn operands(&self) -> Vec<Operand> {
        descriptor!(self, d => d.operands(self))
    }

    /// Floating-point operations of one execution; a multiply-add counts as two.
    pub fn flops(&self) -> u64 {
        descriptor!(self, d => d.flops(self))
    }

    /// Bytes that have to cross the memory bus at least: every operand once, updated ones twice.
    pub fn bytes(&self) -> u64 {
        self.operands()
            .iter()
            .map(|o| if o.access == Access::Update { 2 * o.shape.bytes() } else { o.shape.bytes() })
            .sum()
    }

    /// Refuses a geometry that cannot be executed (a kernel larger than its padded input, groups that do
    /// not divide the channels, ...), with one line that says why.
    pub fn check(&self) -> Result<()> {
        let places = match self {
            Op::MaxPool2dForward(d) | Op::MaxPool2dBackward(d) => d.check_places(),
            _ => Ok(()),
        };
        places
            .and(descriptor!(self, d => d.check()))
            .map_err(|why| Error::Model(format!("{}: {why}", self.name())))
    }
}
