//! Products of layers: gates, squares, and the activations that are written as a product.

use super::draft::{Call, GraphValue, NetworkDraft, list};
use crate::model::{LayerOp, layers};

/// Translates Mul of two layers: x times its own sigmoid is one activation, every other product a layer of its own.
pub fn mul<'a>(draft: &mut NetworkDraft<'a>, call: &Call<'a>) -> Result<(), String> {
    let node = call.node;
    for position in [0, 1] {
        if matches!(draft.value(node, position)?, Some(GraphValue::Constant(_))) {
            return Err("a product with a constant is not supported here".into());
        }
    }
    let [a, b] = [draft.layer(node, 0)?, draft.layer(node, 1)?];
    for ((x, dims), (gate, _)) in [(&a, &b), (&b, &a)] {
        if let Some(op) = activation(draft, *x, *gate) {
            return draft.push(node, op, vec![*x], &[dims]).map(|_| ());
        }
    }
    let ((a, a_dims), (b, b_dims)) = (a, b);
    let factors = [b_dims.as_slice(), a_dims.as_slice()];
    // Broadcasting pads a shape with ones in front: [N, K] would be no gate of [N, C, H, W].
    if a_dims.len() != b_dims.len() {
        return Err(format!("a product of [N, {}] and [N, {}]", list(&a_dims), list(&b_dims)));
    }
    if a_dims != b_dims && !factors.iter().any(|dims| matches!(dims, [_, 1, 1])) {
        return Err(format!(
            "a product of [N, {}] and [N, {}]: expected one shape, or one factor for each channel",
            list(&a_dims),
            list(&b_dims)
        ));
    }
    draft.push(node, layers::Mul.into(), vec![a, b], &[&a_dims, &b_dims]).map(|_| ())
}

/// The activation that x times `gate` is, if the gate is a sigmoid of x.
fn activation(draft: &NetworkDraft<'_>, x: Option<usize>, gate: Option<usize>) -> Option<LayerOp> {
    let gate = draft.layers.get(gate?)?;
    if gate.inputs.as_slice() != [x] {
        return None;
    }
    match &gate.op {
        LayerOp::Sigmoid(layers::Sigmoid) => Some(layers::Silu.into()),
        LayerOp::HardSigmoid(sigmoid) if *sigmoid == layers::HardSigmoid::PYTORCH => {
            Some(layers::HardSwish.into())
        }
        _ => None,
    }
}
