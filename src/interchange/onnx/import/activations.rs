//! Activations whose attributes need more than a look.

use super::attributes::short;
use super::draft::{Call, GraphValue, NetworkDraft};
use crate::model::{LayerOp, layers};
use crate::tensor::Tensor;

/// The limits of Clip, which are attributes before operator set 11 and inputs since; the largest numbers where it has none.
pub(super) fn limits<'a>(draft: &mut NetworkDraft<'a>, call: &Call<'a>) -> Result<(f32, f32), String> {
    let (mut min, mut max) = (f32::MIN, f32::MAX);
    if draft.opset < 11 {
        (min, max) = (call.attributes.float("min", min)?, call.attributes.float("max", max)?);
    } else {
        for (limit, position) in [(&mut min, 1), (&mut max, 2)] {
            if let Some(handle) = draft.constant(call.node, position)? {
                *limit = draft.constants.scalar(handle)?;
            }
        }
    }
    if min.is_nan() || max.is_nan() { Err("expected limits, found NaN".into()) } else { Ok((min, max)) }
}

/// Translates Clip. Limits beyond all finite numbers are none.
pub fn clip<'a>(draft: &mut NetworkDraft<'a>, call: &Call<'a>) -> Result<(), String> {
    let node = call.node;
    let (min, max) = limits(draft, call)?;
    let (from, dims) = draft.layer(node, 0)?;
    let op: LayerOp = match (min <= f32::MIN, max >= f32::MAX) {
        (true, true) => {
            draft.alias(node, GraphValue::Layer { from, dims });
            return Ok(());
        }
        _ if min >= max || min.is_nan() || max.is_nan() => {
            return Err(format!("expected min less than max, found {min} and {max}"));
        }
        _ if (min, max) == (0.0, 6.0) => layers::Relu6.into(),
        (no_min, no_max) => layers::Clip {
            min: if no_min { f32::NEG_INFINITY } else { min },
            max: if no_max { f32::INFINITY } else { max },
        }
        .into(),
    };
    draft.push(node, op, vec![from], &[&dims]).map(|_| ())
}

/// Translates HardSigmoid. A slope that differs from 1/6 by a rounding is PyTorch's.
pub fn hard_sigmoid<'a>(draft: &mut NetworkDraft<'a>, call: &Call<'a>) -> Result<(), String> {
    let (mut alpha, beta) = (call.attributes.float("alpha", 0.2)?, call.attributes.float("beta", 0.5)?);
    let sixth = layers::HardSigmoid::PYTORCH.alpha;
    if (alpha - sixth).abs() <= sixth * f32::EPSILON {
        alpha = sixth;
    }
    draft.push_unary(call.node, layers::HardSigmoid { alpha, beta }.into())
}

/// Translates Gelu, an operator from operator set 20 on.
pub fn gelu<'a>(draft: &mut NetworkDraft<'a>, call: &Call<'a>) -> Result<(), String> {
    let tanh = match call.attributes.text("approximate", "none")? {
        "none" => false,
        "tanh" => true,
        other => return Err(format!("attribute approximate: expected none or tanh, found {}", short(other))),
    };
    draft.push_unary(call.node, layers::Gelu { tanh }.into())
}

/// Translates PRelu, whose slopes are one number, or one for each channel.
pub fn prelu<'a>(draft: &mut NetworkDraft<'a>, call: &Call<'a>) -> Result<(), String> {
    let node = call.node;
    let (from, dims) = draft.layer(node, 0)?;
    let channels = dims.first().copied().ok_or("expected an input with channels")?;
    let handle = draft.weight(node, 1)?;
    let is_single = draft.constants.dims(handle)?.iter().all(|&d| d == 1);
    // Checks that the shape is one of channels.
    draft.constants.per_channel(handle, dims.len() + 1, channels)?;
    let slopes = draft.own_weights(handle)?.into_data();
    let num_parameters = if is_single { 1 } else { channels };
    let slopes = Tensor::new([num_parameters], slopes).map_err(|error| error.to_string())?;
    let layer = draft.push(node, layers::Prelu { num_parameters }.into(), vec![from], &[&dims])?;
    draft.layers[layer].weight = Some(handle.name);
    draft.layers[layer].tensors.push(("weight", slopes));
    Ok(())
}
