//! Values in another layout than ours: `[N, H, W, C]`, as TensorFlow's files and PyTorch's ConvNeXt have them, and flat values
//! that are seen as `[N, K, 1, 1]`. A node that treats all elements alike is translated as if its inputs were in our
//! layout.

use super::attributes::ints;
use super::draft::{Call, GraphValue, NetworkDraft, list};
use super::{expressions, linear, normalisation, operators, padding, shapes, vectors};
use crate::model::{LayerOp, layers};

/// From our layout to channels last, and back.
const TO_LAST: [i64; 4] = [0, 2, 3, 1];
const TO_FIRST: [i64; 4] = [0, 3, 1, 2];

/// Operators that treat all elements alike, with constants for each channel.
const ELEMENTWISE: &str = "Abs Add Cast Clip Div Dropout Elu Erf Exp Gelu HardSigmoid HardSwish Identity LeakyRelu \
    Log Max Min Mul Neg PRelu Pow Reciprocal Relu Sigmoid Softplus Sqrt Sub Sum Tanh";

/// True if `call` reads a value in another layout.
pub(super) fn reads_view(draft: &NetworkDraft<'_>, call: &Call<'_>) -> bool {
    let is_view = |name: &String| is_view(draft.values.get(name.as_str()));
    call.node.op_type != "Shape" && call.node.input.iter().any(is_view)
}

fn is_view(value: Option<&GraphValue<'_>>) -> bool {
    matches!(
        value,
        Some(GraphValue::ChannelsLast(_) | GraphValue::FlatChannelsLast { .. } | GraphValue::Vector { .. })
    )
}

/// Translates a node that reads a value in another layout.
pub(super) fn translate<'a>(draft: &mut NetworkDraft<'a>, call: &Call<'a>) -> Result<(), String> {
    let node = call.node;
    let is_last =
        |name: &&String| matches!(draft.values.get(name.as_str()), Some(GraphValue::ChannelsLast(_)));
    let reads_last = node.input.iter().any(|name| is_last(&name));
    let op = node.op_type.as_str();
    let is_elementwise = ELEMENTWISE.split(' ').any(|name| name == op);
    if reads_last && is_elementwise {
        return channels_last(draft, call);
    }
    let first = draft.value(node, 0)?.cloned();
    match (op, first) {
        ("Transpose", Some(GraphValue::ChannelsLast(inner))) => match call.attributes.ints("perm")? {
            Some(perm) if *perm == TO_FIRST => {
                take_over(draft, call);
                draft.alias(node, *inner);
                Ok(())
            }
            perm => Err(format!(
                "perm {} of [N, H, W, C]: expected {}",
                ints(perm.unwrap_or_default()),
                ints(&TO_FIRST)
            )),
        },
        ("MatMul", Some(GraphValue::ChannelsLast(_))) => product(draft, call),
        ("Pad", Some(GraphValue::ChannelsLast(inner))) => pad(draft, call, *inner),
        ("ReduceMean", Some(GraphValue::ChannelsLast(_))) => mean(draft, call),
        ("LayerNormalization", Some(GraphValue::ChannelsLast(_))) => {
            let (from, dims) = inner(draft, call, 0)?;
            normalisation::over_channels(draft, call, from, &dims)?;
            rewrap(draft, call, |value| Some(GraphValue::ChannelsLast(Box::new(value))))
        }
        ("Concat", Some(GraphValue::ChannelsLast(_))) => concat(draft, call),
        ("Flatten" | "Reshape" | "Squeeze", Some(GraphValue::ChannelsLast(_))) => reshape(draft, call),
        ("Flatten" | "Reshape", Some(GraphValue::FlatChannelsLast { from, dims })) => {
            let len = dims.iter().product();
            if op == "Reshape" && shapes::target(draft, call, &[len])? != [len] {
                return Err("expected the flat value to remain flat".into());
            }
            call.attributes.int("axis", 1)?;
            draft.alias(node, GraphValue::FlatChannelsLast { from, dims });
            Ok(())
        }
        ("MatMul" | "Gemm", Some(GraphValue::FlatChannelsLast { from, dims })) => {
            flat_product(draft, call, from, dims)
        }
        (_, Some(GraphValue::FlatChannelsLast { from, dims })) if is_elementwise && node.input.len() == 1 => {
            let len = dims.iter().product();
            translate_as(
                draft,
                call,
                vec![(node.input[0].as_str(), GraphValue::Layer { from, dims: vec![len] })],
            )?;
            rewrap(draft, call, |value| match value {
                GraphValue::Layer { from, .. } => Some(GraphValue::FlatChannelsLast { from, dims }),
                _ => None,
            })
        }
        ("Flatten" | "Reshape" | "Squeeze" | "Transpose", Some(GraphValue::Vector { from, len })) => {
            vectors::reshape(draft, call, from, len)
        }
        _ if is_elementwise => vectors::elementwise(draft, call),
        _ => Err(format!("{op} of a value in the layout [N, H, W, C] is not supported")),
    }
}

