//! Kernels of concatenation along channels: copies of a part of every image.

use super::dispatch::Kernels;
use super::elements::{constants, elements};
use super::limits::Limits;
use super::shader::{Shader, shader};
use super::slices::slices;
use crate::error::Result;
use crate::ops::{ChannelSlice, Op};

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

/// One dispatch per slice of images; `sizes` are the elements of one image in each operand.
fn copies(op: &Op, d: &ChannelSlice, shader: Shader, sizes: [usize; 2], limits: &Limits) -> Result<Kernels> {
    let (part, whole) = (d.channels * d.inner, d.total * d.inner);
    let dispatches = slices(op, d.batch, 1, &[part, whole], limits)?
        .iter()
        .map(|slice| {
            let bindings = vec![slice.bind(0, sizes[0]), slice.bind(1, sizes[1])];
            let geometry = constants([("part", part), ("whole", whole), ("start", d.offset * d.inner)]);
            elements(shader, slice.count * part, 0, geometry, bindings, limits)
        })
        .collect();
    Ok(Kernels { dispatches, scratch: Vec::new() })
}
