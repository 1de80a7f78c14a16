//! Activations and products that take several nodes, or constants beside the layer's input.

use super::graph::{GraphBuilder, NodeBuilder};
use super::layers::LayerContext;
use std::f32::consts::SQRT_2;

/// x times its sigmoid: ONNX has no node for it before operator set 24.
pub fn silu(builder: &mut GraphBuilder, context: &LayerContext<'_>) -> NodeBuilder {
    let x = context.inputs[0];
    let sigmoid = builder.helper(&context.layer.name, "sigmoid", "Sigmoid", &[x]);
    context.node_over("Mul", &[x, &sigmoid])
}

/// x (1 + erf(x / sqrt 2)) / 2, node by node as PyTorch writes it: ONNX has an operator for it from operator set 20 on.
pub fn gelu(builder: &mut GraphBuilder, context: &LayerContext<'_>) -> NodeBuilder {
    let (name, x) = (&context.layer.name, context.inputs[0]);
    let [root, one, half] = [("sqrt_2", SQRT_2), ("one", 1.0), ("half", 0.5)]
        .map(|(part, value)| builder.constant(&format!("{name}.{part}"), &[], &[value]));
    let scaled = builder.helper(name, "scaled", "Div", &[x, &root]);
    let erf = builder.helper(name, "erf", "Erf", &[&scaled]);
    let sum = builder.helper(name, "sum", "Add", &[&erf, &one]);
    let product = builder.helper(name, "product", "Mul", &[x, &sum]);
    context.node_over("Mul", &[&product, &half])
}

/// x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2, node by node as PyTorch writes it.
pub fn gelu_tanh(builder: &mut GraphBuilder, context: &LayerContext<'_>) -> NodeBuilder {
    let (name, x) = (&context.layer.name, context.inputs[0]);
    let values = [("beta", 0.797_884_6), ("kappa", 0.044_715), ("one", 1.0), ("half", 0.5)];
    let [beta, kappa, one, half] =
        values.map(|(part, value)| builder.constant(&format!("{name}.{part}"), &[], &[value]));
    let square = builder.helper(name, "square", "Mul", &[x, x]);
    let cube = builder.helper(name, "cube", "Mul", &[x, &square]);
    let scaled = builder.helper(name, "scaled", "Mul", &[&kappa, &cube]);
    let inner = builder.helper(name, "inner", "Add", &[x, &scaled]);
    let argument = builder.helper(name, "argument", "Mul", &[&beta, &inner]);
    let tanh = builder.helper(name, "tanh", "Tanh", &[&argument]);
    let sum = builder.helper(name, "sum", "Add", &[&one, &tanh]);
    let product = builder.helper(name, "product", "Mul", &[x, &sum]);
    context.node_over("Mul", &[&half, &product])
}

/// The shape of `len` slopes beside a value with `rank` extents after the batch: ONNX broadcasts from the last axis.
pub fn slope_dims(len: usize, rank: usize) -> Vec<usize> {
    let ones = if len == 1 { 0 } else { rank.saturating_sub(1) };
    std::iter::once(len).chain(std::iter::repeat_n(1, ones)).collect()
}

/// Values within limits; an infinite one is left out.
pub fn clip(builder: &mut GraphBuilder, context: &LayerContext<'_>, min: f32, max: f32) -> NodeBuilder {
    let mut limit = |part: &str, value: f32| match value.is_finite() {
        true => builder.constant(&format!("{}.{part}", context.layer.name), &[], &[value]),
        false => String::new(),
    };
    let (min, max) = (limit("min", min), limit("max", max));
    let inputs = [context.inputs[0], &min, &max];
    context.node_over("Clip", if max.is_empty() { &inputs[..2] } else { &inputs })
}

/// A product. ONNX broadcasts a gate of extents [N, C, 1, 1], not one of [N, C].
pub fn mul(builder: &mut GraphBuilder, context: &LayerContext<'_>) -> NodeBuilder {
    let rank = context.input_dims.iter().map(|dims| dims.len()).max().unwrap_or_default();
    let mut inputs = Vec::new();
    for (value, dims) in context.inputs.iter().zip(&context.input_dims) {
        inputs.push(if dims.len() == rank {
            (*value).to_string()
        } else {
            let name = &context.layer.name;
            let shape = builder.integers(&format!("{name}.gate_shape"), &[0, -1, 1, 1]);
            builder.helper(name, "gate", "Reshape", &[value, &shape])
        });
    }
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    context.node_over("Mul", &inputs)
}
