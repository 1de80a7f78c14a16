//! Linear layers (Gemm, MatMul), biases (a constant added to a layer's output), sums and concatenations.

use super::constants::transpose;
use super::draft::{Call, GraphValue, NetworkDraft, list};
use super::pixels;
use crate::model::{LayerOp, layers};
use crate::tensor::Tensor;

/// Translates Gemm, alpha A' B' + beta C.
pub fn gemm<'a>(draft: &mut NetworkDraft<'a>, call: &Call<'a>) -> Result<(), String> {
    let (node, a) = (call.node, &call.attributes);
    let (alpha, beta) = (a.float("alpha", 1.0)?, a.float("beta", 1.0)?);
    if a.flag("transA", false)? {
        return Err("transA = 1".into());
    }
    let transposed = a.flag("transB", false)?;
    let layer = linear(draft, call, transposed)?;
    let LayerOp::Linear(layers::Linear { out_features, .. }) = draft.layers[layer].op else { return Ok(()) };
    if alpha != 1.0 {
        for (_, weight) in &mut draft.layers[layer].tensors {
            weight.data_mut().iter_mut().for_each(|value| *value *= alpha);
        }
    }
    if let Some(handle) = draft.constant(node, 2)? {
        let mut bias = draft.constants.per_channel(handle, 2, out_features)?;
        if beta != 1.0 {
            bias.iter_mut().for_each(|value| *value *= beta);
        }
        set_bias(draft, layer, bias)?;
    }
    Ok(())
}

/// Translates a product with a constant matrix on the right.
pub(super) fn mat_mul<'a>(draft: &mut NetworkDraft<'a>, call: &Call<'a>) -> Result<(), String> {
    linear(draft, call, false).map(|_| ())
}

/// Adds a linear layer without a bias and returns its position. The file's matrix is `[out, in]`, as ours, if
/// `transposed`, else `[in, out]`.
fn linear<'a>(draft: &mut NetworkDraft<'a>, call: &Call<'a>, transposed: bool) -> Result<usize, String> {
    let node = call.node;
    let (from, features) = draft.flat(node, 0)?;
    let handle = draft.weight(node, 1)?;
    let dims = draft.constants.dims(handle)?;
    let out_features = match *dims.as_slice() {
        [out, depth] if transposed && depth == features => out,
        [depth, out] if !transposed && depth == features => out,
        _ => return Err(format!("weights [{}] do not fit {features} inputs", list(&dims))),
    };
    let mut weight = draft.own_weights(handle)?;
    if !transposed {
        weight = transpose(weight)?;
    }
    let op = LayerOp::Linear(layers::Linear { out_features, bias: false });
    let position = draft.push(node, op, vec![from], &[&[features]])?;
    draft.layers[position].weight = Some(handle.name);
    draft.layers[position].tensors.push(("weight", weight));
    Ok(position)
}

fn set_bias(draft: &mut NetworkDraft<'_>, layer: usize, values: Vec<f32>) -> Result<(), String> {
    let layer = &mut draft.layers[layer];
    match &mut layer.op {
        LayerOp::Linear(layers::Linear { bias, .. }) | LayerOp::Conv2d(layers::Conv2d { bias, .. })
            if !*bias =>
        {
            *bias = true
        }
        _ => return Err("adds a constant to a layer that cannot take it as its bias".into()),
    }
    let bias = Tensor::new([values.len()], values).map_err(|error| error.to_string())?;
    layer.tensors.push(("bias", bias));
    Ok(())
}

/// Translates Add and Sum: a bias, the last step of preprocessing, or a sum of layers.
pub(super) fn add<'a>(draft: &mut NetworkDraft<'a>, call: &Call<'a>) -> Result<(), String> {
    let node = call.node;
    if let [a, b] = node.input.as_slice() {
        for (computed, constant) in [(a, 1), (b, 0)] {
            if let Some(GraphValue::Constant(handle)) = draft.value(node, constant)? {
                let handle = *handle;
                return match draft.value(node, 1 - constant)?.cloned() {
                    Some(GraphValue::Layer { from: Some(layer), dims }) => {
                        let own =
                            draft.layers[layer].output == computed && draft.graph.readers(computed) == 1;
                        if !own {
                            return Err("adds a constant to a value that is not a layer's own output".into());
                        }
                        let bias = draft.constants.per_channel(handle, dims.len() + 1, dims[0])?;
                        set_bias(draft, layer, bias)?;
                        let output = node.output.first().map_or("", String::as_str);
                        draft.layers[layer].output = output;
                        draft.alias(node, GraphValue::Layer { from: Some(layer), dims });
                        Ok(())
                    }
                    Some(GraphValue::Pixels(pixels)) => pixels::add(draft, call, pixels, handle),
                    _ => Err("adds a constant to a value that is not a layer's own output".into()),
                };
            }
        }
    }
    let (mut inputs, mut shapes) = (Vec::new(), Vec::new());
    for position in 0..node.input.len() {
        let (from, dims) = draft.layer(node, position)?;
        inputs.push(from);
        shapes.push(dims);
    }
    multi_input(draft, call, LayerOp::Add(layers::Add), inputs, shapes)
}

/// Translates Concat along the channels.
pub fn concat<'a>(draft: &mut NetworkDraft<'a>, call: &Call<'a>) -> Result<(), String> {
    let node = call.node;
    let (mut inputs, mut shapes) = (Vec::new(), Vec::new());
    for position in 0..node.input.len() {
        let (from, dims) = draft.layer(node, position)?;
        inputs.push(from);
        shapes.push(dims);
    }
    let rank = shapes.first().map_or(0, Vec::len) as i64 + 1;
    let axis = call.attributes.int("axis", 1)?;
    if axis != 1 && axis != 1 - rank {
        return Err(format!("expected axis 1 (channels), found {axis}"));
    }
    multi_input(draft, call, LayerOp::Concat(layers::Concat), inputs, shapes)
}

/// Adds a layer of several inputs; with a single input it does nothing and is dropped.
fn multi_input<'a>(
    draft: &mut NetworkDraft<'a>,
    call: &Call<'a>,
    op: LayerOp,
    inputs: Vec<Option<usize>>,
    mut shapes: Vec<Vec<usize>>,
) -> Result<(), String> {
    match (inputs.as_slice(), shapes.pop()) {
        (_, None) => Err("expected inputs, found none".into()),
        ([one], Some(dims)) => {
            draft.alias(call.node, GraphValue::Layer { from: *one, dims });
            Ok(())
        }
        (_, Some(last)) => {
            shapes.push(last);
            let shapes: Vec<&[usize]> = shapes.iter().map(Vec::as_slice).collect();
            draft.push(call.node, op, inputs, &shapes).map(|_| ())
        }
    }
}
