//! Average pooling that takes several nodes, as our own export writes it: adaptive pooling as two products with matrices, and windows that the padding
//! cuts off as whole ones whose averages are scaled (see `export::pooling`).

use super::super::averaging;
use super::super::schema::NodeProto;
use super::constants::Handle;
use super::draft::{Call, GraphValue, NetworkDraft, list};
use super::shapes;
use crate::model::LayerOp;

/// Averages over whole windows of a layer's output `[channels, height, width]`, padding counted.
#[derive(Clone, Debug)]
pub(super) struct FullWindowAverages {
    from: Option<usize>,
    dims: [usize; 3],
    kernel: [usize; 2],
    stride: [usize; 2],
    /// Top, left, bottom, right.
    pads: [usize; 4],
}

/// The mean of a layer's output `[channels, height, width]` over one of its axes.
#[derive(Clone, Debug)]
pub(super) struct PartialMean {
    from: Option<usize>,
    dims: [usize; 3],
    /// Axis that is left: 2 is the height, 3 the width.
    left: i64,
    /// Whether the other one stays as an axis of extent 1.
    keeps: bool,
}

/// The mean over height and width, at once or one after the other.
pub(super) fn reduce_mean<'a>(draft: &mut NetworkDraft<'a>, call: &Call<'a>) -> Result<(), String> {
    let (node, a) = (call.node, &call.attributes);
    let before = match draft.value(node, 0)? {
        Some(GraphValue::PartialMean(half)) => Some(half.clone()),
        _ => None,
    };
    let (from, dims) = match &before {
        Some(half) => (half.from, half.dims),
        None => draft.feature_map(node, 0)?,
    };
    let rank = if before.as_ref().is_some_and(|half| !half.keeps) { 3 } else { 4 };
    let mut axes = shapes::axes(draft, call)?.unwrap_or_default();
    axes.iter_mut().filter(|axis| **axis < 0).for_each(|axis| *axis += rank);
    axes.sort_unstable();
    a.flag("noop_with_empty_axes", false)?;
    let keeps = a.flag("keepdims", true)?;
    let is_whole = match (&before, axes.as_slice()) {
        (None, [2, 3]) => true,
        (Some(half), &[axis]) => keeps == half.keeps && axis == if half.keeps { half.left } else { 2 },
        _ => false,
    };
    if is_whole {
        let pool = LayerOp::AdaptiveAvgPool2d { output: [1, 1] };
        let layer = draft.push(node, pool, vec![from], &[&dims])?;
        if !keeps {
            draft.push(node, LayerOp::Flatten, vec![Some(layer)], &[&[dims[0], 1, 1]])?;
        }
        return Ok(());
    }
    match (before, axes.as_slice()) {
        (None, &[axis @ (2 | 3)]) => {
            draft.alias(node, GraphValue::PartialMean(PartialMean { from, dims, left: 5 - axis, keeps }));
            Ok(())
        }
        _ => Err("expected the mean over height and width".into()),
    }
}

/// Whether the one reader of what `node` makes is a product with a constant matrix.
pub(super) fn feeds_scales(draft: &NetworkDraft<'_>, node: &NodeProto) -> bool {
    let Some(output) = node.output.first().filter(|output| draft.graph.readers(output) == 1) else {
        return false;
    };
    let reader = draft.graph.nodes.iter().find(|reader| reader.input.contains(output));
    let Some(reader) = reader.filter(|reader| reader.op_type == "Mul" && reader.input.len() == 2) else {
        return false;
    };
    let other =
        reader.input.iter().find(|input| *input != output).and_then(|name| draft.values.get(name.as_str()));
    matches!(other, Some(GraphValue::Constant(handle)) if draft.constants.dims(*handle).is_ok_and(|dims| dims.len() == 2))
}

/// Whether `call` scales such averages.
pub(super) fn applies_scales(draft: &NetworkDraft<'_>, call: &Call<'_>) -> bool {
    let value = |name: &String| draft.values.get(name.as_str());
    call.node.input.iter().any(|name| matches!(value(name), Some(GraphValue::FullWindowAverages(_))))
}

/// The first of the two nodes.
pub(super) fn full_windows<'a>(
    draft: &mut NetworkDraft<'a>,
    call: &Call<'a>,
    from: Option<usize>,
    dims: [usize; 3],
    kernel: [usize; 2],
    stride: [usize; 2],
    pads: [usize; 4],
) -> Result<(), String> {
    draft.alias(
        call.node,
        GraphValue::FullWindowAverages(FullWindowAverages { from, dims, kernel, stride, pads }),
    );
    Ok(())
}

