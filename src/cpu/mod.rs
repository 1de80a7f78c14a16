//! The CPU executor: a program run by plain functions on slices, threads by rayon.
//!
//! One file per operator, with the stems of `ops`; `dispatch` in this file is the only function that knows them all. A function takes
//! its descriptor, its inputs and its outputs, in the order of `Op::operands`. It runs on the current rayon pool, and its
//! result does not depend on the number of threads: every order of summation follows from the shapes alone.
//!
//! Inside the executor activations lie in blocks of 16 channels (`layout`) where their channels fill whole blocks, so that one vector
//! holds the same pixel of neighbouring channels, whatever the kernel, stride and image size. `layout_plan` decides it once for a
//! program; hosts read and write NCHW. All convolutions rest on two loops: `block_product`, sums for tiles of pixels and
//! channels, and `block_outer`, the gradients of weights. Linear layers use the product kernels that faer is built on (`product`).

mod activation;
mod adaptive_avg_pool2d;
mod augment;
mod batch_norm;
mod bias_grad;
mod block_outer;
mod block_product;
mod block_windows;
mod channel_shuffle;
mod channel_slice;
mod channel_sums;
mod conv2d;
mod correlation;
mod depthwise;
mod direct;
mod dropout;
mod ema;
mod executor;
mod exponential;
mod gate;
mod layer_norm;
mod layout;
mod layout_plan;
mod leaky_relu;
mod linear;
mod local_response_norm;
mod local_response_norm_within;
mod loss;
mod loss_scale;
mod memory;
mod mix;
mod options;
mod pad2d;
mod parallel;
mod pixel;
mod pointwise;
mod pool2d;
mod prelu;
mod probe;
mod product;
mod scale;
mod simd;
mod softmax;
mod structured_dropout;
mod sum;
mod update;
mod upsample;
mod vector;
mod windows;
mod winograd;

#[cfg(test)]
mod tests;

pub use executor::Executor;
pub use options::CpuOptions;
pub use probe::Probe;
pub use simd::level as simd_level;

use activation::*;
use adaptive_avg_pool2d::*;
use augment::augment;
use batch_norm::*;
use bias_grad::bias_grad;
use channel_shuffle::channel_shuffle;
use channel_slice::*;
use conv2d::{conv2d_forward, conv2d_grad_input, conv2d_grad_weight};
use dropout::dropout;
use ema::ema;
use gate::*;
use layer_norm::*;
use layout::Layouts;
use leaky_relu::*;
use linear::*;
use local_response_norm::*;
use local_response_norm_within::*;
use loss::*;
use loss_scale::*;
use memory::Memory;
use mix::mix;
use pad2d::*;
use pointwise::*;
use pool2d::*;
use prelu::*;
use scale::*;
use softmax::*;
use structured_dropout::structured_dropout;
use update::*;
use upsample::*;

use crate::error::{Error, Result};
use crate::ops::Op;

