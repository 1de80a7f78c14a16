//! Activations and products that take several nodes, or constants beside the layer's input.

use super::graph::{GraphBuilder, NodeBuilder};
use super::layers::LayerContext;

/// x times its sigmoid: ONNX has no node for it before operator set 24.
pub fn silu(builder: &mut GraphBuilder, context: &LayerContext<'_>) -> NodeBuilder {
    let x = context.inputs[0];
    let sigmoid = builder.helper(&context.layer.name, "sigmoid", "Sigmoid", &[x]);
    context.node_over("Mul", &[x, &sigmoid])
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
