//! Convolutions and pools: operators with windows over height and width.

use super::super::schema::NodeProto;
use super::attributes::{Attributes, sizes};
use super::averages;
use super::constants::Handle;
use super::draft::{Call, GraphValue, NetworkDraft, list};
use super::padding;
use crate::model::{LayerOp, layers};
use crate::tensor::Tensor;

/// The window attributes of a node.
struct WindowAttributes {
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    /// Top, left, bottom, right, in ONNX's order.
    pads: [usize; 4],
}

impl WindowAttributes {
    /// Reads the attributes that all window operators share, for an input of height and width `extents`.
    fn read(a: &Attributes<'_>, kernel: [usize; 2], extents: [usize; 2]) -> Result<Self, String> {
        let stride = a.sizes("strides", 1, 1)?;
        let dilation: [usize; 2] = a.sizes("dilations", 1, 1)?;
        let given: [usize; 4] = a.sizes("pads", 0, 0)?;
        let mode = a.text("auto_pad", "NOTSET")?;
        let pads = match mode {
            "NOTSET" => given,
            "VALID" => [0; 4],
            "SAME_UPPER" | "SAME_LOWER" => {
                let mut pads = [0; 4];
                for axis in 0..2 {
                    // SAME: one window per stride that starts in the input.
                    let windows = extents[axis].div_ceil(stride[axis]);
                    let span = dilation[axis] * (kernel[axis] - 1) + 1;
                    let total = (windows.max(1) - 1) * stride[axis] + span;
                    let total = total.saturating_sub(extents[axis]);
                    let (small, large) = (total / 2, total - total / 2);
                    let [before, after] = if mode == "SAME_UPPER" { [small, large] } else { [large, small] };
                    (pads[axis], pads[axis + 2]) = (before, after);
                }
                pads
            }
            other => return Err(format!("attribute auto_pad: unknown value {other:.40}")),
        };
        Ok(WindowAttributes { kernel, stride, dilation, pads })
    }
}

/// Translates a convolution with constant weights.
pub fn conv<'a>(draft: &mut NetworkDraft<'a>, call: &Call<'a>) -> Result<(), String> {
    let (node, a) = (call.node, &call.attributes);
    let (from, [channels, height, width], padding) = padding::padded_input(draft, call)?;
    let handle = draft.weight(node, 1)?;
    let dims = draft.constants.dims(handle)?;
    let [out_channels, depth, kh, kw] = *dims.as_slice() else {
        return Err(format!("expected weights [out, in, height, width], found [{}]", list(&dims)));
    };
    let as_given = [kh as i64, kw as i64];
    let kernel: [usize; 2] = sizes("kernel_shape", a.ints("kernel_shape")?.unwrap_or(&as_given), 1)?;
    if kernel != [kh, kw] {
        return Err(format!("kernel_shape {kernel:?} is not that of the weights [{}]", list(&dims)));
    }
    let groups = a.int("group", 1)?;
    let groups = usize::try_from(groups).ok().filter(|g| (1..=1 << 16).contains(g));
    let groups = groups.ok_or("attribute group: expected 1 to 65536")?;
    if depth.checked_mul(groups) != Some(channels) {
        return Err(format!("weights [{}] in {groups} groups do not fit {channels} channels", list(&dims)));
    }
    let w = WindowAttributes::read(a, kernel, [height, width])?;
    let (pads, inner) = match &padding {
        Some(padded) => {
            padded.check(draft, false)?;
            (padded.combined_with(w.pads), padded.dims)
        }
        None => (w.pads, [channels, height, width]),
    };
    let bias = bias(draft, node, out_channels)?;
    let is_one = kernel == [1, 1] && w.stride == [1, 1] && pads == [0; 4] && groups == 1;
    if is_one && draft.constants.file_dims(handle)? == [out_channels, depth] {
        return position_wise(draft, node, from, &inner, handle, bias);
    }
    let op = LayerOp::Conv2d(layers::Conv2d {
        out_channels,
        kernel,
        stride: w.stride,
        padding: pads,
        dilation: w.dilation,
        groups,
        bias: bias.is_some(),
    });
    let weight = draft.own_weights(handle)?;
    let layer = draft.push(node, op, vec![from], &[&inner])?;
    let layer = &mut draft.layers[layer];
    layer.weight = Some(handle.name);
    layer.tensors.push(("weight", weight));
    layer.tensors.extend(bias.map(|bias| ("bias", bias)));
    Ok(())
}

/// Adds a linear layer at each position, which a convolution of 1 x 1 with a reshaped matrix `[out, in]` is.
fn position_wise<'a>(
    draft: &mut NetworkDraft<'a>,
    node: &'a NodeProto,
    from: Option<usize>,
    dims: &[usize],
    handle: Handle<'a>,
    bias: Option<Tensor>,
) -> Result<(), String> {
    let matrix = draft.constants.file_dims(handle)?;
    let weight = draft.own_weights(handle)?;
    let weight = Tensor::new(matrix.clone(), weight.into_data()).map_err(|error| error.to_string())?;
    let op = layers::Linear { out_features: matrix[0], bias: bias.is_some(), per_position: true };
    let layer = draft.push(node, op.into(), vec![from], &[dims])?;
    let layer = &mut draft.layers[layer];
    layer.weight = Some(handle.name);
    layer.tensors.push(("weight", weight));
    layer.tensors.extend(bias.map(|bias| ("bias", bias)));
    Ok(())
}

