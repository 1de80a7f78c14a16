//! The operator Pad. Padding of features is merged into the following convolution or pool if its value is the one that the
//! operator pads with.

use super::super::schema::NodeProto;
use super::attributes::ints;
use super::draft::{Call, GraphValue, NetworkDraft};
use super::shape_tensor;
use crate::model::{LayerOp, layers};

/// A layer's output `[channels, height, width]` with `value` around it.
#[derive(Clone, Debug)]
pub struct Padded {
    from: Option<usize>,
    /// Shape without the padding.
    pub dims: [usize; 3],
    /// Top, left, bottom, right.
    pub sides: [usize; 4],
    value: f32,
}

/// The amounts that the Pad node `call` adds before and after each of `rank` axes (batch included), and the value.
pub(super) fn read<'a>(
    draft: &mut NetworkDraft<'a>,
    call: &Call<'a>,
    rank: usize,
) -> Result<(Vec<[usize; 2]>, f32), String> {
    let a = &call.attributes;
    let mode = a.text("mode", "constant")?;
    if mode != "constant" {
        return Err(format!("expected a padding of zeros or another number, found mode {mode:.40}"));
    }
    // Before operator set 11 the amounts are an attribute, since then the second input.
    let pads = match a.ints("pads")? {
        Some(pads) => pads.to_vec(),
        None => shape_tensor::read(draft, call, 1)?.known()?,
    };
    let value = match draft.constant(call.node, 2)? {
        Some(handle) => draft.constants.scalar(handle)?,
        None => a.float("value", 0.0)?,
    };
    let axes: Vec<i64> = match draft.value(call.node, 3)? {
        Some(_) => shape_tensor::read(draft, call, 3)?.known()?,
        None => (0..rank as i64).collect(),
    };
    let wrong = || {
        format!("expected a padding of 0 to 65536 at both ends of {} axes, found {}", axes.len(), ints(&pads))
    };
    if pads.len() != 2 * axes.len() {
        return Err(wrong());
    }
    let mut sides = vec![None; rank];
    for (i, &axis) in axes.iter().enumerate() {
        let axis = if axis < 0 { axis.saturating_add(rank as i64) } else { axis };
        let side = |n: i64| usize::try_from(n).ok().filter(|&n| n <= 1 << 16).ok_or_else(wrong);
        let slot = usize::try_from(axis).ok().and_then(|axis| sides.get_mut(axis)).ok_or_else(wrong)?;
        if slot.replace([side(pads[i])?, side(pads[axes.len() + i])?]).is_some() {
            return Err(wrong());
        }
    }
    Ok((sides.into_iter().map(Option::unwrap_or_default).collect(), value))
}

/// Translates a Pad of features.
pub(super) fn pad<'a>(draft: &mut NetworkDraft<'a>, call: &Call<'a>) -> Result<(), String> {
    let (from, dims) = draft.feature_map(call.node, 0)?;
    let (axes, value) = read(draft, call, 4)?;
    let [[0, 0], [0, 0], [top, bottom], [left, right]] = axes[..] else {
        return Err("expected a padding of height and width alone".into());
    };
    let sides = [top, left, bottom, right];
    if sides != [0; 4] && value == 0.0 && !is_merged(draft, call, from) {
        return draft
            .push(call.node, layers::Pad { padding: sides }.into(), vec![from], &[&dims])
            .map(|_| ());
    }
    draft.alias(call.node, padded(from, dims, sides, value));
    Ok(())
}

/// A layer's output of shape `dims` with `value` around it.
pub(super) fn padded<'a>(
    from: Option<usize>,
    dims: [usize; 3],
    sides: [usize; 4],
    value: f32,
) -> GraphValue<'a> {
    match sides {
        [0, 0, 0, 0] => GraphValue::Layer { from, dims: dims.to_vec() },
        _ => GraphValue::Padded(Padded { from, dims, sides, value }),
    }
}

/// Whether all readers of the zeros that `call` puts around the layer `from` can pad with zeros themselves. In our own files a
/// padding of zeros is a layer.
fn is_merged(draft: &NetworkDraft<'_>, call: &Call<'_>, from: Option<usize>) -> bool {
    let output = call.node.output.first().map_or("", String::as_str);
    let of_zeros = |node: &NodeProto| match node.op_type.as_str() {
        "Conv" | "AveragePool" => node.input.first().is_some_and(|x| x == output),
        "MaxPool" => is_positive(draft, from),
        _ => false,
    };
    !draft.is_ours && output != draft.graph.output && draft.graph.readers_of(output).all(of_zeros)
}

/// Whether no value of the layer is negative, so that a zero is the maximum only where all are 0.
fn is_positive(draft: &NetworkDraft<'_>, from: Option<usize>) -> bool {
    let op = from.and_then(|layer| draft.layers.get(layer)).map(|layer| &layer.op);
    matches!(
        op,
        Some(
            LayerOp::Relu(layers::Relu)
                | LayerOp::Relu6(layers::Relu6)
                | LayerOp::Sigmoid(layers::Sigmoid)
                | LayerOp::Softmax(layers::Softmax)
        )
    )
}

/// A layer (`None`: the network's input), its shape with padding, and that padding if there is any.
type PaddedInput = (Option<usize>, [usize; 3], Option<Padded>);

/// The first input of a convolution or pool, with the padding of a Pad node before it.
pub(super) fn padded_input<'a>(draft: &NetworkDraft<'a>, call: &Call<'a>) -> Result<PaddedInput, String> {
    match draft.value(call.node, 0)? {
        Some(GraphValue::Padded(padded)) => {
            let Padded { from, dims: [channels, height, width], sides: [top, left, bottom, right], .. } =
                *padded;
            Ok((from, [channels, height + top + bottom, width + left + right], Some(padded.clone())))
        }
        _ => draft.feature_map(call.node, 0).map(|(from, dims)| (from, dims, None)),
    }
}

impl Padded {
    /// `pads` plus the existing padding.
    pub fn combined_with(&self, pads: [usize; 4]) -> [usize; 4] {
        [0, 1, 2, 3].map(|side| self.sides[side] + pads[side])
    }

    /// Returns an error unless the value is the one that convolutions and averages (0) or maxima (-inf) pad with.
    pub fn check(&self, draft: &NetworkDraft<'_>, is_maximum: bool) -> Result<(), String> {
        let value = self.value;
        let (good, expected) = match is_maximum {
            true => (value <= f32::MIN || (value == 0.0 && is_positive(draft, self.from)), "-inf"),
            false => (value == 0.0, "0"),
        };
        if good { Ok(()) } else { Err(format!("reads padding of {value}: expected {expected}")) }
    }
}
