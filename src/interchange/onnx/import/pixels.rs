//! What is done to pictures before the network: the nodes that our own export puts before it (Cast, Transpose, Mul, Add), and the notes of
//! a file about it. Both become the table `[preprocess]`.

use super::super::schema::data_type;
use super::constants::Handle;
use super::draft::{Call, Draft, Value};
use crate::model::Preprocess;
use std::collections::BTreeMap;

/// Pictures on their way to the network's input.
#[derive(Clone, Debug)]
pub(super) struct Pixels {
    stage: Stage,
    /// Channels, height, width.
    dims: [usize; 3],
    factor: Option<Vec<f32>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// u8 `[N, H, W, C]`.
    Bytes,
    /// f32 `[N, H, W, C]`.
    Floats,
    /// f32 `[N, C, H, W]`.
    Planes,
}

/// x = pixel * factor + offset, a number for each channel.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Affine {
    pub factor: Vec<f32>,
    pub offset: Vec<f32>,
}

impl Pixels {
    /// An input of pictures, u8 `[N, height, width, channels]`.
    pub fn new([channels, height, width]: [usize; 3]) -> Self {
        Pixels { stage: Stage::Bytes, dims: [channels, height, width], factor: None }
    }
}

const EXPECTED: &str = "expected pictures to go through Cast, Transpose, Mul and Add";

/// Cast, Transpose and Mul of pictures.
pub(super) fn step<'a>(draft: &mut Draft<'a>, call: &Call<'a>, pixels: Pixels) -> Result<(), String> {
    let (node, a) = (call.node, &call.attributes);
    let next = match (node.op_type.as_str(), pixels.stage) {
        ("Cast", Stage::Bytes) if a.int("to", 0)? == i64::from(data_type::FLOAT) => {
            Pixels { stage: Stage::Floats, ..pixels }
        }
        ("Transpose", Stage::Floats) if a.ints("perm")? == Some(&[0, 3, 1, 2]) => {
            Pixels { stage: Stage::Planes, ..pixels }
        }
        ("Mul", Stage::Planes) if pixels.factor.is_none() => {
            let constant = (0..2).find_map(|position| draft.constant(node, position).ok().flatten());
            let factor = draft.constants.per_channel(constant.ok_or(EXPECTED)?, 4, pixels.dims[0])?;
            Pixels { factor: Some(factor), ..pixels }
        }
        _ => return Err(EXPECTED.into()),
    };
    draft.alias(node, Value::Pixels(next));
    Ok(())
}

/// The last step: its output is the network's input.
pub(super) fn add<'a>(
    draft: &mut Draft<'a>,
    call: &Call<'a>,
    pixels: Pixels,
    handle: Handle<'a>,
) -> Result<(), String> {
    let (Some(factor), Stage::Planes, None) = (pixels.factor, pixels.stage, &draft.affine) else {
        return Err(EXPECTED.into());
    };
    let offset = draft.constants.per_channel(handle, 4, pixels.dims[0])?;
    if !factor.iter().all(|value| value.is_normal()) || !offset.iter().all(|value| value.is_finite()) {
        return Err("expected pictures to be scaled by numbers other than 0".into());
    }
    draft.affine = Some(Affine { factor, offset });
    draft.alias(call.node, Value::Layer { from: None, dims: pixels.dims.to_vec() });
    Ok(())
}

/// What is done to pictures, by the graph (`affine`) and the notes. A note that does not fit the input is passed over.
pub(super) fn preprocess(
    notes: &BTreeMap<String, String>,
    [channels, height, width]: [usize; 3],
    affine: Option<&Affine>,
    default: Preprocess,
) -> Preprocess {
    let number = |key: &str| notes.get(key).and_then(|text| text.parse::<f32>().ok());
    let whole = |key: &str| notes.get(key).and_then(|text| text.parse::<usize>().ok());
    let list = |key: &str| {
        let list = notes.get(key).and_then(|text| serde_json::from_str::<Vec<f32>>(text).ok());
        list.filter(|list| list.len() == channels && list.iter().all(|value| value.is_finite()))
    };
    let resize = whole("resize").filter(|&resize| (height.max(width)..=1 << 14).contains(&resize));
    let noted = Preprocess {
        resize,
        square: resize.is_some() && notes.get("square").is_some_and(|text| text == "true"),
        crop: whole("crop").filter(|&crop| [crop, crop] == [height, width]),
        scale: number("scale").filter(|scale| scale.is_finite()).unwrap_or(default.scale),
        mean: list("mean").unwrap_or_else(|| default.mean.clone()),
        std: list("std").filter(|std| !std.contains(&0.0)).unwrap_or_else(|| default.std.clone()),
        ..default
    };
    let Some(affine) = affine.filter(|affine| affine_of(&noted) != **affine) else { return noted };
    // (pixel * scale - mean) / std = pixel * factor + offset, for every scale; 1/255 is the usual one.
    let scale = if affine.factor.iter().any(|factor| factor.abs() > 0.25) { 1.0 } else { 1.0 / 255.0 };
    let std: Vec<f32> = affine.factor.iter().map(|factor| scale / factor).collect();
    let mean = affine.offset.iter().zip(&std).map(|(offset, std)| -offset * std).collect();
    Preprocess { scale, mean, std, ..noted }
}

/// What the graph of a network with this preprocessing says.
fn affine_of(p: &Preprocess) -> Affine {
    Affine {
        factor: p.std.iter().map(|std| p.scale / std).collect(),
        offset: p.mean.iter().zip(&p.std).map(|(mean, std)| -mean / std).collect(),
    }
}
