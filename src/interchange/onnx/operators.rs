//! The ONNX operators that correspond to layers, in both directions: one arm of [`node`] per layer, one line of [`LAYERS`]
//! per operator. Patterns of several nodes that form one layer are in `import`.

use super::export::graph::{GraphBuilder, NodeBuilder};
use super::export::layers::LayerContext;
use super::export::{activations as written, channels as moved, normalisation as response, pooling};
use super::import::draft::{Call, NetworkDraft};
use super::import::operators::{dropout, softmax};
use super::import::{activations, channels, linear, normalisation, products, resize, shapes, windows};
use crate::model::{LayerOp, layers};

/// Translates a node to a layer and adds it to the draft; the error is the reason why it is not supported.
pub(super) type Reader = for<'a> fn(&mut NetworkDraft<'a>, &Call<'a>) -> Result<(), String>;

/// The operators that become a layer by themselves.
pub(super) const LAYERS: &[(&str, Reader)] = &[
    ("AveragePool", |draft, call| windows::pool(draft, call, true)),
    ("BatchNormalization", normalisation::batch_normalization),
    ("Clip", activations::clip),
    ("Concat", linear::concat),
    ("Conv", windows::conv),
    ("Dropout", dropout),
    ("Elu", |draft, call| {
        let alpha = call.attributes.float("alpha", 1.0)?;
        draft.push_unary(call.node, layers::Elu { alpha }.into())
    }),
    ("Flatten", shapes::flatten),
    ("Gelu", activations::gelu),
    ("Gemm", linear::gemm),
    ("GlobalAveragePool", |draft, call| {
        draft.push_unary(call.node, layers::AdaptiveAvgPool2d { output: [1, 1] }.into())
    }),
    ("GlobalMaxPool", |draft, call| draft.push_unary(call.node, layers::GlobalMaxPool2d.into())),
    ("HardSigmoid", activations::hard_sigmoid),
    ("HardSwish", |draft, call| draft.push_unary(call.node, layers::HardSwish.into())),
    ("LRN", normalisation::lrn),
    ("LayerNormalization", normalisation::layer_normalization),
    ("LeakyRelu", |draft, call| {
        let negative_slope = call.attributes.float("alpha", 0.01)?;
        draft.push_unary(call.node, layers::LeakyRelu { negative_slope }.into())
    }),
    ("LogSoftmax", softmax),
    ("MaxPool", |draft, call| windows::pool(draft, call, false)),
    ("Mul", products::mul),
    ("PRelu", activations::prelu),
    ("Relu", |draft, call| draft.push_unary(call.node, layers::Relu.into())),
    ("Resize", resize::resize),
    ("Sigmoid", |draft, call| draft.push_unary(call.node, layers::Sigmoid.into())),
    ("Slice", channels::slice),
    ("Softmax", softmax),
    ("Split", channels::split),
    ("Tanh", |draft, call| draft.push_unary(call.node, layers::Tanh.into())),
    ("Upsample", resize::resize),
];

