//! Kernels that only move channels: concatenation, slices, and the channel shuffle.

use super::dispatch::Kernels;
use super::elements::{constants, elements};
use super::limits::Limits;
use super::shader::{Shader, shader};
use super::slices::slices;
use crate::error::Result;
use crate::ops::{ChannelShuffle, ChannelSlice, Op};

/// Copies the part into the whole; operands x, y.
pub(super) fn concat_forward(op: &Op, d: &ChannelSlice, limits: &Limits) -> Result<Kernels> {
    let (part, whole) = (d.channels * d.inner, d.total * d.inner);
    copies(op, d, shader!("merge/concat_forward", "shared/elements"), [part, whole], limits)
}

/// Copies the part out of the whole; operands dy, dx.
pub(super) fn concat_backward(op: &Op, d: &ChannelSlice, limits: &Limits) -> Result<Kernels> {
    let (part, whole) = (d.channels * d.inner, d.total * d.inner);
    copies(op, d, shader!("merge/concat_backward", "shared/elements"), [whole, part], limits)
}

/// Copies some channels of the whole; operands x, y.
pub(super) fn slice_forward(op: &Op, d: &ChannelSlice, limits: &Limits) -> Result<Kernels> {
    let (part, whole) = (d.channels * d.inner, d.total * d.inner);
    copies(op, d, shader!("merge/slice_forward", "shared/elements"), [whole, part], limits)
}

/// Copies the part into the whole, which is 0 elsewhere; operands dy, dx.
pub(super) fn slice_backward(op: &Op, d: &ChannelSlice, limits: &Limits) -> Result<Kernels> {
    let (part, whole) = (d.channels * d.inner, d.total * d.inner);
    copies(op, d, shader!("merge/slice_backward", "shared/elements"), [part, whole], limits)
}

/// One dispatch per slice of images; operands x, y.
pub(super) fn channel_shuffle(op: &Op, d: &ChannelShuffle, limits: &Limits) -> Result<Kernels> {
    let image = d.channels * d.inner;
    let dispatches = slices(op, d.batch, 1, &[image], limits)?
        .iter()
        .map(|slice| {
            let bindings = vec![slice.bind(0, image), slice.bind(1, image)];
            let geometry = constants([("channels", d.channels), ("inner", d.inner), ("groups", d.groups)]);
            let shader = shader!("merge/channel_shuffle", "shared/elements");
            elements(shader, slice.count * image, 0, geometry, bindings, limits)
        })
        .collect();
    Ok(Kernels { dispatches, scratch: Vec::new() })
}

/// One dispatch per slice of images; `sizes` are the elements of one image in each operand.
fn copies(op: &Op, d: &ChannelSlice, shader: Shader, sizes: [usize; 2], limits: &Limits) -> Result<Kernels> {
    let (part, whole) = (d.channels * d.inner, d.total * d.inner);
    // Concatenation writes nothing outside the part; the gradient of a slice is 0 there.
    let computed = if matches!(op, Op::SliceBackward(_)) { whole } else { part };
    let dispatches = slices(op, d.batch, 1, &[part, whole], limits)?
        .iter()
        .map(|slice| {
            let bindings = vec![slice.bind(0, sizes[0]), slice.bind(1, sizes[1])];
            let geometry = constants([("part", part), ("whole", whole), ("start", d.offset * d.inner)]);
            elements(shader, slice.count * computed, 0, geometry, bindings, limits)
        })
        .collect();
    Ok(Kernels { dispatches, scratch: Vec::new() })
}