/// Runs `op` on its operands: those it only reads, then those it writes, each in the order of `Op::operands`.
/// `workspace` is memory that an operator needs between its own passes; nothing in it survives an operator.
fn dispatch(
    op: &Op,
    options: CpuOptions,
    layouts: Layouts,
    inputs: &[&[f32]],
    outputs: &mut [&mut [f32]],
    workspace: &mut Memory,
) -> Result<()> {
    // Runs the body if there are as many operands as its patterns name.
    macro_rules! call {
        ([$($input:tt)*], [$($output:tt)*] => $body:expr) => {
            match (inputs, outputs) {
                ([$($input)*], [$($output)*]) => {
                    $body;
                    Ok(())
                }
                (inputs, outputs) => Err(Error::Internal(format!(
                    "{} cannot take {} inputs and {} outputs", op.name(), inputs.len(), outputs.len()
                ))),
            }
        };
    }
    match op {
        Op::Augment(d) => call!([pixels, views], [x] => augment(d, pixels, views, x)),
        Op::Mix(d) => call!([x, hyper], [y] => mix(d, x, hyper, y)),
        Op::Conv2dForward(d) => {
            call!([x, w, b @ ..], [y] => conv2d_forward(d, layouts, options, x, w, b.first().copied(), workspace, y))
        }
        Op::Conv2dGradInput(d) => {
            call!([dy, w], [dx] => conv2d_grad_input(d, layouts, options, dy, w, workspace, dx))
        }
        Op::Conv2dGradWeight(d) => {
            call!([x, dy], [dw] => conv2d_grad_weight(d, layouts, options, x, dy, workspace, dw))
        }
        Op::BiasGrad(d) => call!([dy], [db] => bias_grad(d, layouts.x, dy, db)),
        Op::LinearForward(d) => {
            call!([x, w, b @ ..], [y] => linear_forward(d, x, w, b.first().copied(), workspace, y))
        }
        Op::LinearGradInput(d) => call!([dy, w], [dx] => linear_grad_input(d, dy, w, workspace, dx)),
        Op::LinearGradWeight(d) => call!([x, dy], [dw] => linear_grad_weight(d, x, dy, dw)),
        Op::ReluForward(_) => call!([x], [y] => relu_forward(x, y)),
        Op::ReluBackward(_) => call!([y, dy], [dx] => relu_backward(y, dy, dx)),
        Op::LeakyReluForward(d) => call!([x], [y] => leaky_relu_forward(d, x, y)),
        Op::LeakyReluBackward(d) => call!([x, dy], [dx] => leaky_relu_backward(d, x, dy, dx)),
        Op::SigmoidForward(_) => call!([x], [y] => sigmoid_forward(x, y)),
        Op::SigmoidBackward(_) => call!([y, dy], [dx] => sigmoid_backward(y, dy, dx)),
        Op::TanhForward(_) => call!([x], [y] => tanh_forward(x, y)),
        Op::TanhBackward(_) => call!([y, dy], [dx] => tanh_backward(y, dy, dx)),
        Op::SiluForward(_) => call!([x], [y] => silu_forward(x, y)),
        Op::SiluBackward(_) => call!([x, dy], [dx] => silu_backward(x, dy, dx)),
        Op::HardSwishForward(_) => call!([x], [y] => hard_swish_forward(x, y)),
        Op::HardSwishBackward(_) => call!([x, dy], [dx] => hard_swish_backward(x, dy, dx)),
        Op::HardSigmoidForward(d) => call!([x], [y] => hard_sigmoid_forward(d, x, y)),
        Op::HardSigmoidBackward(d) => call!([y, dy], [dx] => hard_sigmoid_backward(d, y, dy, dx)),
        Op::ClipForward(d) => call!([x], [y] => clip_forward(d, x, y)),
        Op::ClipBackward(d) => call!([y, dy], [dx] => clip_backward(d, y, dy, dx)),
        Op::GeluForward(d) => call!([x], [y] => gelu_forward(d, x, y)),
        Op::GeluBackward(d) => call!([x, dy], [dx] => gelu_backward(d, x, dy, dx)),
        Op::EluForward(d) => call!([x], [y] => elu_forward(d, x, y)),
        Op::EluBackward(d) => call!([x, dy], [dx] => elu_backward(d, x, dy, dx)),
        Op::PreluForward(d) => call!([x, w], [y] => prelu_forward(d, layouts.x, x, w, y)),
        Op::PreluGradInput(d) => call!([x, w, dy], [dx] => prelu_grad_input(d, layouts.x, x, w, dy, dx)),
        Op::PreluGradWeight(d) => call!([x, dy], [dw] => prelu_grad_weight(d, layouts.x, x, dy, dw)),
        Op::Mul(_) => call!([a, b], [y] => mul(a, b, y)),
        Op::MulGate(d) => call!([x, gate], [y] => mul_gate(d, layouts.x, x, gate, y)),
        Op::MulGradGate(d) => call!([x, dy], [dgate] => mul_grad_gate(d, layouts.x, x, dy, dgate)),
        Op::Add(_) => call!([a, b], [y] => add(a, b, y)),
        Op::MaxPool2dForward(d) => {
            call!([x], [y, index] => max_pool2d_forward(d, layouts.x, x, y, index))
        }
        Op::MaxPool2dBackward(d) => {
            call!([index, dy], [dx] => max_pool2d_backward(d, layouts.x, index, dy, dx))
        }
        Op::AvgPool2dForward(d) => call!([x], [y] => avg_pool2d_forward(d, layouts.x, x, y)),
        Op::AvgPool2dBackward(d) => call!([dy], [dx] => avg_pool2d_backward(d, layouts.x, dy, dx)),
        Op::AdaptiveAvgPool2dForward(d) => {
            call!([x], [y] => adaptive_avg_pool2d_forward(d, layouts.x, x, y))
        }
        Op::AdaptiveAvgPool2dBackward(d) => {
            call!([dy], [dx] => adaptive_avg_pool2d_backward(d, layouts.x, dy, dx))
        }
        Op::LocalResponseNormForward(d) => {
            call!([x], [y, scale] => local_response_norm_forward(d, layouts.x, x, y, scale))
        }
        Op::LocalResponseNormBackward(d) => {
            call!([x, scale, dy], [dx] => local_response_norm_backward(d, layouts.x, x, scale, dy, dx))
        }
        Op::LocalResponseNormWithinForward(d) => {
            call!([x], [y, scale] => local_response_norm_within_forward(d, x, y, scale))
        }
        Op::LocalResponseNormWithinBackward(d) => {
            call!([x, scale, dy], [dx] => local_response_norm_within_backward(d, x, scale, dy, dx))
        }
        Op::BatchNorm2dStats(d) => call!([x, hyper], [mean, var, running_mean, running_var] => {
            batch_norm2d_stats(d, layouts.x, x, hyper, mean, var, running_mean, running_var)
        }),
        Op::BatchNorm2dForward(d) => {
            call!([x, w, b, mean, var], [y] => batch_norm2d_forward(d, layouts.x, x, w, b, mean, var, y))
        }
        Op::BatchNorm2dGradParameters(d) => {
            call!([x, w, mean, var, dy, hyper], [dw, db, coefficients] => {
                batch_norm2d_grad_parameters(d, layouts.x, x, w, mean, var, dy, hyper, dw, db, coefficients)
            })
        }
        Op::BatchNorm2dGradInput(d) => call!([x, coefficients, dy, hyper], [dx] => {
            batch_norm2d_grad_input(d, layouts.x, x, coefficients, dy, hyper, dx)
        }),
        Op::Dropout(d) => call!([x, hyper], [y] => dropout(d, x, hyper, y)),
        Op::StructuredDropout(d) => {
            call!([x, hyper], [y] => structured_dropout(d, layouts.x, x, hyper, y))
        }
        Op::Scale(d) => call!([x, w], [y] => scale(d, layouts.x, x, w, y)),
        Op::ScaleGradWeight(d) => call!([x, dy], [dw] => scale_grad_weight(d, layouts.x, x, dy, dw)),
        Op::LayerNormForward(d) => {
            call!([x, w, b], [y, mean, r] => layer_norm_forward(d, layouts.x, x, w, b, y, mean, r))
        }
        Op::LayerNormGradInput(d) => call!([x, w, mean, r, dy], [dx] => {
            layer_norm_grad_input(d, layouts.x, x, w, mean, r, dy, dx)
        }),
        Op::LayerNormGradWeight(d) => {
            call!([x, mean, r, dy], [dw] => layer_norm_grad_weight(d, layouts.x, x, mean, r, dy, dw))
        }
        Op::PadForward(d) => call!([x], [y] => pad_forward(d, layouts.x, x, y)),
        Op::PadBackward(d) => call!([dy], [dx] => pad_backward(d, layouts.x, dy, dx)),
        Op::UpsampleForward(d) => call!([x], [y] => upsample_forward(d, layouts.x, x, y)),
        Op::UpsampleBackward(d) => call!([dy], [dx] => upsample_backward(d, layouts.x, dy, dx)),
        Op::ConcatForward(d) => call!([x], [y] => concat_forward(d, x, y)),
        Op::ConcatBackward(d) => call!([dy], [dx] => concat_backward(d, dy, dx)),
        Op::SliceForward(d) => call!([x], [y] => slice_forward(d, x, y)),
        Op::SliceBackward(d) => call!([dy], [dx] => slice_backward(d, dy, dx)),
        Op::ChannelShuffle(d) => call!([x], [y] => channel_shuffle(d, layouts.x, x, y)),
        Op::SoftmaxForward(d) => call!([x], [y] => softmax_forward(d, x, y)),
        Op::SoftmaxBackward(d) => call!([y, dy], [dx] => softmax_backward(d, y, dy, dx)),
        Op::CrossEntropy(d) => call!([x, labels, hyper, weights @ ..], [loss, rank, dx @ ..] => {
            let (weights, dx) = (weights.first().copied(), dx.first_mut().map(|dx| &mut **dx));
            cross_entropy(d, x, labels, hyper, weights, loss, rank, dx)
        }),
        Op::HalfSquaredError(d) => call!([x, labels, hyper], [loss, rank, dx @ ..] => {
            half_squared_error(d, x, labels, hyper, loss, rank, dx.first_mut().map(|dx| &mut **dx))
        }),
        Op::Metrics(d) => call!([loss, rank, hyper], [record] => metrics(d, loss, rank, hyper, record)?),
        Op::GradAccumulate(_) => call!([g, hyper], [sum] => grad_accumulate(g, hyper, sum)),
        Op::GradNorm(d) => call!([g], [norms] => grad_norm(d, g, norms)),
        Op::GradClip(d) => call!([norms, hyper], [factor] => grad_clip(d, norms, hyper, factor)),
        Op::GradScale(_) => call!([scaling], [dx] => grad_scale(scaling, dx)),
        Op::GradUnscale(d) => {
            call!([norms, hyper], [scaling, factor] => grad_unscale(d, norms, hyper, scaling, factor))
        }
        Op::Sgd(d) => call!([g, hyper, factor @ ..], [w, rest @ ..] => {
            let (v, record) = rest.split_at_mut(usize::from(d.momentum));
            let marks = sgd(d, g, hyper, factor.first().copied(), w, v.first_mut().map(|v| &mut **v));
            tell(d, hyper, marks, record.first_mut().map(|record| &mut **record))
        }),
        Op::Adam(d) => call!([g, hyper, factor @ ..], [w, m, v, record @ ..] => {
            let marks = adam(d, g, hyper, factor.first().copied(), w, m, v);
            tell(d, hyper, marks, record.first_mut().map(|record| &mut **record))
        }),
        Op::AdamW(d) => call!([g, hyper, factor @ ..], [w, m, v, record @ ..] => {
            let marks = adamw(d, g, hyper, factor.first().copied(), w, m, v);
            tell(d, hyper, marks, record.first_mut().map(|record| &mut **record))
        }),
        Op::RmsProp(d) => call!([g, hyper, factor @ ..], [w, v, rest @ ..] => {
            let (m, record) = rest.split_at_mut(usize::from(d.momentum));
            let factor = factor.first().copied();
            let marks = rmsprop(d, g, hyper, factor, w, v, m.first_mut().map(|m| &mut **m));
            tell(d, hyper, marks, record.first_mut().map(|record| &mut **record))
        }),
        Op::Ema(d) => call!([w, factor @ ..], [a] => ema(d, w, factor.first().copied(), a)),
    }
}
