//! Local response normalisation as elementary nodes: x / (k + alpha mean(x^2))^beta, where the mean is an average pooling
//! that counts padding. PyTorch exports its layer in the same way. ONNX has an operator LRN, but its reference evaluator
//! computes as many channels as the batch has rows (up to onnx 1.23.2 at least, `findings/onnx_reference_evaluator.sh`),
//! and onnxruntime rejects windows of an even size.

use super::graph::{GraphBuilder, NodeBuilder};
use super::layers::LayerContext;

/// Adds the nodes of a local response normalisation, with `alpha`, `beta` and `k` as in `ops::LocalResponseNorm`.
pub fn local_response_norm(
    builder: &mut GraphBuilder,
    context: &LayerContext<'_>,
    size: usize,
    [alpha, beta, k]: [f32; 3],
    within: bool,
) -> NodeBuilder {
    let (name, x) = (&context.layer.name, context.inputs[0]);
    let (before, after) = (size / 2, (size - 1) / 2);
    let squares = builder.helper(name, "squares", "Mul", &[x, x]);
    let mean = if within {
        builder.helper_with(name, "mean", "AveragePool", &[&squares], |node| {
            let node = node.ints("kernel_shape", &[size; 2]).ints("strides", &[1; 2]);
            node.ints("pads", &[before, before, after, after]).int("count_include_pad", 1)
        })
    } else {
        // A new axis makes the channels the first of three spatial axes.
        let axis = builder.integers(&format!("{name}.axis"), &[1]);
        let raised = builder.helper(name, "raised", "Unsqueeze", &[&squares, &axis]);
        let mean = builder.helper_with(name, "raised_mean", "AveragePool", &[&raised], |node| {
            let node = node.ints("kernel_shape", &[size, 1, 1]).ints("strides", &[1; 3]);
            node.ints("pads", &[before, 0, 0, after, 0, 0]).int("count_include_pad", 1)
        });
        builder.helper(name, "mean", "Squeeze", &[&mean, &axis])
    };
    let [alpha, beta, k] = [("alpha", alpha), ("beta", beta), ("k", k)]
        .map(|(kind, value)| builder.constant(&format!("{name}.{kind}"), &[], &[value]));
    let scaled = builder.helper(name, "scaled", "Mul", &[&mean, &alpha]);
    let scale = builder.helper(name, "scale", "Add", &[&scaled, &k]);
    let power = builder.helper(name, "power", "Pow", &[&scale, &beta]);
    context.node_over("Div", &[x, &power])
}

/// Adds a layer normalisation over channels. ONNX's operator (operator set 17) normalises the last axes, so the channels of
/// an image go there and back, as PyTorch's exporters write it.
pub fn layer_norm(builder: &mut GraphBuilder, context: &LayerContext<'_>, eps: f32) -> NodeBuilder {
    let (name, inputs) = (&context.layer.name, &context.inputs);
    let attributes = |node: NodeBuilder| node.int("axis", -1).float("epsilon", eps);
    if context.x.len() == 1 {
        return attributes(context.node("LayerNormalization"));
    }
    let last = builder.helper_with(name, "channels_last", "Transpose", &[inputs[0]], |node| {
        node.ints("perm", &[0, 2, 3, 1])
    });
    let normalised = builder.helper_with(
        name,
        "normalised",
        "LayerNormalization",
        &[&last, inputs[1], inputs[2]],
        attributes,
    );
    context.node_over("Transpose", &[&normalised]).ints("perm", &[0, 3, 1, 2])
}
