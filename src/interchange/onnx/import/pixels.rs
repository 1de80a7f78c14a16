//! Preprocessing: the nodes that our own export puts before the network (Cast, Transpose, Mul, Add), arithmetic of the
//! input with constants (Sub, Div, Mul, Add), and the metadata about it. All become the table `[preprocess]`.

use super::super::schema::data_type;
use super::constants::Handle;
use super::draft::{Call, GraphValue, NetworkDraft};
use crate::model::Preprocess;
use std::collections::BTreeMap;

/// Images on their way to the network's input.
#[derive(Clone, Debug)]
pub struct Pixels {
    stage: PixelStage,
    /// Channels, height, width.
    dims: [usize; 3],
    /// Factor per channel, after the Mul.
    factor: Option<Vec<f32>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PixelStage {
    /// u8 `[N, H, W, C]`.
    Bytes,
    /// f32 `[N, H, W, C]`.
    Floats,
    /// f32 `[N, C, H, W]`.
    Planes,
}

/// x = pixel * factor + offset, with one factor and offset per channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Affine {
    pub factor: Vec<f32>,
    pub offset: Vec<f32>,
    /// Whether it applies to pixels of 0 to 255; otherwise it applies to a floating-point input of unknown range.
    pub of_pixels: bool,
}

impl Pixels {
    /// An input of images, u8 `[N, height, width, channels]`.
    pub fn new([channels, height, width]: [usize; 3]) -> Self {
        Pixels { stage: PixelStage::Bytes, dims: [channels, height, width], factor: None }
    }
}

const EXPECTED: &str = "expected images to pass through Cast, Transpose, Mul and Add";

/// Translates Cast, Transpose and Mul of images.
pub(super) fn step<'a>(draft: &mut NetworkDraft<'a>, call: &Call<'a>, pixels: Pixels) -> Result<(), String> {
    let (node, a) = (call.node, &call.attributes);
    let next = match (node.op_type.as_str(), pixels.stage) {
        ("Cast", PixelStage::Bytes) if a.int("to", 0)? == i64::from(data_type::FLOAT) => {
            Pixels { stage: PixelStage::Floats, ..pixels }
        }
        ("Transpose", PixelStage::Floats) if a.ints("perm")? == Some(&[0, 3, 1, 2]) => {
            Pixels { stage: PixelStage::Planes, ..pixels }
        }
        ("Mul", PixelStage::Planes) if pixels.factor.is_none() => {
            let constant = (0..2).find_map(|position| draft.constant(node, position).ok().flatten());
            let factor = draft.constants.per_channel(constant.ok_or(EXPECTED)?, 4, pixels.dims[0])?;
            Pixels { factor: Some(factor), ..pixels }
        }
        _ => return Err(EXPECTED.into()),
    };
    draft.alias(node, GraphValue::Pixels(next));
    Ok(())
}

/// Translates the final Add, whose output is the network's input.
pub(super) fn add<'a>(
    draft: &mut NetworkDraft<'a>,
    call: &Call<'a>,
    pixels: Pixels,
    handle: Handle<'a>,
) -> Result<(), String> {
    let (Some(factor), PixelStage::Planes, None) = (pixels.factor, pixels.stage, &draft.affine) else {
        return Err(EXPECTED.into());
    };
    let offset = draft.constants.per_channel(handle, 4, pixels.dims[0])?;
    if !factor.iter().all(|value| value.is_normal() && *value > 0.0)
        || !offset.iter().all(|value| value.is_finite())
    {
        return Err("expected images to be scaled by numbers other than 0".into());
    }
    draft.affine = Some(Affine { factor, offset, of_pixels: true });
    draft.alias(call.node, GraphValue::Layer { from: None, dims: pixels.dims.to_vec() });
    Ok(())
}

/// True if `call` combines the network's input with a constant. Nothing else may read the input, because the network
/// starts after this node.
pub(super) fn is_arithmetic(draft: &NetworkDraft<'_>, call: &Call<'_>) -> bool {
    let [a, b] = call.node.input.as_slice() else { return false };
    let value = |name: &String| draft.values.get(name.as_str());
    // Identity and similar nodes give the input further names.
    let names =
        draft.values.iter().filter(|(_, value)| matches!(value, GraphValue::Layer { from: None, .. }));
    let is_read_once = names.clone().all(|(name, _)| draft.graph.readers(name) == 1);
    let is_input = |name: &String| {
        matches!(value(name), Some(GraphValue::Layer { from: None, dims }) if dims.len() == 3)
            && is_read_once
            && draft.affine.as_ref().is_none_or(|affine| !affine.of_pixels)
    };
    let is_constant = |name: &String| matches!(value(name), Some(GraphValue::Constant(_)));
    (is_input(a) && is_constant(b)) || (is_constant(a) && is_input(b))
}

