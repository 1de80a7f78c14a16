//! Pooling. ONNX knows only windows that lie in the padded picture or (`ceil_mode`) are cut off at its end, and its two programs for shapes disagree on
//! the last window; so windows are placed by padding that is written out.

use super::super::averaging::{self, window};
use super::graph::{Builder, NodeBuilder};
use super::layers::Place;

/// The largest matrix of averages that is written out, in elements.
const LARGEST: usize = 1 << 24;

/// A node with windows.
fn windows(node: NodeBuilder, kernel: [usize; 2], stride: [usize; 2], pads: [usize; 4]) -> NodeBuilder {
    node.ints("kernel_shape", &kernel).ints("strides", &stride).ints("pads", &pads)
}

/// Where the last window ends beyond the beginning of the bottom (axis 0) or right (axis 1) padding; less than 0 if it ends within the picture.
fn reach(place: &Place<'_>, axis: usize, kernel: usize, stride: usize, before: usize) -> i64 {
    let (len, out) = (place.x[axis + 1] as i64, place.y[axis + 1] as i64);
    (out - 1) * stride as i64 + kernel as i64 - before as i64 - len
}

/// What lies beyond the padding counts as little as the padding (minus infinity), so there can be more of it.
pub(super) fn max_pool(
    place: &Place<'_>,
    kernel: [usize; 2],
    stride: [usize; 2],
    mut pads: [usize; 4],
) -> NodeBuilder {
    for axis in 0..2 {
        let reach = reach(place, axis, kernel[axis], stride[axis], pads[axis]);
        pads[axis + 2] = usize::try_from(reach).unwrap_or(0).max(pads[axis + 2]);
    }
    windows(place.node("MaxPool"), kernel, stride, pads)
}

/// Padded zeros count, what lies beyond the padding does not: `ceil_mode`, where a window reaches that far.
pub(super) fn avg_pool(
    place: &Place<'_>,
    kernel: [usize; 2],
    stride: [usize; 2],
    mut pads: [usize; 4],
) -> Result<NodeBuilder, String> {
    let ends = [0, 1].map(|axis| reach(place, axis, kernel[axis], stride[axis], pads[axis]));
    let cut = ends.iter().zip(&pads[2..]).any(|(&end, &pad)| end > pad as i64);
    if cut {
        for axis in 0..2 {
            let room = place.x[axis + 1] + pads[axis] + pads[axis + 2] - kernel[axis];
            if room.div_ceil(stride[axis]) + 1 > place.y[axis + 1] {
                // We leave out the last window of this axis. With padding up to where the one before it ends, there is none to leave out.
                pads[axis + 2] = usize::try_from(ends[axis]).map_err(|_| {
                    "ceil: ONNX cannot leave out the last window of one axis and cut off that of the other"
                })?;
            }
        }
    }
    let node = windows(place.node("AveragePool"), kernel, stride, pads).int("count_include_pad", 1);
    Ok(if cut { node.int("ceil_mode", 1) } else { node })
}

/// Windows of one size at one distance, where the extents allow it; otherwise products with matrices that average, rows first.
pub(super) fn adaptive_avg_pool(builder: &mut Builder, place: &Place<'_>) -> Result<NodeBuilder, String> {
    if place.y[1..] == [1, 1] {
        return Ok(place.node("GlobalAveragePool"));
    }
    let axes = [1, 2].map(|axis| (place.x[axis], place.y[axis]));
    if let [Some([h, step_h]), Some([w, step_w])] = axes.map(|(len, out)| regular(len, out)) {
        let node = windows(place.node("AveragePool"), [h, w], [step_h, step_w], [0; 4]);
        return Ok(node.int("count_include_pad", 1));
    }
    if axes.iter().any(|(len, out)| len.saturating_mul(*out) > LARGEST) {
        return Err(format!(
            "output: ONNX has no average over windows of several sizes, and as a product {axes:?} is too large"
        ));
    }
    let name = &place.layer.name;
    let [(h_in, h_out), (w_in, w_out)] = axes;
    let rows = builder.constant(&format!("{name}.rows"), &[h_out, h_in], &averaging::matrix(h_in, h_out));
    let columns = averaging::turned(&averaging::matrix(w_in, w_out), w_in);
    let columns = builder.constant(&format!("{name}.columns"), &[w_in, w_out], &columns);
    let averaged = builder.helper(name, "averaged_rows", "MatMul", &[&rows, place.inputs[0]]);
    Ok(place.node_over("MatMul", &[&averaged, &columns]))
}

/// Length and distance of the windows of one axis, if they are all the same and end with the axis.
pub(in super::super) fn regular(len: usize, out: usize) -> Option<[usize; 2]> {
    let [_, length] = window(len, out, 0);
    let step = if out == 1 { 1 } else { window(len, out, 1)[0] };
    let fits = (0..out).all(|o| window(len, out, o) == [o * step, o * step + length]);
    (fits && step > 0).then_some([length, step])
}
