//! The kernel that mixes the images of a batch.

use super::dispatch::{Binding, Kernels};
use super::elements::{constants, elements};
use super::limits::Limits;
use super::shader::shader;
use super::slices::{Slice, slices};
use crate::error::Result;
use crate::ops::{Mix, Op};

/// A dispatch for each pair of slices of the batch of which the second may hold partners of images of the first: the slice
/// itself, the one before it, and for the first image any, as only the step knows the last real one.
pub(super) fn kernels(op: &Op, d: &Mix, limits: &Limits) -> Result<Kernels> {
    let image = d.image();
    let slices = slices(op, d.batch, 1, &[image], limits)?;
    let mut dispatches = Vec::new();
    for (number, own) in slices.iter().enumerate() {
        for (other, partners) in slices.iter().enumerate() {
            let is_first = number == 0;
            if other != number && other + 1 != number && !is_first {
                continue;
            }
            // Of the first slice, only image 0 has a partner in a later one.
            let count = if is_first && other > 0 { 1 } else { own.count };
            dispatches.push(dispatch(d, own, partners, count, limits));
        }
    }
    Ok(Kernels { dispatches, scratch: Vec::new() })
}

/// Mixes the first `count` images of `own` whose partners are in `partners`.
fn dispatch(d: &Mix, own: &Slice, partners: &Slice, count: usize, limits: &Limits) -> super::Dispatch {
    let image = d.image();
    let constants = constants([
        ("batch", d.batch),
        ("height", d.height),
        ("width", d.width),
        ("image", image),
        ("first", own.first),
        ("first_partner", partners.first),
        ("partners", partners.count),
    ]);
    let bindings = vec![own.bind(0, image), partners.bind(0, image), Binding::operand(1), own.bind(2, image)];
    let shader = shader!("augment/mix", "shared/hyper", "shared/elements");
    elements(shader, count * image, 0, constants, bindings, limits)
}