/// Translates a node with other values in the place of some of its inputs.
pub(super) fn translate_as<'a>(
    draft: &mut NetworkDraft<'a>,
    call: &Call<'a>,
    replaced: Vec<(&'a str, GraphValue<'a>)>,
) -> Result<(), String> {
    let mut kept = Vec::new();
    for (name, value) in replaced {
        if !kept.iter().any(|(kept, _)| *kept == name) {
            kept.push((name, draft.values.insert(name, value)));
        }
    }
    let result = operators::translate_node(draft, call);
    for (name, value) in kept {
        if let Some(value) = value {
            draft.values.insert(name, value);
        }
    }
    result
}

/// Replaces the value that a node has produced.
pub(super) fn rewrap<'a>(
    draft: &mut NetworkDraft<'a>,
    call: &Call<'a>,
    view: impl FnOnce(GraphValue<'a>) -> Option<GraphValue<'a>>,
) -> Result<(), String> {
    let made = call.node.output.first().and_then(|output| draft.values.get(output.as_str())).cloned();
    let value = made.and_then(view).ok_or("is not supported in the layout [N, H, W, C]")?;
    draft.alias(call.node, value);
    Ok(())
}

/// Translates a node that treats all elements alike.
fn channels_last<'a>(draft: &mut NetworkDraft<'a>, call: &Call<'a>) -> Result<(), String> {
    let node = call.node;
    let inner = node.input.iter().find_map(|name| match draft.values.get(name.as_str()) {
        Some(GraphValue::ChannelsLast(inner)) => Some(inner.clone()),
        _ => None,
    });
    let inner = inner.ok_or("expected an input [N, H, W, C]")?;
    let dims = dims_of(&inner)?;
    let mut replaced = Vec::new();
    for name in node.input.iter().filter(|name| !name.is_empty()) {
        let value = match draft.values.get(name.as_str()) {
            Some(GraphValue::ChannelsLast(inner)) => (**inner).clone(),
            Some(GraphValue::Constant(handle)) => {
                let handle = *handle;
                let shape = draft.constants.dims(handle)?;
                if shape.iter().all(|&d| d == 1) {
                    continue;
                }
                // Of the axes only the last one may be longer than 1.
                if shape.len() > 4
                    || shape.iter().product::<usize>() != dims[0]
                    || shape.last() != Some(&dims[0])
                {
                    let (found, channels) = (list(&shape), dims[0]);
                    return Err(format!(
                        "expected one number for each of {channels} channels, found [{found}]"
                    ));
                }
                GraphValue::Constant(draft.constants.reshaped(handle, vec![dims[0], 1, 1])?)
            }
            Some(GraphValue::Vector { from, len }) => {
                GraphValue::Layer { from: *from, dims: vec![*len, 1, 1] }
            }
            Some(_) => return Err("combines the layouts [N, H, W, C] and [N, C, H, W]".into()),
            None => continue,
        };
        replaced.push((name.as_str(), value));
    }
    translate_as(draft, call, replaced)?;
    rewrap(draft, call, |value| match value {
        GraphValue::Layer { dims, .. } if dims.len() != 3 => None,
        value @ (GraphValue::Layer { .. } | GraphValue::Expression(_)) => {
            Some(GraphValue::ChannelsLast(Box::new(value)))
        }
        _ => None,
    })
}

/// Channels, height and width of a value in our layout.
pub(super) fn dims_of(value: &GraphValue<'_>) -> Result<[usize; 3], String> {
    let dims = match value {
        GraphValue::Layer { dims, .. } => dims.as_slice(),
        GraphValue::Expression(expression) => &expression.dims,
        GraphValue::Padded(padded) => &padded.dims,
        _ => &[],
    };
    <[usize; 3]>::try_from(dims).map_err(|_| "expected an input [N, H, W, C]".into())
}

