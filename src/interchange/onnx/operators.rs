//! The operators of ONNX that are layers, in both directions: one arm of [`node`] per layer, one line of [`LAYERS`] per
//! operator. The patterns of several nodes that stand for one layer are in `import`.

use super::export::graph::{Builder, NodeBuilder};
use super::export::layers::Place;
use super::export::{normalisation as response, pooling};
use super::import::draft::{Call, Draft};
use super::import::operators::{dropout, softmax};
use super::import::{linear, normalisation, shapes, windows};
use crate::model::{LayerOp, layers};

/// Reads a node as a layer and adds it to the draft, or gives the reason why it is not understood.
pub(super) type Reader = for<'a> fn(&mut Draft<'a>, &Call<'a>) -> Result<(), String>;

/// The operators that are a layer by themselves.
pub(super) const LAYERS: &[(&str, Reader)] = &[
    ("AveragePool", |draft, call| windows::pool(draft, call, true)),
    ("BatchNormalization", normalisation::batch_normalization),
    ("Concat", linear::concat),
    ("Conv", windows::conv),
    ("Dropout", dropout),
    ("Flatten", shapes::flatten),
    ("Gemm", linear::gemm),
    ("GlobalAveragePool", |draft, call| {
        draft.simple(call.node, layers::AdaptiveAvgPool2d { output: [1, 1] }.into())
    }),
    ("GlobalMaxPool", windows::global_max),
    ("LRN", normalisation::lrn),
    ("LeakyRelu", |draft, call| {
        let negative_slope = call.attributes.float("alpha", 0.01)?;
        draft.simple(call.node, layers::LeakyRelu { negative_slope }.into())
    }),
    ("LogSoftmax", softmax),
    ("MaxPool", |draft, call| windows::pool(draft, call, false)),
    ("Relu", |draft, call| draft.simple(call.node, layers::Relu.into())),
    ("Sigmoid", |draft, call| draft.simple(call.node, layers::Sigmoid.into())),
    ("Softmax", softmax),
    ("Tanh", |draft, call| draft.simple(call.node, layers::Tanh.into())),
];

/// The node of a layer, after the nodes that it needs before it.
///
/// # Errors
/// The reason why ONNX has no operator for the layer.
pub(super) fn node(builder: &mut Builder, place: &Place<'_>) -> Result<NodeBuilder, String> {
    Ok(match place.layer.op {
        LayerOp::Conv2d(layers::Conv2d { kernel, stride, padding, dilation, groups, .. }) => place
            .node("Conv")
            .ints("kernel_shape", &kernel)
            .ints("strides", &stride)
            .ints("pads", &padding)
            .ints("dilations", &dilation)
            .int("group", groups as i64),
        LayerOp::Linear(_) => place.node("Gemm").int("transB", 1),
        LayerOp::Relu(layers::Relu) => place.node("Relu"),
        LayerOp::LeakyRelu(layers::LeakyRelu { negative_slope }) => {
            place.node("LeakyRelu").float("alpha", negative_slope)
        }
        LayerOp::Sigmoid(layers::Sigmoid) => place.node("Sigmoid"),
        LayerOp::Tanh(layers::Tanh) => place.node("Tanh"),
        LayerOp::Softmax(layers::Softmax) => place.node("Softmax").int("axis", 1),
        LayerOp::Flatten(layers::Flatten) => place.node("Flatten").int("axis", 1),
        LayerOp::MaxPool2d(layers::MaxPool2d { kernel, stride, padding, .. }) => {
            pooling::max_pool(builder, place, kernel, stride, padding)
        }
        LayerOp::AvgPool2d(layers::AvgPool2d { kernel, stride, padding, .. }) => {
            pooling::avg_pool(builder, place, kernel, stride, padding)
        }
        LayerOp::AdaptiveAvgPool2d(_) => pooling::adaptive_avg_pool(builder, place)?,
        LayerOp::LocalResponseNorm(layers::LocalResponseNorm { size, alpha, beta, k, within }) => {
            response::local_response_norm(builder, place, size, [alpha, beta, k], within)
        }
        // The running statistics' old share, where ours is the new one's.
        LayerOp::BatchNorm2d(layers::BatchNorm2d { eps, momentum }) => {
            place.node("BatchNormalization").float("epsilon", eps).float("momentum", 1.0 - momentum)
        }
        LayerOp::Add(layers::Add) => add_values(builder, place),
        LayerOp::Concat(layers::Concat) => place.node("Concat").int("axis", 1),
        // Left out by the caller.
        LayerOp::Dropout(_) => place.node("Identity"),
    })
}

/// ((a + b) + c) + ...: the order of our own sum.
fn add_values(builder: &mut Builder, place: &Place<'_>) -> NodeBuilder {
    let (first, others) = (place.inputs[0], &place.inputs[1..]);
    let mut sum = first.to_string();
    let count = others.len();
    for (i, next) in others[..count.saturating_sub(1)].iter().enumerate() {
        sum = builder.helper(&place.layer.name, &format!("sum{i}"), "Add", &[&sum, next]);
    }
    match others.last() {
        Some(last) => place.node_over("Add", &[&sum, last]),
        None => place.node("Identity"),
    }
}
