//! The reference: every operator in f64, by the plainest loops that say what its formula says. It shares no code
//! with the executors and knows nothing of tiles, threads or layouts, so a mistake there cannot hide here.
//! Where a formula in `ops` leaves something open, PyTorch decides.

// A loop over an index is the plainest way to say a formula.
#![allow(clippy::needless_range_loop, reason = "the dumbest loops are the point")]

mod augment;
mod batch_norm;
mod channel_slice;
mod conv2d;
mod dropout;
mod linear;
mod local_response_norm;
mod local_response_norm_within;
mod loss;
mod loss_scale;
mod pointwise;
mod pool2d;
mod softmax;
mod update;

use crate::ops::{Access, Hyper, Op, OperandKind};

/// The values of an operand of this kind as [`run`] takes them. Where the words are not floats, each becomes a whole
/// number (some would be NaNs whose bits a conversion changes).
pub fn operand(kind: OperandKind, values: &[f32]) -> Vec<f64> {
    if kind.is_words() {
        return values.iter().map(|v| f64::from(v.to_bits())).collect();
    }
    values.iter().map(|&v| f64::from(v)).collect()
}

/// Executes `op` on `operands`, which stand in binding order, have the lengths that `Op::operands` gives, and come
/// from [`operand`].
///
/// The entry of the operand `hyper` is not looked at; `hyper` takes its place. Outputs that are only written
/// may hold anything, for instance NaN.
pub fn run(op: &Op, hyper: &Hyper, operands: &mut [Vec<f64>]) {
    let description = op.operands();
    debug_assert!(
        description.iter().map(|o| o.shape.len()).eq(operands.iter().map(Vec::len)),
        "operands of {} do not have the lengths of its description",
        op.name()
    );
    let inputs = description.iter().take_while(|o| o.access == Access::Read).count();
    let (inputs, outputs) = operands.split_at_mut(inputs);
    match op {
        Op::Augment(d) => augment::augment(d, inputs, outputs),
        Op::Conv2dForward(d) => conv2d::forward(d, inputs, outputs),
        Op::Conv2dGradInput(d) => conv2d::grad_input(d, inputs, outputs),
        Op::Conv2dGradWeight(d) => conv2d::grad_weight(d, inputs, outputs),
        Op::BiasGrad(d) => conv2d::bias_grad(d, inputs, outputs),
        Op::LinearForward(d) => linear::forward(d, inputs, outputs),
        Op::LinearGradInput(d) => linear::grad_input(d, inputs, outputs),
        Op::LinearGradWeight(d) => linear::grad_weight(d, inputs, outputs),
        Op::ReluForward(_) => pointwise::map(inputs, outputs, pointwise::relu),
        Op::ReluBackward(_) => pointwise::zip(inputs, outputs, |y, dy| if y > 0.0 { dy } else { 0.0 }),
        Op::SigmoidForward(_) => pointwise::map(inputs, outputs, |x| 1.0 / (1.0 + (-x).exp())),
        Op::SigmoidBackward(_) => pointwise::zip(inputs, outputs, |y, dy| dy * y * (1.0 - y)),
        Op::TanhForward(_) => pointwise::map(inputs, outputs, f64::tanh),
        Op::TanhBackward(_) => pointwise::zip(inputs, outputs, |y, dy| dy * (1.0 - y * y)),
        Op::Add(_) => pointwise::zip(inputs, outputs, |a, b| a + b),
        Op::MaxPool2dForward(d) => pool2d::max_forward(d, inputs, outputs),
        Op::MaxPool2dBackward(d) => pool2d::max_backward(d, inputs, outputs),
        Op::AvgPool2dForward(d) => pool2d::avg_forward(d, inputs, outputs),
        Op::AvgPool2dBackward(d) => pool2d::avg_backward(d, inputs, outputs),
        Op::AdaptiveAvgPool2dForward(d) => pool2d::adaptive_forward(d, inputs, outputs),
        Op::AdaptiveAvgPool2dBackward(d) => pool2d::adaptive_backward(d, inputs, outputs),
        Op::LocalResponseNormForward(d) => local_response_norm::forward(d, inputs, outputs),
        Op::LocalResponseNormBackward(d) => local_response_norm::backward(d, inputs, outputs),
        Op::LocalResponseNormWithinForward(d) => local_response_norm_within::forward(d, inputs, outputs),
        Op::LocalResponseNormWithinBackward(d) => local_response_norm_within::backward(d, inputs, outputs),
        Op::BatchNorm2dStats(d) => batch_norm::stats(d, hyper, inputs, outputs),
        Op::BatchNorm2dForward(d) => batch_norm::forward(d, inputs, outputs),
        Op::BatchNorm2dGradParameters(d) => batch_norm::grad_parameters(d, hyper, inputs, outputs),
        Op::BatchNorm2dGradInput(d) => batch_norm::grad_input(d, hyper, inputs, outputs),
        Op::Dropout(d) => dropout::dropout(d, hyper, inputs, outputs),
        Op::ConcatForward(d) => channel_slice::concat_forward(d, inputs, outputs),
        Op::ConcatBackward(d) => channel_slice::concat_backward(d, inputs, outputs),
        Op::SoftmaxForward(d) => softmax::forward(d, inputs, outputs),
        Op::SoftmaxBackward(d) => softmax::backward(d, inputs, outputs),
        Op::CrossEntropy(d) => loss::cross_entropy(d, hyper, inputs, outputs),
        Op::HalfSquaredError(d) => loss::half_squared_error(d, hyper, inputs, outputs),
        Op::Metrics(_) => loss::metrics(hyper, inputs, outputs),
        Op::GradAccumulate(_) => update::grad_accumulate(hyper, inputs, outputs),
        Op::GradNorm(d) => update::grad_norm(d, inputs, outputs),
        Op::GradClip(_) => update::grad_clip(hyper, inputs, outputs),
        Op::GradScale(_) => loss_scale::grad_scale(inputs, outputs),
        Op::GradUnscale(d) => loss_scale::grad_unscale(d, hyper, inputs, outputs),
        Op::Sgd(d) => update::watched(d, hyper, outputs, |outputs| update::sgd(d, hyper, inputs, outputs)),
        Op::Adam(d) => update::watched(d, hyper, outputs, |outputs| update::adam(d, hyper, inputs, outputs)),
        Op::AdamW(d) => {
            update::watched(d, hyper, outputs, |outputs| update::adamw(d, hyper, inputs, outputs))
        }
        Op::RmsProp(d) => {
            update::watched(d, hyper, outputs, |outputs| update::rmsprop(d, hyper, inputs, outputs))
        }
    }
}