/// Translates Add, Sub, Mul or Div of the network's input and a constant: one number, or one per channel.
pub(super) fn arithmetic<'a>(draft: &mut NetworkDraft<'a>, call: &Call<'a>) -> Result<(), String> {
    let node = call.node;
    let (input, constant) = if draft.layer(node, 0).is_ok() { (0, 1) } else { (1, 0) };
    let (from, dims) = draft.layer(node, input)?;
    let handle = draft.weight(node, constant)?;
    let numbers = draft.constants.per_channel(handle, 4, dims[0])?;
    let identity = || Affine { factor: vec![1.0; dims[0]], offset: vec![0.0; dims[0]], of_pixels: false };
    let mut affine = draft.affine.clone().unwrap_or_else(identity);
    let channels = affine.factor.iter_mut().zip(&mut affine.offset).zip(numbers);
    for ((factor, offset), number) in channels {
        (*factor, *offset) = match (node.op_type.as_str(), input) {
            ("Add", _) => (*factor, *offset + number),
            ("Sub", 0) => (*factor, *offset - number),
            ("Sub", _) => (-*factor, number - *offset),
            ("Mul", _) => (*factor * number, *offset * number),
            ("Div", 0) => (*factor / number, *offset / number),
            _ => return Err("divides by the input".into()),
        };
        if !factor.is_normal() || !offset.is_finite() {
            return Err("expected the input to be scaled by numbers other than 0".into());
        }
    }
    draft.affine = Some(affine);
    draft.alias(node, GraphValue::Layer { from, dims });
    Ok(())
}

/// The preprocessing that the graph (`affine`) and the metadata describe. Metadata that does not fit the input is ignored.
pub(super) fn preprocess(
    metadata: &BTreeMap<String, String>,
    [channels, height, width]: [usize; 3],
    affine: Option<&Affine>,
    default: Preprocess,
) -> Preprocess {
    let number = |key: &str| metadata.get(key).and_then(|text| text.parse::<f32>().ok());
    let whole = |key: &str| metadata.get(key).and_then(|text| text.parse::<usize>().ok());
    let list = |key: &str| {
        let list = metadata.get(key).and_then(|text| serde_json::from_str::<Vec<f32>>(text).ok());
        list.filter(|list| list.len() == channels && list.iter().all(|value| value.is_finite()))
    };
    let resize = whole("resize").filter(|&resize| (height.max(width)..=1 << 14).contains(&resize));
    let described = Preprocess {
        resize,
        square: resize.is_some() && metadata.get("square").is_some_and(|text| text == "true"),
        crop: whole("crop").filter(|&crop| [crop, crop] == [height, width]),
        scale: number("scale").filter(|scale| scale.is_finite()).unwrap_or(default.scale),
        mean: list("mean").unwrap_or_else(|| default.mean.clone()),
        std: list("std").filter(|std| !std.contains(&0.0)).unwrap_or_else(|| default.std.clone()),
        ..default
    };
    let Some(affine) = affine.filter(|affine| affine_of(&described) != **affine) else { return described };
    if !affine.of_pixels {
        return combine(affine, described, number("scale").is_none());
    }
    // (pixel * scale - mean) / std = pixel * factor + offset, for every scale; 1/255 is the usual one.
    let scale = if affine.factor.iter().any(|factor| factor.abs() > 0.25) { 1.0 } else { 1.0 / 255.0 };
    let std: Vec<f32> = affine.factor.iter().map(|factor| scale / factor).collect();
    let mean = affine.offset.iter().zip(&std).map(|(offset, std)| -offset * std).collect();
    Preprocess { scale, mean, std, ..described }
}

/// Composes `before` with the arithmetic of the graph on its input. If the metadata has no scale (`is_open`), the input is
/// assumed to be pixels of 0 to 255 if the graph subtracts or divides by numbers of that size, and of 0 to 1 otherwise.
fn combine(affine: &Affine, before: Preprocess, is_open: bool) -> Preprocess {
    let each = || affine.factor.iter().zip(&affine.offset).map(|(f, o)| (f64::from(*f), f64::from(*o)));
    let is_bytes =
        is_open && (each().any(|(f, o)| (o / f).abs() > 2.0) || each().all(|(f, _)| f.abs() < 0.05));
    let scale = if is_bytes { 1.0 } else { before.scale };
    // ((p - m) / s) f + o = (p - (m - o s / f)) / (s / f)
    let (mut mean, mut std) = (Vec::new(), Vec::new());
    for ((f, o), (m, s)) in each().zip(before.mean.iter().zip(&before.std)) {
        let wide = f64::from(*s) / f;
        mean.push((f64::from(*m) - o * wide) as f32);
        std.push(wide as f32);
    }
    Preprocess { scale, mean, std, ..before }
}

/// The arithmetic in the exported graph of a network with the preprocessing `p`.
fn affine_of(p: &Preprocess) -> Affine {
    Affine {
        factor: p.std.iter().map(|std| p.scale / std).collect(),
        offset: p.mean.iter().zip(&p.std).map(|(mean, std)| -mean / std).collect(),
        of_pixels: true,
    }
}
