//! Operators on channels, which ONNX writes with its general operators on axes.

use super::graph::{GraphBuilder, NodeBuilder};
use super::layers::LayerContext;

/// Adds a slice of channels.
pub fn slice(
    builder: &mut GraphBuilder,
    context: &LayerContext<'_>,
    start: usize,
    end: usize,
) -> NodeBuilder {
    let name = &context.layer.name;
    let [starts, ends, axes] = [("starts", start), ("ends", end), ("axes", 1)]
        .map(|(kind, n)| builder.integers(&format!("{name}.{kind}"), &[n as i64]));
    context.node_over("Slice", &[context.inputs[0], &starts, &ends, &axes])
}

/// Adds a product with a factor for each channel; `spatial` are weights `[channels, 1, 1]`.
pub fn scale(builder: &mut GraphBuilder, context: &LayerContext<'_>, spatial: bool) -> NodeBuilder {
    let (name, x, w) = (&context.layer.name, context.inputs[0], context.inputs[1]);
    if spatial == (context.x.len() == 3) {
        return context.node("Mul");
    }
    // Weights `[channels]` for maps, or `[channels, 1, 1]` for a vector.
    let shape = if spatial { vec![-1] } else { vec![-1, 1, 1] };
    let shape = builder.integers(&format!("{name}.shape"), &shape);
    let reshaped = builder.helper(name, "factors", "Reshape", &[w, &shape]);
    context.node_over("Mul", &[x, &reshaped])
}

/// Adds a convolution of 1 x 1 with the reshaped weights `[out_features, channels]`.
pub fn linear_per_position(
    builder: &mut GraphBuilder,
    context: &LayerContext<'_>,
    out_features: usize,
) -> NodeBuilder {
    let name = &context.layer.name;
    let shape = builder.integers(&format!("{name}.shape"), &[out_features as i64, context.x[0] as i64, 1, 1]);
    let kernels = builder.helper(name, "kernels", "Reshape", &[context.inputs[1], &shape]);
    let mut inputs = context.inputs.clone();
    inputs[1] = &kernels;
    context.node_over("Conv", &inputs).ints("kernel_shape", &[1, 1])
}

/// Adds a channel shuffle: the channels as rows of groups, transposed, and back. The -1 in a
/// shape is the batch.
pub fn shuffle(builder: &mut GraphBuilder, context: &LayerContext<'_>, groups: usize) -> NodeBuilder {
    let name = &context.layer.name;
    let behind: Vec<i64> = context.x[1..].iter().map(|&d| d as i64).collect();
    let shape = |channels: &[usize]| -> Vec<i64> {
        [-1].into_iter().chain(channels.iter().map(|&c| c as i64)).chain(behind.iter().copied()).collect()
    };
    let channels = context.x[0];
    let rows = builder.integers(&format!("{name}.rows"), &shape(&[groups, channels / groups]));
    let whole = builder.integers(&format!("{name}.shape"), &shape(&[channels]));
    let grouped = builder.helper(name, "grouped", "Reshape", &[context.inputs[0], &rows]);
    let order: Vec<usize> = [0, 2, 1].into_iter().chain(3..behind.len() + 3).collect();
    let transposed =
        builder.helper_with(name, "transposed", "Transpose", &[&grouped], |node| node.ints("perm", &order));
    context.node_over("Reshape", &[&transposed, &whole])
}