/// Makes a layer of the first input, a formula for example, and returns it with its dims in our layout.
fn inner<'a>(
    draft: &mut NetworkDraft<'a>,
    call: &Call<'a>,
    position: usize,
) -> Result<(Option<usize>, [usize; 3]), String> {
    let Some(GraphValue::ChannelsLast(inner)) = draft.value(call.node, position)?.cloned() else {
        return Err("combines the layouts [N, H, W, C] and [N, C, H, W]".into());
    };
    let name = &call.node.input[position..position + 1];
    draft.values.insert(&name[0], *inner);
    expressions::settle(draft, name)?;
    let settled = draft.feature_map(call.node, position);
    if let Some(value) = draft.values.get(name[0].as_str()).cloned() {
        draft.values.insert(&name[0], GraphValue::ChannelsLast(Box::new(value)));
    }
    settled
}

/// Translates the product of the channels with a matrix: a linear layer at each position.
fn product<'a>(draft: &mut NetworkDraft<'a>, call: &Call<'a>) -> Result<(), String> {
    let (from, dims) = inner(draft, call, 0)?;
    let handle = draft.weight(call.node, 1)?;
    let shape = draft.constants.dims(handle)?;
    let out_features = match *shape.as_slice() {
        [depth, out] if depth == dims[0] => out,
        _ => return Err(format!("weights [{}] do not fit {} channels", list(&shape), dims[0])),
    };
    let weight = draft.own_weights(handle.with(!handle.transposed))?;
    let op = LayerOp::Linear(layers::Linear { out_features, bias: false, per_position: true });
    let layer = draft.push(call.node, op, vec![from], &[&dims])?;
    draft.layers[layer].weight = Some(handle.name);
    draft.layers[layer].tensors.push(("weight", weight));
    rewrap(draft, call, |value| Some(GraphValue::ChannelsLast(Box::new(value))))
}

/// Translates the product of a flat value with a matrix, whose rows are brought into our order.
fn flat_product<'a>(
    draft: &mut NetworkDraft<'a>,
    call: &Call<'a>,
    from: Option<usize>,
    [channels, height, width]: [usize; 3],
) -> Result<(), String> {
    let inputs = channels * height * width;
    translate_as(
        draft,
        call,
        vec![(call.node.input[0].as_str(), GraphValue::Layer { from, dims: vec![inputs] })],
    )?;
    let weights = draft.layers.last_mut().filter(|layer| matches!(layer.op, LayerOp::Linear(_)));
    let weights = weights.and_then(|layer| layer.tensors.iter_mut().find(|(kind, _)| *kind == "weight"));
    let (_, weight) = weights.ok_or("expected a product with constant weights")?;
    let places = height * width;
    for row in weight.data_mut().chunks_exact_mut(inputs) {
        let given = row.to_vec();
        for (i, value) in row.iter_mut().enumerate() {
            *value = given[i % places * channels + i / places];
        }
    }
    Ok(())
}

fn pad<'a>(draft: &mut NetworkDraft<'a>, call: &Call<'a>, inner: GraphValue<'a>) -> Result<(), String> {
    let dims = dims_of(&inner)?;
    let (axes, value) = padding::read(draft, call, 4)?;
    let [[0, 0], [top, bottom], [left, right], [0, 0]] = axes[..] else {
        return Err("expected a padding of height and width alone".into());
    };
    let (from, _) = self::inner(draft, call, 0)?;
    let padded = padding::padded(from, dims, [top, left, bottom, right], value);
    draft.alias(call.node, GraphValue::ChannelsLast(Box::new(padded)));
    Ok(())
}

/// Translates the mean over height and width.
fn mean<'a>(draft: &mut NetworkDraft<'a>, call: &Call<'a>) -> Result<(), String> {
    let (node, a) = (call.node, &call.attributes);
    let (from, dims) = inner(draft, call, 0)?;
    let mut axes = shapes::axes(draft, call)?.unwrap_or_default();
    axes.iter_mut().filter(|axis| **axis < 0).for_each(|axis| *axis += 4);
    axes.sort_unstable();
    a.flag("noop_with_empty_axes", false)?;
    let keeps = a.flag("keepdims", true)?;
    if axes != [1, 2] {
        return Err(format!("axes {}: expected the mean over height and width of [N, H, W, C]", ints(&axes)));
    }
    let pool = layers::AdaptiveAvgPool2d { output: [1, 1] }.into();
    let layer = draft.push(node, pool, vec![from], &[&dims])?;
    if keeps {
        return rewrap(draft, call, |value| Some(GraphValue::ChannelsLast(Box::new(value))));
    }
    draft.push(node, layers::Flatten.into(), vec![Some(layer)], &[&[dims[0], 1, 1]]).map(|_| ())
}

