//! Operator descriptors: geometry, operands with their shapes, floating-point operations and bytes.
//! No arithmetic on data happens here: `cpu` and `gpu` execute what these describe, and `verify` states what the
//! result must be.
//!
//! **One stem for one thing everywhere**: `Op::Conv2dGradWeight` has the name `conv2d_grad_weight`, and so do its CPU
//! function, its WGSL file, its profiler label, its test cases and its benchmark.
//!
//! Operands have one order everywhere (`Op::operands`, `Step::buffers`, WGSL bindings): inputs first, outputs last.
//! Tensors are `x w b y`, gradients `dx dw db dy`. All are contiguous NCHW `f32`.

pub mod activation;
pub mod augment;
pub mod batch_norm;
pub mod channel_shuffle;
pub mod channel_slice;
pub mod conv2d;
pub mod dropout;
pub mod ema;
pub mod gate;
pub mod hyper;
pub mod layer_norm;
pub mod leaky_relu;
pub mod linear;
pub mod local_response_norm;
pub mod local_response_norm_within;
pub mod loss;
pub mod loss_scale;
pub mod mix;
mod operand;
pub mod pad2d;
pub mod pointwise;
pub mod pool2d;
pub mod prelu;
pub mod scale;
pub mod softmax;
pub mod structured_dropout;
pub mod update;
pub mod upsample;

pub use activation::{Clip, Elu, Gelu, HardSigmoid};
pub use augment::Augment;
pub use batch_norm::BatchNorm2d;
pub use channel_shuffle::ChannelShuffle;
pub use channel_slice::ChannelSlice;
pub use conv2d::{BiasGrad, Conv2d};
pub use dropout::Dropout;
pub use ema::Ema;
pub use gate::Gate;
pub use hyper::Hyper;
pub use layer_norm::LayerNorm;
pub use leaky_relu::LeakyRelu;
pub use linear::Linear;
pub use local_response_norm::LocalResponseNorm;
pub use local_response_norm_within::LocalResponseNormWithin;
pub use loss::{Loss, Metrics, Target};
pub use loss_scale::{GradScale, GradUnscale, Scaling};
pub use mix::Mix;
pub use operand::{Access, Operand, OperandKind};
pub use pad2d::Pad2d;
pub use pointwise::Pointwise;
pub use pool2d::{AdaptiveAvgPool2d, Pool2d};
pub use prelu::Prelu;
pub use scale::Scale;
pub use softmax::Softmax;
pub use structured_dropout::{DropUnit, StructuredDropout};
pub use update::{GradClip, GradNorm, NonFinite, Update};
pub use upsample::Upsample;

use crate::error::{Error, Result};

/// The properties of an operator that its descriptor knows.
pub(crate) trait Describe {
    /// Operands of `op` in binding order.
    fn operands(&self, op: &Op) -> Vec<Operand>;
    /// Floating-point operations of `op`; a multiply-add counts as two.
    fn flops(&self, op: &Op) -> u64;
    /// Rejects a geometry that `op` cannot execute, with the reason.
    fn check(&self, _op: &Op) -> std::result::Result<(), String> {
        Ok(())
    }
    /// Whether the operator is a matrix product: a pass of a convolution or of a linear layer.
    fn is_product(&self) -> bool {
        false
    }
}

/// Makes the enum [`Op`] with the name and the descriptor of every operator from one table.
macro_rules! operators {
    ($($(#[$doc:meta])* $variant:ident($descriptor:ty) = $name:literal;)*) => {
        /// An operator with its geometry: one step of a program.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Op {
            $($(#[$doc])* $variant($descriptor),)*
        }

        impl Op {
            /// The names of all operators.
            pub const NAMES: &'static [&'static str] = &[$($name),*];

            /// The stem that names the CPU function, the WGSL file, the label, the test cases and the benchmark.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Op::$variant(_) => $name,)*
                }
            }

            fn descriptor(&self) -> &dyn Describe {
                match self {
                    $(Op::$variant(descriptor) => descriptor,)*
                }
            }
        }
    };
}

