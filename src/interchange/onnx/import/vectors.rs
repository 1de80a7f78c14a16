//! Flat values `[N, K]` that a file sees as `[N, K, 1, 1]` or `[N, 1, 1, K]`: what linear layers compute for each channel of a
//! map, as in squeeze-and-excitation blocks.

use super::attributes::ints;
use super::draft::{Call, GraphValue, NetworkDraft, list};
use super::layouts::{rewrap, translate_as};
use super::shapes;
use crate::model::{LayerOp, layers};

/// Translates a change of shape of a vector of `len` features.
pub(super) fn reshape<'a>(
    draft: &mut NetworkDraft<'a>,
    call: &Call<'a>,
    from: Option<usize>,
    len: usize,
) -> Result<(), String> {
    let is_flat = match call.node.op_type.as_str() {
        "Reshape" => match shapes::target(draft, call, &[len, 1, 1])?.as_slice() {
            [_] => true,
            [k, 1, 1] | [1, 1, k] if *k == len => false,
            other => return Err(format!("[N, {len}, 1, 1] to [N, {}]: expected [N, K]", list(other))),
        },
        "Flatten" if call.attributes.int("axis", 1)? == 1 => true,
        "Squeeze" => {
            let axes = shapes::axes(draft, call)?.unwrap_or_default();
            let places: Vec<i64> = axes.iter().map(|axis| axis.rem_euclid(4)).collect();
            if places.len() != 2 || places.contains(&0) || places[0] == places[1] {
                return Err(format!(
                    "axes {} of [N, {len}, 1, 1]: expected axes that leave [N, K]",
                    ints(&axes)
                ));
            }
            true
        }
        // [N, K, 1, 1] and [N, 1, 1, K] are seen as the same.
        "Transpose" if call.attributes.ints("perm")?.and_then(<[i64]>::first) == Some(&0) => false,
        op => return Err(format!("{op} of [N, {len}, 1, 1]: expected the batch to remain the first axis")),
    };
    let value = match is_flat {
        true => GraphValue::Layer { from, dims: vec![len] },
        false => GraphValue::Vector { from, len },
    };
    draft.alias(call.node, value);
    Ok(())
}

/// Translates a node that treats all elements alike and reads flat values seen as `[N, K, 1, 1]`.
pub(super) fn elementwise<'a>(draft: &mut NetworkDraft<'a>, call: &Call<'a>) -> Result<(), String> {
    let node = call.node;
    // With a map the value is a factor for each channel; else all remain flat.
    let is_map = |name: &String| matches!(draft.values.get(name.as_str()), Some(GraphValue::Layer { dims, .. }) if dims.len() == 3);
    let has_map = node.input.iter().any(is_map);
    if has_map && node.op_type != "Mul" {
        return Err("[N, K, 1, 1] of a flat value is supported only as a factor for each channel".into());
    }
    let mut replaced = Vec::new();
    for name in &node.input {
        match draft.values.get(name.as_str()) {
            Some(GraphValue::Vector { from, len }) => {
                let dims = if has_map { vec![*len, 1, 1] } else { vec![*len] };
                replaced.push((name.as_str(), GraphValue::Layer { from: *from, dims }));
            }
            Some(GraphValue::Constant(handle)) if !has_map => {
                let dims = draft.constants.dims(*handle)?;
                if dims.iter().any(|&d| d != 1) {
                    return Err("combines a flat value, seen as [N, K, 1, 1], with a list of numbers".into());
                }
            }
            _ if has_map => {}
            _ => return Err("combines a flat value, seen as [N, K, 1, 1], with another one".into()),
        }
    }
    translate_as(draft, call, replaced)?;
    if has_map {
        return Ok(());
    }
    rewrap(draft, call, |value| match value {
        GraphValue::Layer { from, dims } => Some(GraphValue::Vector { from, len: dims[0] }),
        _ => None,
    })
}

/// Translates Unsqueeze of a flat value to `[N, K, 1, 1]` or `[N, 1, 1, K]`.
pub(super) fn unsqueeze<'a>(
    draft: &mut NetworkDraft<'a>,
    call: &Call<'a>,
    from: Option<usize>,
    dims: &[usize],
) -> Result<(), String> {
    let axes = shapes::axes(draft, call)?.ok_or("expected axes")?;
    let rank = (dims.len() + axes.len()) as i64 + 1;
    let mut places: Vec<i64> =
        axes.iter().map(|&axis| if axis < 0 { axis.saturating_add(rank) } else { axis }).collect();
    places.sort_unstable();
    match (dims, places.as_slice()) {
        (&[len], [2, 3] | [1, 2]) => {
            raise(draft, call, from, len);
            Ok(())
        }
        _ => Err(format!(
            "axes {} of [N, {}]: expected [N, K] to become [N, K, 1, 1]",
            ints(&axes),
            list(dims)
        )),
    }
}

/// Sees a flat value as `[N, len, 1, 1]`: as the map that it was before a flatten, or else as a vector.
pub(super) fn raise<'a>(draft: &mut NetworkDraft<'a>, call: &Call<'a>, from: Option<usize>, len: usize) {
    let above =
        from.map(|layer| &draft.layers[layer]).filter(|layer| layer.op == LayerOp::Flatten(layers::Flatten));
    // A pool or another layer with a single position; the input of a flatten is not kept with its shape.
    let map = above.and_then(|flatten| flatten.inputs.first().copied().flatten());
    let value = match map.filter(|&map| draft.layers[map].channels == len) {
        Some(map) => GraphValue::Layer { from: Some(map), dims: vec![len, 1, 1] },
        None => GraphValue::Vector { from, len },
    };
    draft.alias(call.node, value);
}
