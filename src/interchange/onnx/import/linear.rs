//! Linear layers (Gemm, MatMul), constants for each channel (biases and factors), sums and concatenations.

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
    let op = LayerOp::Linear(layers::Linear { out_features, bias: false, per_position: false });
    let position = draft.push(node, op, vec![from], &[&[features]])?;
    draft.layers[position].weight = Some(handle.name);
    draft.layers[position].tensors.push(("weight", weight));
    Ok(position)
}

fn set_bias(draft: &mut NetworkDraft<'_>, layer: usize, values: Vec<f32>) -> Result<(), String> {
    let layer = &mut draft.layers[layer];
    if matches!(layer.op, LayerOp::Scale(_)) {
        // A factor and an offset for each channel are a depthwise convolution.
        let channels = values.len();
        for (_, weight) in &mut layer.tensors {
            let factors = weight.data().to_vec();
            *weight = Tensor::new([channels, 1, 1, 1], factors).map_err(|error| error.to_string())?;
        }
        layer.op = depthwise(channels);
        let bias = Tensor::new([channels], values).map_err(|error| error.to_string())?;
        layer.tensors.push(("bias", bias));
        return Ok(());
    }
    if matches!(layer.op, LayerOp::BatchNorm2d(_)) {
        if let Some((_, bias)) = layer.tensors.iter_mut().find(|(kind, _)| *kind == "bias") {
            bias.data_mut().iter_mut().zip(values).for_each(|(bias, value)| *bias += value);
        }
        return Ok(());
    }
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
    if node.input.len() == 2 {
        for constant in [1, 0] {
            if let Some(GraphValue::Constant(handle)) = draft.value(node, constant)? {
                let handle = *handle;
                return match draft.value(node, 1 - constant)?.cloned() {
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

/// True if `call` is arithmetic on a layer's output and a constant.
pub(super) fn is_per_channel(draft: &NetworkDraft<'_>, call: &Call<'_>) -> bool {
    let value = |name: &String| draft.values.get(name.as_str());
    let [a, b] = call.node.input.as_slice() else { return false };
    matches!(
        (value(a), value(b)),
        (Some(GraphValue::Layer { .. }), Some(GraphValue::Constant(_)))
            | (Some(GraphValue::Constant(_)), Some(GraphValue::Layer { .. }))
    )
}

/// Translates a sum or product of a layer's output with a constant for each channel. It becomes part of that layer where the
/// layer has no such part yet (a bias, or factors that its weights contain) or has one that it merges with, as a batch norm
/// has; else a layer.
pub(super) fn per_channel<'a>(draft: &mut NetworkDraft<'a>, call: &Call<'a>) -> Result<(), String> {
    let node = call.node;
    let constant = usize::from(!matches!(draft.value(node, 0)?, Some(GraphValue::Constant(_))));
    let handle = draft.weight(node, constant)?;
    let (from, dims) = draft.layer(node, 1 - constant)?;
    let mut numbers = draft.constants.per_channel(handle, dims.len() + 1, dims[0])?;
    let is_sum = match (node.op_type.as_str(), constant) {
        ("Add" | "Sum", _) => true,
        ("Sub", 1) => {
            numbers.iter_mut().for_each(|number| *number = -*number);
            true
        }
        ("Mul", _) => false,
        ("Div", 1) => {
            numbers.iter_mut().for_each(|number| *number = number.recip());
            false
        }
        (op, _) => {
            return Err(format!("{op} of a constant and a layer's output: expected the constant last"));
        }
    };
    if numbers.iter().any(|number| !number.is_finite()) {
        return Err("expected finite numbers".into());
    }
    let computed = node.input[1 - constant].as_str();
    let own =
        from.filter(|&layer| draft.layers[layer].output == computed && draft.graph.readers(computed) == 1);
    // A parameter of PyTorch's, such as ConvNeXt's layer scale, and a layer of ours remain.
    let is_parameter = !is_sum && (draft.is_ours || parameter_name(handle.name).is_some());
    if let Some(layer) = own.filter(|&layer| !is_parameter && takes(&draft.layers[layer].op, is_sum, &dims)) {
        match is_sum {
            true => set_bias(draft, layer, numbers)?,
            false => multiply(draft, layer, &numbers),
        }
        draft.layers[layer].output = node.output.first().map_or("", String::as_str);
        draft.alias(node, GraphValue::Layer { from, dims });
        return Ok(());
    }
    let output = node.output.first().map_or("", String::as_str);
    if is_sum {
        return shift(draft, &node.name, output, from, &dims, vec![1.0; dims[0]], numbers).map(|_| ());
    }
    let spatial = draft.constants.file_dims(handle)?.len() == 3 && dims.len() == 3;
    let parameter = parameter_name(handle.name).unwrap_or("weight");
    let layer = scale(draft, [&node.name, output], from, &dims, numbers, parameter, spatial)?;
    draft.layers[layer].weight = Some(handle.name);
    Ok(())
}

/// The last part of a parameter's name in PyTorch, if the constant `name` has such a name.
fn parameter_name(name: &str) -> Option<&str> {
    name.rsplit_once('.').map(|(_, end)| end).filter(|end| layers::Scale::is_name(end))
}

/// Whether a layer can contain a constant for each channel that is added to its output or multiplies it.
fn takes(op: &LayerOp, is_sum: bool, dims: &[usize]) -> bool {
    match op {
        LayerOp::Scale(_) => is_sum && dims.len() == 3,
        // A factor behind a bias is a parameter of its own.
        LayerOp::Conv2d(layers::Conv2d { bias, .. }) | LayerOp::Linear(layers::Linear { bias, .. }) => !bias,
        LayerOp::BatchNorm2d(_) => true,
        _ => false,
    }
}

/// Multiplies the output of a layer by a factor for each channel.
fn multiply(draft: &mut NetworkDraft<'_>, layer: usize, factors: &[f32]) {
    let layer = &mut draft.layers[layer];
    for (_, tensor) in layer.tensors.iter_mut().filter(|(kind, _)| ["weight", "bias"].contains(kind)) {
        let row = (tensor.data().len() / factors.len().max(1)).max(1);
        for (row, factor) in tensor.data_mut().chunks_exact_mut(row).zip(factors) {
            row.iter_mut().for_each(|value| *value *= factor);
        }
    }
}

/// Adds a layer that multiplies each channel by a factor.
fn scale<'a>(
    draft: &mut NetworkDraft<'a>,
    [node, output]: [&'a str; 2],
    from: Option<usize>,
    dims: &[usize],
    factors: Vec<f32>,
    parameter: &str,
    spatial: bool,
) -> Result<usize, String> {
    let shape = if spatial { vec![dims[0], 1, 1] } else { vec![dims[0]] };
    let weight = Tensor::new(shape, factors).map_err(|error| error.to_string())?;
    let op = layers::Scale { init_value: 1.0, parameter: parameter.to_string(), spatial };
    let layer = draft.append(node, output, op.into(), vec![from], &[dims])?;
    draft.layers[layer].tensors.push(("weight", weight));
    Ok(layer)
}

/// The depthwise convolution of 1 x 1, which multiplies each channel by a factor and adds an offset.
fn depthwise(channels: usize) -> LayerOp {
    LayerOp::Conv2d(layers::Conv2d {
        out_channels: channels,
        kernel: [1, 1],
        stride: [1, 1],
        padding: [0; 4],
        dilation: [1, 1],
        groups: channels,
        bias: true,
    })
}

/// Adds a layer that multiplies each channel by a factor and adds an offset.
fn shift<'a>(
    draft: &mut NetworkDraft<'a>,
    node: &'a str,
    output: &'a str,
    from: Option<usize>,
    dims: &[usize],
    factors: Vec<f32>,
    offsets: Vec<f32>,
) -> Result<usize, String> {
    let &[channels, _, _] = dims else {
        return Err("adds a constant to a value that is not a layer's own output".into());
    };
    let error = |error: crate::error::Error| error.to_string();
    let weight = Tensor::new([channels, 1, 1, 1], factors).map_err(error)?;
    let bias = Tensor::new([channels], offsets).map_err(error)?;
    let layer = draft.append(node, output, depthwise(channels), vec![from], &[dims])?;
    draft.layers[layer].tensors = vec![("weight", weight), ("bias", bias)];
    Ok(layer)
}

/// Makes the value `name` factor x + offset of a layer's output x. Both numbers are part of the graph and no weights, unless
/// the offset can be the layer's bias.
pub(super) fn fixed_line<'a>(
    draft: &mut NetworkDraft<'a>,
    name: &'a str,
    from: Option<usize>,
    dims: &[usize],
    [factor, offset]: [f32; 2],
) -> Result<(), String> {
    let value = GraphValue::Layer { from, dims: dims.to_vec() };
    if (factor, offset) == (1.0, 0.0) {
        draft.values.insert(name, value);
        return Ok(());
    }
    let own = from.filter(|&layer| draft.graph.readers(draft.layers[layer].output) == 1);
    if factor == 1.0
        && let Some(layer) = own.filter(|&layer| takes(&draft.layers[layer].op, true, dims))
    {
        set_bias(draft, layer, vec![offset; dims[0]])?;
        draft.layers[layer].output = name;
        draft.values.insert(name, value);
        return Ok(());
    }
    let channels = dims[0];
    let factors = vec![factor; channels];
    let layer = match offset {
        0.0 => scale(draft, ["", name], from, dims, factors, "weight", false)?,
        _ => shift(draft, "", name, from, dims, factors, vec![offset; channels])?,
    };
    draft.layers[layer].is_fixed = true;
    Ok(())
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
pub(super) fn multi_input<'a>(
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
