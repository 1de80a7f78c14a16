//! The single input of a network: its shape and type.

use super::super::schema::{Dimension, ValueInfoProto, data_type};
use super::ImportOptions;
use super::attributes::short;
use super::draft::{GraphValue, NetworkDraft};
use super::pixels::Pixels;
use crate::model::{LayerOp, layers};

/// Declares the graph's input and returns its channels, height and width.
pub(super) fn declare<'a>(
    draft: &mut NetworkDraft<'a>,
    options: &ImportOptions,
) -> Result<[usize; 3], String> {
    let used: Vec<&'a ValueInfoProto> =
        draft.graph.inputs.iter().copied().filter(|input| draft.graph.readers(&input.name) > 0).collect();
    let [input] = used.as_slice() else {
        let names: Vec<String> = used.iter().take(8).map(|input| short(&input.name)).collect();
        return Err(format!("expected one input that is used, found {} ({})", used.len(), names.join(", ")));
    };
    let name = short(&input.name);
    let wrong = |what: String| format!("input {name}: {what}");
    let tensor = input.r#type.as_ref().and_then(|kind| kind.tensor_type.as_ref());
    let kind = tensor.map_or(data_type::FLOAT, |tensor| tensor.elem_type);
    let is_bytes = kind == data_type::UINT8;
    match kind {
        data_type::FLOAT | data_type::UINT8 => {}
        data_type::FLOAT16 | data_type::BFLOAT16 | data_type::DOUBLE => {
            draft.note("the file uses another precision; the import converts it to f32");
        }
        other => {
            return Err(wrong(format!("expected floating-point numbers or u8, found data type {other}")));
        }
    }
    let extents = tensor.and_then(|tensor| tensor.shape.as_ref()).map(|shape| shape.dim.as_slice());
    let extents = match extents {
        Some(dims) => dims.iter().map(extent).collect::<Result<Vec<_>, _>>().map_err(wrong)?,
        None => vec![None; 4],
    };
    let Some((batch, rest)) = extents.split_first() else {
        return Err(wrong("expected [N, C, H, W]".into()));
    };
    draft.batch = *batch;
    let is_last = !is_bytes && is_channels_last(draft, &input.name);
    let asked = options.input.map(|input| input.map(Some)).unwrap_or_default();
    let (given, is_flat) = match *rest {
        [h, w, c] if is_bytes || is_last => ([c, h, w], false),
        [c, h, w] => ([c, h, w], false),
        [k] if !is_bytes => ([k, Some(1), Some(1)], true),
        _ => return Err(wrong(format!("expected [N, C, H, W] or [N, K], found {} extents", extents.len()))),
    };
    let mut dims = [0; 3];
    for ((dim, given), asked) in dims.iter_mut().zip(given).zip(asked) {
        *dim = match (given, asked) {
            (Some(given), Some(asked)) if given != asked => {
                return Err(wrong(format!(
                    "expected {given} as in the file, found {asked} in the option input"
                )));
            }
            (Some(n), _) | (None, Some(n)) if (1..=1 << 16).contains(&n) => n,
            (Some(n), _) | (None, Some(n)) => {
                return Err(wrong(format!("expected extents of 1 to 65536, found {n}")));
            }
            (None, None) => {
                let what =
                    "the file leaves channels, height or width open; set them with the option input (C,H,W)";
                return Err(wrong(what.into()));
            }
        };
    }
    let name = input.name.as_str();
    if is_bytes {
        draft.values.insert(name, GraphValue::Pixels(Pixels::new(dims)));
    } else if is_flat {
        draft.note("the input is a vector; it is imported as [K, 1, 1] followed by a flatten layer");
        draft.append("flatten", name, LayerOp::Flatten(layers::Flatten), vec![None], &[&dims])?;
    } else {
        let input = GraphValue::Layer { from: None, dims: dims.to_vec() };
        draft.values.insert(name, if is_last { GraphValue::ChannelsLast(Box::new(input)) } else { input });
    }
    Ok(dims)
}

/// True if the value `name` is `[N, H, W, C]`: it is transposed to `[N, C, H, W]`, perhaps after arithmetic.
fn is_channels_last(draft: &NetworkDraft<'_>, name: &str) -> bool {
    let mut name = name;
    // Arithmetic of more steps than this is no preprocessing.
    for _ in 0..16 {
        let mut readers =
            draft.graph.nodes.iter().filter(|node| node.input.iter().any(|input| input == name));
        let (Some(node), None) = (readers.next(), readers.next()) else { return false };
        match node.op_type.as_str() {
            "Add" | "Cast" | "Div" | "Identity" | "Mul" | "Sub" => {}
            "Transpose" => {
                let perm = node.attribute.iter().find(|attribute| attribute.name == "perm");
                return perm.is_some_and(|perm| perm.ints == [0, 3, 1, 2]);
            }
            _ => return false,
        }
        let Some(output) = node.output.first() else { return false };
        name = output;
    }
    false
}

/// The size of a dimension, if the file fixes it.
fn extent(dim: &Dimension) -> Result<Option<usize>, String> {
    match dim.dim_value {
        None => Ok(None),
        // Some exporters write 0 or -1 for an open dimension.
        Some(0 | -1) => Ok(None),
        Some(n) => match usize::try_from(n) {
            Ok(n) => Ok(Some(n)),
            Err(_) => Err(format!("expected extents of 1 to 65536, found {n}")),
        },
    }
}
