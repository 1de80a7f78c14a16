//! Kernels that treat every element by itself: activations, add, dropout.

use super::dispatch::{Binding, Kernels};
use super::elements::{constants, elements};
use super::limits::Limits;
use super::rounds::rounds;
use super::shader::{Shader, shader};
use super::slices::slices;
use crate::error::Result;
use crate::ops::{DropUnit, Dropout, Op, StructuredDropout};

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

/// The factors of all units, and then a dispatch per slice of units, or of images where a unit is the batch.
pub(super) fn structured_dropout(op: &Op, d: &StructuredDropout, limits: &Limits) -> Result<Kernels> {
    let units = d.of_units();
    let mut constants_of_units = constants([
        ("size", units.len),
        ("layer", d.layer as usize),
        ("threshold", units.threshold() as usize),
    ]);
    constants_of_units.push(("scale", f64::from(units.scale())));
    let mut dispatches = vec![elements(
        shader!("activation/structured_dropout_units", "shared/philox", "shared/hyper", "shared/elements"),
        units.len.div_ceil(4),
        rounds(PHILOX, 0) + rounds(4, 0),
        constants_of_units,
        vec![Binding::operand(1), Binding::scratch(0)],
        limits,
    )];
    let (count, size) = match d.unit {
        DropUnit::Batch => (d.batch, d.channels * d.inner),
        _ => (units.len, d.unit_len()),
    };
    for slice in slices(op, count, 1, &[size], limits)? {
        let first = if d.unit == DropUnit::Batch { 0 } else { slice.first };
        dispatches.push(elements(
            shader!("activation/structured_dropout", "shared/elements"),
            slice.count * size,
            0,
            constants([("unit", d.unit_len()), ("first_unit", first)]),
            vec![slice.bind(0, size), Binding::scratch(0), slice.bind(2, size)],
            limits,
        ));
    }
    Ok(Kernels { dispatches, scratch: vec![units.len] })
}
