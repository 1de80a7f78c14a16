//! Local response normalisation: ONNX's own operator where it computes what ours does, and otherwise the formula
//! x / (k + alpha mean(x^2))^beta written out, its mean an average pooling in which padding counts.

use super::graph::{Builder, NodeBuilder};
use super::layers::Place;

/// `[alpha, beta, k]` as in `ops::LocalResponseNorm`.
pub(super) fn local_response_norm(
    builder: &mut Builder,
    place: &Place<'_>,
    size: usize,
    [alpha, beta, k]: [f32; 3],
    within: bool,
) -> NodeBuilder {
    // An even window of ONNX is ours turned around.
    if !within && size % 2 == 1 {
        let node = place.node("LRN").int("size", size as i64);
        return node.float("alpha", alpha).float("beta", beta).float("bias", k);
    }
    let (name, x) = (&place.layer.name, place.inputs[0]);
    let (before, after) = (size / 2, (size - 1) / 2);
    let squares = builder.helper(name, "squares", "Mul", &[x, x]);
    let mean = if within {
        builder.helper_with(name, "mean", "AveragePool", &[&squares], |node| {
            let node = node.ints("kernel_shape", &[size; 2]).ints("strides", &[1; 2]);
            node.ints("pads", &[before, before, after, after]).int("count_include_pad", 1)
        })
    } else {
        // Channels become the first of three spatial axes.
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
    place.node_over("Div", &[x, &power])
}