/// Returns the node of a layer, after adding the helper nodes that it reads.
///
/// # Errors
/// The reason why ONNX has no operator for the layer.
pub(super) fn node(builder: &mut GraphBuilder, context: &LayerContext<'_>) -> Result<NodeBuilder, String> {
    Ok(match context.layer.op {
        LayerOp::Conv2d(layers::Conv2d { kernel, stride, padding, dilation, groups, .. }) => context
            .node("Conv")
            .ints("kernel_shape", &kernel)
            .ints("strides", &stride)
            .ints("pads", &padding)
            .ints("dilations", &dilation)
            .int("group", groups as i64),
        LayerOp::Linear(layers::Linear { out_features, per_position: true, .. }) => {
            moved::linear_per_position(builder, context, out_features)
        }
        LayerOp::Linear(_) => context.node("Gemm").int("transB", 1),
        LayerOp::Relu(layers::Relu) => context.node("Relu"),
        LayerOp::LeakyRelu(layers::LeakyRelu { negative_slope }) => {
            context.node("LeakyRelu").float("alpha", negative_slope)
        }
        LayerOp::Sigmoid(layers::Sigmoid) => context.node("Sigmoid"),
        LayerOp::Tanh(layers::Tanh) => context.node("Tanh"),
        LayerOp::Silu(layers::Silu) => written::silu(builder, context),
        LayerOp::HardSwish(layers::HardSwish) => context.node("HardSwish"),
        LayerOp::HardSigmoid(layers::HardSigmoid { alpha, beta }) => {
            context.node("HardSigmoid").float("alpha", alpha).float("beta", beta)
        }
        LayerOp::Gelu(layers::Gelu { tanh: false }) => written::gelu(builder, context),
        LayerOp::Gelu(layers::Gelu { tanh: true }) => written::gelu_tanh(builder, context),
        LayerOp::Elu(layers::Elu { alpha }) => context.node("Elu").float("alpha", alpha),
        LayerOp::Prelu(_) => context.node("PRelu"),
        LayerOp::Clip(layers::Clip { min, max }) => written::clip(builder, context, min, max),
        LayerOp::Relu6(layers::Relu6) => written::clip(builder, context, 0.0, 6.0),
        LayerOp::Softmax(layers::Softmax) => context.node("Softmax").int("axis", 1),
        LayerOp::Flatten(layers::Flatten) => context.node("Flatten").int("axis", 1),
        LayerOp::MaxPool2d(layers::MaxPool2d { kernel, stride, padding, .. }) => {
            pooling::max_pool(builder, context, kernel, stride, padding)
        }
        LayerOp::AvgPool2d(layers::AvgPool2d { kernel, stride, padding, count_include_pad, .. }) => {
            pooling::avg_pool(builder, context, kernel, stride, padding, count_include_pad)
        }
        LayerOp::AdaptiveAvgPool2d(_) => pooling::adaptive_avg_pool(builder, context)?,
        LayerOp::GlobalMaxPool2d(layers::GlobalMaxPool2d) => context.node("GlobalMaxPool"),
        LayerOp::LocalResponseNorm(layers::LocalResponseNorm { size, alpha, beta, k, within }) => {
            response::local_response_norm(builder, context, size, [alpha, beta, k], within)
        }
        // ONNX's momentum is the weight of the old statistics, ours that of the new ones.
        LayerOp::BatchNorm2d(layers::BatchNorm2d { eps, momentum }) => {
            context.node("BatchNormalization").float("epsilon", eps).float("momentum", 1.0 - momentum)
        }
        LayerOp::Add(layers::Add) => add_values(builder, context),
        LayerOp::Mul(layers::Mul) => written::mul(builder, context),
        LayerOp::Concat(layers::Concat) => context.node("Concat").int("axis", 1),
        LayerOp::Scale(layers::Scale { spatial, .. }) => moved::scale(builder, context, spatial),
        LayerOp::LayerNorm(layers::LayerNorm { eps }) => response::layer_norm(builder, context, eps),
        LayerOp::Pad(layers::Pad { padding }) => pooling::pad(builder, context, padding),
        LayerOp::Upsample(layers::Upsample { scale_factor }) => {
            pooling::upsample(builder, context, scale_factor)
        }
        LayerOp::Slice(layers::Slice { start, end }) => moved::slice(builder, context, start, end),
        LayerOp::ChannelShuffle(layers::ChannelShuffle { groups }) => {
            moved::shuffle(builder, context, groups)
        }
        // Never reached: the caller skips dropout.
        LayerOp::Dropout(_) | LayerOp::Dropout2d(_) | LayerOp::StochasticDepth(_) => context.node("Identity"),
    })
}

/// Adds from left to right, ((a + b) + c) + ..., which is the order of our own sum.
fn add_values(builder: &mut GraphBuilder, context: &LayerContext<'_>) -> NodeBuilder {
    let (first, others) = (context.inputs[0], &context.inputs[1..]);
    let mut sum = first.to_string();
    let count = others.len();
    for (i, next) in others[..count.saturating_sub(1)].iter().enumerate() {
        sum = builder.helper(&context.layer.name, &format!("sum{i}"), "Add", &[&sum, next]);
    }
    match others.last() {
        Some(last) => context.node_over("Add", &[&sum, last]),
        None => context.node("Identity"),
    }
}