/// The second: the product with scales, which say how many places of each window count.
pub(super) fn scale<'a>(draft: &mut NetworkDraft<'a>, call: &Call<'a>) -> Result<(), String> {
    let (mut averages, mut scales) = (None, None);
    for position in 0..2 {
        match draft.value(call.node, position)? {
            Some(GraphValue::FullWindowAverages(found)) => averages = Some(found.clone()),
            Some(GraphValue::Constant(handle)) => scales = Some(*handle),
            _ => {}
        }
    }
    let (Some(averages), Some(scales)) = (averages, scales) else {
        return Err("expected averages and a constant".into());
    };
    let op = cut_off(draft, &averages, scales)?
        .ok_or("expected the scales of an average pooling whose last windows are cut off (ceil)")?;
    draft.push(call.node, op, vec![averages.from], &[&averages.dims]).map(|_| ())
}

/// The pooling with `ceil` whose averages are whole ones times `scales`, if there is one.
fn cut_off<'a>(
    draft: &mut NetworkDraft<'a>,
    averages: &FullWindowAverages,
    scales: Handle<'a>,
) -> Result<Option<LayerOp>, String> {
    let FullWindowAverages { dims, kernel, stride, pads, .. } = averages;
    let mut out = [0; 2];
    for axis in 0..2 {
        let room = (dims[axis + 1] + pads[axis] + pads[axis + 2]).checked_sub(kernel[axis]);
        let Some(room) = room else { return Ok(None) };
        out[axis] = 1 + room / stride[axis];
    }
    let found = draft.constants.dims(scales)?;
    if (0..2).any(|axis| ![1, out[axis]].contains(&found[axis])) {
        return Ok(None);
    }
    let values = draft.constants.floats(scales)?;
    // The last window has lost most. How many of its rows are missing leaves one choice for its columns.
    let Some(&last) = values.data().last() else { return Ok(None) };
    for rows in 0..=pads[2] {
        let all = (kernel[0] * kernel[1]) as f64;
        let columns =
            kernel[1] as f64 - (all / f64::from(last) / (kernel[0] - rows.min(kernel[0] - 1)) as f64).round();
        if !(0.0..=pads[3] as f64).contains(&columns) {
            continue;
        }
        let missing = [rows, columns as usize];
        if missing[0] >= kernel[0]
            || missing[1] >= kernel[1]
            || averaging::scales([1; 2], *kernel, missing).1 != [last]
        {
            continue;
        }
        let padding = [pads[0], pads[1], pads[2] - missing[0], pads[3] - missing[1]];
        let op = LayerOp::AvgPool2d { kernel: *kernel, stride: *stride, padding, ceil: true };
        let fits = op.output_dims(&[dims]).is_ok_and(|dims| dims[1..] == out);
        let (expected, numbers) = averaging::scales(out, *kernel, missing);
        if fits && expected == found[..] && numbers == values.data() {
            return Ok(Some(op));
        }
    }
    Ok(None)
}

/// A product with a constant matrix at the left: the rows' half of an adaptive average pooling.
pub(super) fn average_rows<'a>(
    draft: &mut NetworkDraft<'a>,
    call: &Call<'a>,
    rows: Handle<'a>,
) -> Result<(), String> {
    let (from, dims) = draft.feature_map(call.node, 1)?;
    let rows = matrix(draft, rows, dims[1], false)?;
    draft.alias(call.node, GraphValue::AveragedRows { from, dims, rows });
    Ok(())
}

/// A product of averaged rows with a constant matrix: the whole adaptive average pooling.
pub(super) fn average_columns<'a>(
    draft: &mut NetworkDraft<'a>,
    call: &Call<'a>,
    from: Option<usize>,
    dims: [usize; 3],
    rows: usize,
) -> Result<(), String> {
    let handle = draft.weight(call.node, 1)?;
    let columns = matrix(draft, handle, dims[2], true)?;
    let op = LayerOp::AdaptiveAvgPool2d { output: [rows, columns] };
    draft.push(call.node, op, vec![from], &[&dims]).map(|_| ())
}

/// How many averages the matrix of a constant takes of `len` rows or columns: it has to be what our export writes, `[averages, len]` or (`turned`)
/// `[len, averages]`.
fn matrix<'a>(
    draft: &mut NetworkDraft<'a>,
    handle: Handle<'a>,
    len: usize,
    turned: bool,
) -> Result<usize, String> {
    let dims = draft.constants.dims(handle)?;
    let out = match *dims.as_slice() {
        [out, depth] if !turned && depth == len => out,
        [depth, out] if turned && depth == len => out,
        _ => {
            return Err(format!(
                "expected a matrix that averages {len} rows or columns, found [{}]",
                list(&dims)
            ));
        }
    };
    let found = draft.constants.floats(handle)?;
    let expected = averaging::matrix(len, out);
    let expected = if turned != handle.transposed { averaging::transposed(&expected, len) } else { expected };
    if out == 0 || found.data() != expected {
        return Err("expected a matrix that averages as an adaptive pooling does".into());
    }
    Ok(out)
}
