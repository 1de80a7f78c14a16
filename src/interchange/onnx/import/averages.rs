//! Average pooling that takes several nodes. Our own export writes adaptive pooling as two matrix products and windows cut
//! off by the padding as rescaled full windows (see `export::pooling`); other exporters write global pooling as
//! `ReduceMean`.

use super::super::averaging;
use super::super::schema::NodeProto;
use super::constants::Handle;
use super::draft::{Call, GraphValue, NetworkDraft, list};
use super::shapes;
use crate::model::{LayerOp, layers};

/// Averages over full windows of a layer's output `[channels, height, width]`, padding included.
#[derive(Clone, Debug)]
pub struct FullWindowAverages {
    from: Option<usize>,
    dims: [usize; 3],
    kernel: [usize; 2],
    stride: [usize; 2],
    /// Top, left, bottom, right.
    pads: [usize; 4],
}

/// The mean of a layer's output `[channels, height, width]` over height or width.
#[derive(Clone, Debug)]
pub struct PartialMean {
    from: Option<usize>,
    dims: [usize; 3],
    /// The remaining axis: 2 is the height, 3 the width.
    left: i64,
    /// Whether the reduced axis remains with size 1 (`keepdims`).
    keeps: bool,
}

/// Translates `ReduceMean` over height and width, in one node or in two consecutive ones.
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
        let pool = LayerOp::AdaptiveAvgPool2d(layers::AdaptiveAvgPool2d { output: [1, 1] });
        let layer = draft.push(node, pool, vec![from], &[&dims])?;
        if !keeps {
            draft.push(node, LayerOp::Flatten(layers::Flatten), vec![Some(layer)], &[&[dims[0], 1, 1]])?;
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

/// True if the only reader of the output of `node` multiplies it by a constant matrix.
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

/// True if `call` multiplies averages over full windows.
pub(super) fn applies_scales(draft: &NetworkDraft<'_>, call: &Call<'_>) -> bool {
    let value = |name: &String| draft.values.get(name.as_str());
    call.node.input.iter().any(|name| matches!(value(name), Some(GraphValue::FullWindowAverages(_))))
}

/// Records the first of the two nodes: averages over full windows.
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

/// Translates the second node: the product with scales, which tell how many elements of each window count.
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

/// Finds the pooling with `ceil` whose averages are the full-window `averages` times `scales`, if there is one.
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
    // The last window misses the most elements. Its scale and its missing rows determine its missing columns.
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
        let op = LayerOp::AvgPool2d(layers::AvgPool2d {
            kernel: *kernel,
            stride: *stride,
            padding,
            ceil: true,
            count_include_pad: true,
        });
        let fits = op.output_dims(&[dims]).is_ok_and(|dims| dims[1..] == out);
        let (expected, numbers) = averaging::scales(out, *kernel, missing);
        if fits && expected == found[..] && numbers == values.data() {
            return Ok(Some(op));
        }
    }
    Ok(None)
}

/// Translates a product with a constant matrix on the left: the row half of an adaptive average pooling.
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

/// Translates a product of averaged rows with a constant matrix, which completes an adaptive average pooling.
pub(super) fn average_columns<'a>(
    draft: &mut NetworkDraft<'a>,
    call: &Call<'a>,
    from: Option<usize>,
    dims: [usize; 3],
    rows: usize,
) -> Result<(), String> {
    let handle = draft.weight(call.node, 1)?;
    let columns = matrix(draft, handle, dims[2], true)?;
    let op = LayerOp::AdaptiveAvgPool2d(layers::AdaptiveAvgPool2d { output: [rows, columns] });
    draft.push(call.node, op, vec![from], &[&dims]).map(|_| ())
}

/// The number of averages that a constant averaging matrix takes of `len` rows or columns. The matrix must be the one that
/// our export writes, `[averages, len]` or, if `transposed`, `[len, averages]`.
fn matrix<'a>(
    draft: &mut NetworkDraft<'a>,
    handle: Handle<'a>,
    len: usize,
    transposed: bool,
) -> Result<usize, String> {
    let dims = draft.constants.dims(handle)?;
    let out = match *dims.as_slice() {
        [out, depth] if !transposed && depth == len => out,
        [depth, out] if transposed && depth == len => out,
        _ => {
            return Err(format!(
                "expected a matrix that averages {len} rows or columns, found [{}]",
                list(&dims)
            ));
        }
    };
    let found = draft.constants.floats(handle)?;
    let expected = averaging::matrix(len, out);
    let expected =
        if transposed != handle.transposed { averaging::transposed(&expected, len) } else { expected };
    if out == 0 || found.data() != expected {
        return Err("expected a matrix that averages as an adaptive pooling does".into());
    }
    Ok(out)
}
