//! Resize and Upsample: repetition of elements by whole factors.

use super::draft::{Call, NetworkDraft, list};
use super::shape_tensor;
use crate::model::layers;

/// Translates Resize (operator set 10 and later) and Upsample (before).
pub fn resize<'a>(draft: &mut NetworkDraft<'a>, call: &Call<'a>) -> Result<(), String> {
    let (node, a) = (call.node, &call.attributes);
    let (from, dims) = draft.feature_map(node, 0)?;
    let mode = a.text("mode", "nearest")?;
    if mode != "nearest" {
        return Err(format!("expected mode nearest, found {mode:.40}"));
    }
    // Upsample, and Resize of operator set 10, take the element at the rounded down quotient.
    let is_new = node.op_type == "Resize" && draft.opset >= 11;
    if is_new {
        let coordinates = a.text("coordinate_transformation_mode", "half_pixel")?;
        let rounding = a.text("nearest_mode", "round_prefer_floor")?;
        // The centre of a copy is less than half an element away from the centre of its element.
        let is_repetition = match coordinates {
            "asymmetric" => rounding == "floor",
            "half_pixel" | "half_pixel_symmetric" | "pytorch_half_pixel" => {
                rounding == "round_prefer_floor" || rounding == "round_prefer_ceil"
            }
            _ => false,
        };
        if !is_repetition {
            return Err(format!(
                "expected coordinates asymmetric with floor, or half_pixel with round_prefer_floor, found {coordinates:.40} with {rounding:.40}"
            ));
        }
        a.float("cubic_coeff_a", -0.75)?;
        a.int("exclude_outside", 0)?;
        a.float("extrapolation_value", 0.0)?;
        a.int("antialias", 0)?;
        if a.text("keep_aspect_ratio_policy", "stretch")? != "stretch" || a.ints("axes")?.is_some() {
            return Err("expected all axes, stretched".into());
        }
    }
    let position = if is_new { 2 } else { 1 };
    let scales = match draft.constant(node, position)? {
        Some(handle) if draft.constants.dims(handle)? != [0] => draft.constants.floats(handle)?.into_data(),
        _ if node.op_type == "Upsample" => a.floats("scales")?.unwrap_or_default().to_vec(),
        _ => Vec::new(),
    };
    let factors = match scales.as_slice() {
        [] => sizes(draft, call, &dims)?,
        &[batch, channels, rows, columns] if batch == 1.0 && channels == 1.0 => [rows, columns],
        other => return Err(format!("expected scales [1, 1, rows, columns], found {} numbers", other.len())),
    };
    let most = layers::Upsample::MOST as f32;
    if factors.iter().any(|&n| n.fract() != 0.0 || !(1.0..=most).contains(&n)) {
        return Err(format!("expected whole scales of 1 to {most}, found {factors:?}"));
    }
    let scale_factor = factors.map(|n| n as usize);
    draft.push(node, layers::Upsample { scale_factor }.into(), vec![from], &[&dims]).map(|_| ())
}

/// The scales that make the output as large as the fourth input says.
fn sizes<'a>(draft: &mut NetworkDraft<'a>, call: &Call<'a>, dims: &[usize; 3]) -> Result<[f32; 2], String> {
    let found = shape_tensor::read(draft, call, 3)?.list;
    let known = |at: usize| match found.get(at) {
        Some(shape_tensor::Dim::Known(n)) => usize::try_from(*n).ok(),
        _ => None,
    };
    let (Some(channels), Some(rows), Some(columns), 4) = (known(1), known(2), known(3), found.len()) else {
        return Err("expected sizes [N, C, H, W]".into());
    };
    let [c, h, w] = *dims;
    if channels != c || h == 0 || w == 0 {
        return Err(format!("sizes of {channels} channels do not fit [N, {}]", list(dims)));
    }
    Ok([rows as f32 / h as f32, columns as f32 / w as f32])
}
