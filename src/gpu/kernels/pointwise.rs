//! Kernels that treat every element by itself: activations, add, dropout.

use super::dispatch::{Binding, Kernels};
use super::elements::{constants, elements};
use super::limits::Limits;
use super::rounds::rounds;
use super::shader::{Shader, shader};
use super::slices::slices;
use crate::error::Result;
use crate::ops::{Dropout, Op};

/// One dispatch per slice of `len` elements; every operand is a tensor of that length. `constants` are those of the
/// shader beside the length.
pub(super) fn pointwise(
    op: &Op,
    shader: Shader,
    len: usize,
    constants: &[(&'static str, f64)],
    limits: &Limits,
) -> Result<Kernels> {
    let operands = op.operands().len();
    let dispatches = slices(op, len, 1, &[1], limits)?
        .iter()
        .map(|slice| {
            let bindings = (0..operands).map(|i| slice.bind(i, 1)).collect();
            elements(shader, slice.count, 0, constants.to_vec(), bindings, limits)
        })
        .collect();
    Ok(Kernels { dispatches, scratch: Vec::new() })
}

/// Rounds of `philox.wgsl`.
const PHILOX: usize = 10;

pub(super) fn dropout(op: &Op, d: &Dropout, limits: &Limits) -> Result<Kernels> {
    let dispatches = slices(op, d.len, 4, &[1], limits)?
        .iter()
        .map(|slice| {
            let mut constants = constants([
                ("size", slice.count),
                ("first_block", slice.first / 4),
                ("layer", d.layer as usize),
                ("threshold", d.threshold() as usize),
            ]);
            constants.push(("scale", f64::from(d.scale())));
            elements(
                shader!("activation/dropout", "shared/philox", "shared/hyper", "shared/elements"),
                slice.count.div_ceil(4),
                rounds(PHILOX, 0) + rounds(4, 0),
                constants,
                vec![slice.bind(0, 1), Binding::operand(1), slice.bind(2, 1)],
                limits,
            )
        })
        .collect();
    Ok(Kernels { dispatches, scratch: Vec::new() })
}
