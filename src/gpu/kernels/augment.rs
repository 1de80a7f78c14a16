//! The kernel that turns stored images into network input.

use super::dispatch::Kernels;
use super::elements::{constants, elements};
use super::limits::Limits;
use super::rounds::rounds;
use super::shader::shader;
use super::slices::slices;
use crate::error::Result;
use crate::ops::{Augment, Op};

/// One dispatch per slice of the batch; an element of its grid is an output pixel in all channels.
pub(super) fn kernels(op: &Op, d: &Augment, limits: &Limits) -> Result<Kernels> {
    let sizes: Vec<usize> = op.operands().iter().map(|o| o.shape.len() / d.batch.max(1)).collect();
    let dispatches = slices(op, d.batch, 1, &sizes, limits)?
        .iter()
        .map(|slice| {
            let geometry = constants([
                ("c_in", d.c_in),
                ("h_in", d.h_in),
                ("w_in", d.w_in),
                ("c_out", d.c_out),
                ("h_out", d.h_out),
                ("w_out", d.w_out),
                ("words", d.words()),
            ]);
            let bindings = sizes.iter().enumerate().map(|(i, &size)| slice.bind(i, size)).collect();
            let shader = shader!("augment/augment", "shared/elements");
            let each = rounds(d.c_in, 0) + 2 * rounds(d.c_out, 0);
            elements(shader, slice.count * d.h_out * d.w_out, each, geometry, bindings, limits)
        })
        .collect();
    Ok(Kernels { dispatches, scratch: Vec::new() })
}
