//! Kernels of the product of a feature map with one factor for each image and channel.

use super::dispatch::{Dispatch, DispatchKind, Kernels, fold};
use super::elements::{constants, elements};
use super::limits::Limits;
use super::rounds::{GATHER_TERMS, GATHER_THREADS, reduction, strided};
use super::shader::shader;
use super::slices::slices;
use crate::error::Result;
use crate::ops::{Gate, Op};

/// One dispatch per slice of planes; operands x, gate, y.
pub(super) fn mul_gate(op: &Op, d: &Gate, limits: &Limits) -> Result<Kernels> {
    let dispatches = slices(op, d.batch * d.channels, 1, &[d.inner, 1], limits)?
        .iter()
        .map(|slice| {
            let bindings = vec![slice.bind(0, d.inner), slice.bind(1, 1), slice.bind(2, d.inner)];
            let shader = shader!("merge/mul_gate", "shared/elements");
            elements(shader, slice.count * d.inner, 0, constants([("inner", d.inner)]), bindings, limits)
        })
        .collect();
    Ok(Kernels { dispatches, scratch: Vec::new() })
}

/// One workgroup for each plane, and a dispatch for every [`GATHER_TERMS`] of its elements; operands x, dy, dgate.
pub(super) fn mul_grad_gate(op: &Op, d: &Gate, limits: &Limits) -> Result<Kernels> {
    let mut dispatches = Vec::new();
    for slice in slices(op, d.batch * d.channels, 1, &[d.inner, 1], limits)? {
        for first in (0..d.inner).step_by(GATHER_TERMS) {
            dispatches.push(Dispatch {
                kind: DispatchKind::Kernel,
                shader: shader!("merge/mul_grad_gate", "shared/gather", "shared/reduce"),
                constants: constants([("inner", d.inner), ("len", slice.count), ("first_term", first)]),
                bindings: vec![slice.bind(0, d.inner), slice.bind(1, d.inner), slice.bind(2, 1)],
                groups: fold(slice.count, limits),
                rounds: strided(GATHER_TERMS.min(d.inner), GATHER_THREADS, 0) + reduction(GATHER_THREADS),
            });
        }
    }
    Ok(Kernels { dispatches, scratch: Vec::new() })
}