/// The bias, which is the third input. PyTorch writes computed zeros if there is none.
fn bias<'a>(draft: &mut NetworkDraft<'a>, node: &'a NodeProto, len: usize) -> Result<Option<Tensor>, String> {
    match draft.constant(node, 2)? {
        Some(handle) if draft.constants.filled(handle) == Some(0.0) => Ok(None),
        Some(handle) => draft.constants.vector(handle, len).map(Some),
        None => Ok(None),
    }
}

/// Translates MaxPool and AveragePool.
pub fn pool<'a>(draft: &mut NetworkDraft<'a>, call: &Call<'a>, average: bool) -> Result<(), String> {
    let (node, a) = (call.node, &call.attributes);
    let (from, dims, padding) = padding::padded_input(draft, call)?;
    let kernel = a.ints("kernel_shape")?.ok_or("attribute kernel_shape is missing")?;
    let kernel: [usize; 2] = sizes("kernel_shape", kernel, 1)?;
    let w = WindowAttributes::read(a, kernel, [dims[1], dims[2]])?;
    if w.dilation != [1, 1] {
        return Err(format!("dilated windows {:?}", w.dilation));
    }
    let ceil = a.flag("ceil_mode", false)?;
    let mut counts_padding = true;
    if average {
        counts_padding = a.flag("count_include_pad", false)?;
        if padding.is_none() && w.kernel == [1, 1] && w.stride == [1, 1] && w.pads == [0; 4] {
            // PyTorch exports an adaptive pool without effect like this.
            draft.alias(node, GraphValue::Layer { from, dims: dims.to_vec() });
            return Ok(());
        }
    } else {
        // It only affects the second output, which is unused.
        a.int("storage_order", 0)?;
    }
    if average && padding.is_none() && counts_padding && !ceil && averages::feeds_scales(draft, node) {
        let WindowAttributes { kernel, stride, pads, .. } = w;
        return averages::full_windows(draft, call, from, dims, kernel, stride, pads);
    }
    // The zeros of a Pad node are part of the input, so they count.
    let counts_padding = counts_padding || (padding.is_some() && w.pads == [0; 4]);
    let make = |padding, ceil| {
        let (kernel, stride) = (w.kernel, w.stride);
        if average {
            // Without padding both are the same; `true` is the default.
            let count_include_pad = counts_padding || padding == [0; 4];
            LayerOp::AvgPool2d(layers::AvgPool2d { kernel, stride, padding, ceil, count_include_pad })
        } else {
            LayerOp::MaxPool2d(layers::MaxPool2d { kernel, stride, padding, ceil })
        }
    };
    if let Some(padded) = padding {
        padded.check(draft, !average)?;
        if !counts_padding && w.pads != [0; 4] {
            return Err("count_include_pad = 0 with padding".into());
        }
        // With `ceil`, windows that would start in the padding are left out, which moving the padding can change.
        let (outer, op) =
            (make(w.pads, ceil).output_dims(&[&dims])?, make(padded.combined_with(w.pads), ceil));
        if op.output_dims(&[&padded.dims])? != outer {
            return Err("ceil_mode with padding from a Pad node".into());
        }
        return draft.push(node, op, vec![from], &[&padded.dims]).map(|_| ());
    }
    let mut op = make(w.pads, ceil);
    if !counts_padding && w.pads != [0; 4] && w.pads[..2] == [0; 2] {
        // `ceil` without padding: elements beyond the input do not count, either.
        op = same_windows(&w, ceil, dims, [[0; 4]], make).unwrap_or(op);
    }
    if (!average || !counts_padding) && op.output_dims(&[&dims]).is_err() {
        // The file pads by more than half the kernel at bottom or right (a way to write `ceil`). Padding never is the
        // maximum, nor does it count here, so any padding with the same windows will do.
        let after = |axis: usize| [0, w.pads[axis].min(w.kernel[axis] / 2), w.kernel[axis] / 2];
        let pads = |bottom| after(1).map(|right| [w.pads[0], w.pads[1], bottom, right]);
        op = same_windows(&w, ceil, dims, after(0).into_iter().flat_map(pads), make).unwrap_or(op);
    }
    draft.push(node, op, vec![from], &[&dims]).map(|_| ())
}

/// Finds a pool with the same windows whose padding is one of `choices`.
fn same_windows(
    w: &WindowAttributes,
    ceil: bool,
    dims: [usize; 3],
    choices: impl IntoIterator<Item = [usize; 4]>,
    make: impl Fn([usize; 4], bool) -> LayerOp,
) -> Option<LayerOp> {
    let mut wanted = [0; 2];
    for axis in 0..2 {
        let padded = dims[axis + 1] + w.pads[axis] + w.pads[axis + 2];
        let room = padded.checked_sub(w.kernel[axis])?;
        wanted[axis] = 1 + if ceil { room.div_ceil(w.stride[axis]) } else { room / w.stride[axis] };
    }
    let mut choices = choices
        .into_iter()
        .filter(|pads| pads[..2] == w.pads[..2])
        .flat_map(|pads| [make(pads, false), make(pads, true)]);
    choices.find(|op| op.output_dims(&[&dims]).is_ok_and(|out| out[1..] == wanted))
}