operators! {
    /// The network's input from stored bytes, transformed as the views state.
    Augment(Augment) = "augment";
    /// y = x, each image mixed with the one before it: MixUp and CutMix.
    Mix(Mix) = "mix";
    /// y = conv(x, w) (+ b) (then max(0, .) if `relu`).
    Conv2dForward(Conv2d) = "conv2d_forward";
    /// dx from dy and w.
    Conv2dGradInput(Conv2d) = "conv2d_grad_input";
    /// dw from x and dy.
    Conv2dGradWeight(Conv2d) = "conv2d_grad_weight";
    /// db = sum of dy over everything but the channel; for convolutions and linear layers.
    BiasGrad(BiasGrad) = "bias_grad";
    /// y = x w^T (+ b) (then max(0, .) if `relu`).
    LinearForward(Linear) = "linear_forward";
    /// dx = dy w.
    LinearGradInput(Linear) = "linear_grad_input";
    /// dw = dy^T x.
    LinearGradWeight(Linear) = "linear_grad_weight";
    /// y = max(0, x).
    ReluForward(Pointwise) = "relu_forward";
    /// dx = dy where y > 0, else 0.
    ReluBackward(Pointwise) = "relu_backward";
    /// y = x if x > 0, else negative_slope x.
    LeakyReluForward(LeakyRelu) = "leaky_relu_forward";
    /// dx = dy if x > 0, else negative_slope dy.
    LeakyReluBackward(LeakyRelu) = "leaky_relu_backward";
    /// y = 1 / (1 + exp(-x)).
    SigmoidForward(Pointwise) = "sigmoid_forward";
    /// dx = dy y (1 - y).
    SigmoidBackward(Pointwise) = "sigmoid_backward";
    /// y = tanh(x).
    TanhForward(Pointwise) = "tanh_forward";
    /// dx = dy (1 - y^2).
    TanhBackward(Pointwise) = "tanh_backward";
    /// y = x / (1 + exp(-x)).
    SiluForward(Pointwise) = "silu_forward";
    /// dx = dy s (1 + x (1 - s)) with s = 1 / (1 + exp(-x)).
    SiluBackward(Pointwise) = "silu_backward";
    /// y = x min(max(x + 3, 0), 6) / 6.
    HardSwishForward(Pointwise) = "hard_swish_forward";
    /// dx = dy (x / 3 + 1/2) where -3 < x < 3, 0 below and dy above.
    HardSwishBackward(Pointwise) = "hard_swish_backward";
    /// y = min(max(alpha x + beta, 0), 1).
    HardSigmoidForward(HardSigmoid) = "hard_sigmoid_forward";
    /// dx = alpha dy where 0 < y < 1, else 0.
    HardSigmoidBackward(HardSigmoid) = "hard_sigmoid_backward";
    /// y = min(max(x, min), max).
    ClipForward(Clip) = "clip_forward";
    /// dx = dy where min < y < max, else 0.
    ClipBackward(Clip) = "clip_backward";
    /// y = x P(x), with the distribution function P of the standard normal distribution, or its approximation by tanh.
    GeluForward(Gelu) = "gelu_forward";
    /// dx = dy (P(x) + x P'(x)).
    GeluBackward(Gelu) = "gelu_backward";
    /// y = x if x > 0, else alpha (exp(x) - 1).
    EluForward(Elu) = "elu_forward";
    /// dx = dy if x > 0, else alpha exp(x) dy.
    EluBackward(Elu) = "elu_backward";
    /// y = x if x > 0, else w x, with one w or one for each channel.
    PreluForward(Prelu) = "prelu_forward";
    /// dx = dy if x > 0, else w dy.
    PreluGradInput(Prelu) = "prelu_grad_input";
    /// dw = the sum of x dy where x is not above 0.
    PreluGradWeight(Prelu) = "prelu_grad_weight";
    /// y = a b; with dy in place of one of them it is also the gradient of the other.
    Mul(Pointwise) = "mul";
    /// y = x times the gate of its channel; with dy and dx in place of x and y it is also the gradient of x.
    MulGate(Gate) = "mul_gate";
    /// The gradient of the gate: the sum of dy x over each plane.
    MulGradGate(Gate) = "mul_grad_gate";
    /// y = a + b: residual connections, and the sum of gradients where a value has several readers.
    Add(Pointwise) = "add";
    /// y = the maximum of each window, and the position of the maximum in it.
    MaxPool2dForward(Pool2d) = "max_pool2d_forward";
    /// dx from the positions of the maxima and dy.
    MaxPool2dBackward(Pool2d) = "max_pool2d_backward";
    /// y = the mean of each window.
    AvgPool2dForward(Pool2d) = "avg_pool2d_forward";
    /// dx from dy.
    AvgPool2dBackward(Pool2d) = "avg_pool2d_backward";
    /// y = means over windows that the output size determines.
    AdaptiveAvgPool2dForward(AdaptiveAvgPool2d) = "adaptive_avg_pool2d_forward";
    /// dx from dy.
    AdaptiveAvgPool2dBackward(AdaptiveAvgPool2d) = "adaptive_avg_pool2d_backward";
    /// y = x / scale^beta over a window of channels, and scale.
    LocalResponseNormForward(LocalResponseNorm) = "local_response_norm_forward";
    /// dx from x, scale and dy.
    LocalResponseNormBackward(LocalResponseNorm) = "local_response_norm_backward";
    /// y = x / scale^beta over a window of the map, and scale.
    LocalResponseNormWithinForward(LocalResponseNormWithin) = "local_response_norm_within_forward";
    /// dx from x, scale and dy.
    LocalResponseNormWithinBackward(LocalResponseNormWithin) = "local_response_norm_within_backward";
    /// Mean and variance of the batch, and the updated running statistics.
    BatchNorm2dStats(BatchNorm2d) = "batch_norm2d_stats";
    /// Normalises with a given mean and variance (the batch's in training, the running ones in evaluation).
    BatchNorm2dForward(BatchNorm2d) = "batch_norm2d_forward";
    /// dw and db.
    BatchNorm2dGradParameters(BatchNorm2d) = "batch_norm2d_grad_parameters";
    /// dx, given dw and db.
    BatchNorm2dGradInput(BatchNorm2d) = "batch_norm2d_grad_input";
    /// y = x times the recomputed mask; with dy and dx in place of x and y it is also the backward operator.
    Dropout(Dropout) = "dropout";
    /// y = x times the recomputed mask of whole channels, images or batches; with dy and dx it is also the backward operator.
    StructuredDropout(StructuredDropout) = "structured_dropout";
    /// y = x times a factor for each channel; with dy and dx in place of x and y it is also the backward operator.
    Scale(Scale) = "scale";
    /// The gradient of the factors of the channels.
    ScaleGradWeight(Scale) = "scale_grad_weight";
    /// y = x normalised over the channels, and the statistics of each position.
    LayerNormForward(LayerNorm) = "layer_norm_forward";
    /// dx from x, its statistics and dy.
    LayerNormGradInput(LayerNorm) = "layer_norm_grad_input";
    /// dw from x, its statistics and dy.
    LayerNormGradWeight(LayerNorm) = "layer_norm_grad_weight";
    /// y = x with zeros around it.
    PadForward(Pad2d) = "pad_forward";
    /// dx = the part of dy where x lies.
    PadBackward(Pad2d) = "pad_backward";
    /// y = x with every element repeated.
    UpsampleForward(Upsample) = "upsample_forward";
    /// dx = the sums of dy over the copies of each element.
    UpsampleBackward(Upsample) = "upsample_backward";
    /// Copies x into its channels of y.
    ConcatForward(ChannelSlice) = "concat_forward";
    /// Copies its channels of dy into dx.
    ConcatBackward(ChannelSlice) = "concat_backward";
    /// y = some channels of x.
    SliceForward(ChannelSlice) = "slice_forward";
    /// dx = dy in its channels, else 0.
    SliceBackward(ChannelSlice) = "slice_backward";
    /// y = the channels of x in another order; with the inverse order, dy and dx it is also the backward operator.
    ChannelShuffle(ChannelShuffle) = "channel_shuffle";
    /// y = softmax(x) over channels.
    SoftmaxForward(Softmax) = "softmax_forward";
    /// dx from y and dy.
    SoftmaxBackward(Softmax) = "softmax_backward";
    /// Softmax, cross-entropy, the rank of the correct class and (if `grad`) d-logits, at once.
    CrossEntropy(Loss) = "cross_entropy";
    /// Half the squared error summed over outputs, the rank of the correct class and (if `grad`) dx.
    HalfSquaredError(Loss) = "half_squared_error";
    /// Sums a step's losses and hits into its record.
    Metrics(Metrics) = "metrics";
    /// sum = g or sum + g, depending on `Hyper::accumulate`.
    GradAccumulate(Pointwise) = "grad_accumulate";
    /// Squared norm of one gradient, written to its position in the list of norms.
    GradNorm(GradNorm) = "grad_norm";
    /// Factor min(1, max_norm / (norm + 1e-6)) from the list of squared norms.
    GradClip(GradClip) = "grad_clip";
    /// The gradient of a loss times the loss scale.
    GradScale(GradScale) = "grad_scale";
    /// The factor that undoes the loss scale (and clips), and the scale of the next step, from the squared norms.
    GradUnscale(GradUnscale) = "grad_unscale";
    /// The update of SGD, with or without momentum.
    Sgd(Update) = "sgd";
    /// The update of Adam.
    Adam(Update) = "adam";
    /// The update of AdamW.
    AdamW(Update) = "adamw";
    /// The update of RMSprop.
    RmsProp(Update) = "rmsprop";
    /// The moving average of a parameter or a running statistic.
    Ema(Ema) = "ema";
}

impl Op {
    /// Whether the operator is a matrix product: a pass of a convolution or of a linear layer.
    pub fn is_product(&self) -> bool {
        self.descriptor().is_product()
    }

    /// The operands in binding order: inputs first, outputs last.
    pub fn operands(&self) -> Vec<Operand> {
        self.descriptor().operands(self)
    }

    /// Floating-point operations of one execution; a multiply-add counts as two.
    pub fn flops(&self) -> u64 {
        self.descriptor().flops(self)
    }

    /// The least bytes that cross the memory bus: every operand once, updated ones twice.
    pub fn bytes(&self) -> u64 {
        self.operands()
            .iter()
            .map(|o| if o.access == Access::Update { 2 * o.shape.bytes() } else { o.shape.bytes() })
            .sum()
    }

    /// Rejects a geometry that cannot be executed (a kernel larger than its padded input, groups that do not divide
    /// the channels, ...).
    ///
    /// # Errors
    /// `Error::Model` with one line that states the reason.
    pub fn check(&self) -> Result<()> {
        self.descriptor().check(self).map_err(|why| Error::Model(format!("{}: {why}", self.name())))
    }
}