fn concat<'a>(draft: &mut NetworkDraft<'a>, call: &Call<'a>) -> Result<(), String> {
    let axis = call.attributes.int("axis", 1)?;
    if axis != 3 && axis != -1 {
        return Err(format!("expected axis 3 (channels) of [N, H, W, C], found {axis}"));
    }
    let (mut inputs, mut shapes) = (Vec::new(), Vec::new());
    for position in 0..call.node.input.len() {
        let (from, dims) = inner(draft, call, position)?;
        inputs.push(from);
        shapes.push(dims.to_vec());
    }
    linear::multi_input(draft, call, layers::Concat.into(), inputs, shapes)?;
    rewrap(draft, call, |value| Some(GraphValue::ChannelsLast(Box::new(value))))
}

/// Translates a change of shape of `[N, H, W, C]` to a flat value.
fn reshape<'a>(draft: &mut NetworkDraft<'a>, call: &Call<'a>) -> Result<(), String> {
    let node = call.node;
    let (from, dims) = inner(draft, call, 0)?;
    let [channels, height, width] = dims;
    let target = match node.op_type.as_str() {
        "Reshape" => shapes::target(draft, call, &[height, width, channels])?,
        "Flatten" if call.attributes.int("axis", 1)? == 1 => vec![dims.iter().product()],
        "Squeeze" if [height, width] == [1, 1] => {
            let mut axes = shapes::axes(draft, call)?.unwrap_or_default();
            axes.iter_mut().filter(|axis| **axis < 0).for_each(|axis| *axis += 4);
            axes.sort_unstable();
            if axes != [1, 2] {
                return Err(format!("axes {} of [N, 1, 1, {channels}]: expected 1 and 2", ints(&axes)));
            }
            vec![channels]
        }
        _ => return Err("expected a flat value of [N, H, W, C]".into()),
    };
    match *target.as_slice() {
        [h, w, c] if [h, w, c] == [height, width, channels] => {
            draft.alias(
                node,
                GraphValue::ChannelsLast(Box::new(GraphValue::Layer { from, dims: dims.to_vec() })),
            );
        }
        [c, 1, 1] if [height, width, channels] == [1, 1, c] => {
            draft.alias(node, GraphValue::Layer { from, dims: dims.to_vec() });
        }
        [_] => {
            let layer = draft.push(node, layers::Flatten.into(), vec![from], &[&dims])?;
            if [height, width] != [1, 1] && channels != 1 {
                draft.alias(node, GraphValue::FlatChannelsLast { from: Some(layer), dims });
            }
        }
        _ => {
            return Err(format!(
                "[N, {height}, {width}, {channels}] to [N, {}]: expected [N, K]",
                list(&target)
            ));
        }
    }
    Ok(())
}

/// Translates Transpose of a layer's output to channels last.
pub(super) fn transpose<'a>(draft: &mut NetworkDraft<'a>, call: &Call<'a>) -> Result<(), String> {
    let (from, dims) = draft.layer(call.node, 0)?;
    let perm = call.attributes.ints("perm")?.unwrap_or_default();
    if dims.len() != 3 || *perm != TO_LAST {
        let expected = ints(&TO_LAST);
        return Err(format!("perm {} of [N, {}]: expected {expected}", ints(perm), list(&dims)));
    }
    take_over(draft, call);
    draft.alias(call.node, GraphValue::ChannelsLast(Box::new(GraphValue::Layer { from, dims })));
    Ok(())
}

/// Lets the layer whose output `call` alone reads, and only moves, be the one that produces its output.
fn take_over<'a>(draft: &mut NetworkDraft<'a>, call: &Call<'a>) {
    let (Some(input), Some(output)) = (call.node.input.first(), call.node.output.first()) else { return };
    if draft.graph.readers(input) == 1
        && let Some(layer) = draft.layers.iter_mut().rev().find(|layer| layer.output == input.as_str())
    {
        layer.output = output;
    }
}
