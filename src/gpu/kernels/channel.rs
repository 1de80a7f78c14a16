//! Kernels of concatenation along channels: copies of a part of every image.

use super::dispatch::Kernels;
use super::elements::{constants, elements};
use super::limits::Limits;
use super::shader::shader;
use super::slices::slices;
use crate::error::{Error, Result};
use crate::ops::Op;

/// The dispatches of concat_forward or concat_backward.
pub(super) fn kernels(op: &Op, limits: &Limits) -> Result<Kernels> {
    let (d, forward) = match op {
        Op::ConcatForward(d) => (d, true),
        Op::ConcatBackward(d) => (d, false),
        _ => return Err(Error::Internal(format!("{} is not a concatenation", op.name()))),
    };
    let (part, whole) = (d.channels * d.inner, d.total * d.inner);
    let dispatches = slices(op, d.batch, 1, &[part, whole], limits)?
        .iter()
        .map(|slice| {
            let (shader, bindings) = if forward {
                let shader = shader!("merge/concat_forward", "shared/elements");
                (shader, vec![slice.bind(0, part), slice.bind(1, whole)])
            } else {
                let shader = shader!("merge/concat_backward", "shared/elements");
                (shader, vec![slice.bind(0, whole), slice.bind(1, part)])
            };
            let geometry = constants([("part", part), ("whole", whole), ("start", d.offset * d.inner)]);
            elements(shader, slice.count * part, 0, geometry, bindings, limits)
        })
        .collect();
    Ok(Kernels { dispatches, scratch: Vec::new() })
}
