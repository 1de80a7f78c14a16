//! Pooling, padding and upsampling. Programs disagree about `ceil_mode` (the divisor of an average, whether a window may start in the padding), so
//! it is never written: explicit padding places the windows.

use super::super::averaging::{self, window};
use super::graph::{GraphBuilder, NodeBuilder};
use super::layers::LayerContext;

/// The largest averaging matrix that is written, in elements.
const LARGEST: usize = 1 << 24;

/// Adds the window attributes to a node.
fn windows(node: NodeBuilder, kernel: [usize; 2], stride: [usize; 2], pads: [usize; 4]) -> NodeBuilder {
    node.ints("kernel_shape", &kernel).ints("strides", &stride).ints("pads", &pads)
}

/// How far the last window extends beyond the input at the bottom (axis 0) or right (axis 1); negative if it ends inside.
fn reach(context: &LayerContext<'_>, axis: usize, kernel: usize, stride: usize, before: usize) -> i64 {
    let (len, out) = (context.x[axis + 1] as i64, context.y[axis + 1] as i64);
    (out - 1) * stride as i64 + kernel as i64 - before as i64 - len
}

/// Adds a max pooling. Padding is minus infinity, as is everything beyond it, so more padding changes nothing and covers
/// windows that reach further.
///
/// At stride 1 the reference evaluator of onnx (up to 1.23.2 at least) reads `pads` as top, bottom, left, right
/// (`findings/onnx_reference_evaluator.sh`), so unequal padding becomes a `Pad` node there.
pub fn max_pool(
    builder: &mut GraphBuilder,
    context: &LayerContext<'_>,
    kernel: [usize; 2],
    stride: [usize; 2],
    mut pads: [usize; 4],
) -> NodeBuilder {
    for axis in 0..2 {
        let reach = reach(context, axis, kernel[axis], stride[axis], pads[axis]);
        pads[axis + 2] = usize::try_from(reach).unwrap_or(0).max(pads[axis + 2]);
    }
    if stride != [1, 1] || pads == [pads[0]; 4] {
        return windows(context.node("MaxPool"), kernel, stride, pads);
    }
    let name = &context.layer.name;
    let [top, left, bottom, right] = pads.map(|pad| pad as i64);
    let sizes = builder.integers(&format!("{name}.pads"), &[0, 0, top, left, 0, 0, bottom, right]);
    let value = builder.constant(&format!("{name}.padding"), &[], &[f32::NEG_INFINITY]);
    let padded = builder.helper(name, "padded", "Pad", &[context.inputs[0], &sizes, &value]);
    windows(context.node_over("MaxPool", &[&padded]), kernel, stride, [0; 4])
}

/// Adds an average pooling. Zeros of the padding count if `counts_padding`, elements beyond the padding do not.
///
/// A window that is cut off there (`ceil`) is exported as a full window over more padding, and its average is rescaled to
/// the elements that count. ONNX's `ceil_mode` cannot express this: its divisor is undefined before operator set 19, and
/// onnxruntime before 1.29 divides by the whole kernel while later versions do not
/// (`findings/onnxruntime_average_pool_ceil.sh`). A `Pad` node before unpadded windows does not work either: onnxruntime
/// 1.20 fuses the two incorrectly.
pub fn avg_pool(
    builder: &mut GraphBuilder,
    context: &LayerContext<'_>,
    kernel: [usize; 2],
    stride: [usize; 2],
    mut pads: [usize; 4],
    counts_padding: bool,
) -> NodeBuilder {
    let mut missing = [0; 2];
    for axis in 0..2 {
        let reach = reach(context, axis, kernel[axis], stride[axis], pads[axis]);
        let reach = usize::try_from(reach).unwrap_or(0);
        missing[axis] = reach.saturating_sub(pads[axis + 2]);
        pads[axis + 2] += missing[axis];
    }
    let average = |node: NodeBuilder| {
        windows(node, kernel, stride, pads).int("count_include_pad", counts_padding.into())
    };
    // Where the padding does not count, more of it changes nothing.
    if missing == [0; 2] || !counts_padding {
        return average(context.node("AveragePool"));
    }
    let name = &context.layer.name;
    let whole = builder.helper_with(name, "whole", "AveragePool", &[context.inputs[0]], average);
    let (dims, scales) = averaging::scales([context.y[1], context.y[2]], kernel, missing);
    let scales = builder.constant(&format!("{name}.scales"), &dims, &scales);
    context.node_over("Mul", &[&whole, &scales])
}

/// Adds an adaptive average pooling: plain windows if one size and stride describe it, otherwise products with averaging
/// matrices, rows first.
pub fn adaptive_avg_pool(
    builder: &mut GraphBuilder,
    context: &LayerContext<'_>,
) -> Result<NodeBuilder, String> {
    if context.y[1..] == [1, 1] {
        return Ok(context.node("GlobalAveragePool"));
    }
    let axes = [1, 2].map(|axis| (context.x[axis], context.y[axis]));
    if let [Some([h, step_h]), Some([w, step_w])] = axes.map(|(len, out)| uniform_windows(len, out)) {
        let node = windows(context.node("AveragePool"), [h, w], [step_h, step_w], [0; 4]);
        return Ok(node.int("count_include_pad", 1));
    }
    if axes.iter().any(|(len, out)| len.saturating_mul(*out) > LARGEST) {
        return Err(format!(
            "output: ONNX has no average over windows of several sizes, and the matrices of {axes:?} are too large"
        ));
    }
    let name = &context.layer.name;
    let [(h_in, h_out), (w_in, w_out)] = axes;
    let rows = builder.constant(&format!("{name}.rows"), &[h_out, h_in], &averaging::matrix(h_in, h_out));
    let columns = averaging::transposed(&averaging::matrix(w_in, w_out), w_in);
    let columns = builder.constant(&format!("{name}.columns"), &[w_in, w_out], &columns);
    let averaged = builder.helper(name, "averaged_rows", "MatMul", &[&rows, context.inputs[0]]);
    Ok(context.node_over("MatMul", &[&averaged, &columns]))
}

/// Length and stride of the windows of one axis, if all windows are equal and the last one ends with the axis.
pub(in super::super) fn uniform_windows(len: usize, out: usize) -> Option<[usize; 2]> {
    let [_, length] = window(len, out, 0);
    let step = if out == 1 { 1 } else { window(len, out, 1)[0] };
    let fits = (0..out).all(|o| window(len, out, o) == [o * step, o * step + length]);
    (fits && step > 0).then_some([length, step])
}

/// Adds a padding of zeros.
pub fn pad(
    builder: &mut GraphBuilder,
    context: &LayerContext<'_>,
    [top, left, bottom, right]: [usize; 4],
) -> NodeBuilder {
    let [top, left, bottom, right] = [top, left, bottom, right].map(|pad| pad as i64);
    let sizes = [0, 0, top, left, 0, 0, bottom, right];
    let sizes = builder.integers(&format!("{}.pads", context.layer.name), &sizes);
    context.node_over("Pad", &[context.inputs[0], &sizes])
}

/// Adds an upsampling by repetition.
pub fn upsample(
    builder: &mut GraphBuilder,
    context: &LayerContext<'_>,
    [rows, columns]: [usize; 2],
) -> NodeBuilder {
    let scales = [1.0, 1.0, rows as f32, columns as f32];
    let scales = builder.constant(&format!("{}.scales", context.layer.name), &[4], &scales);
    let node = context.node_over("Resize", &[context.inputs[0], "", &scales]);
    let node = node.text("mode", "nearest").text("coordinate_transformation_mode", "asymmetric");
    node.text("nearest_mode", "floor")
}
