//! Kernels that change height and width: padding and upsampling.

use super::dispatch::Kernels;
use super::elements::{constants, elements};
use super::limits::Limits;
use super::rounds::rounds;
use super::shader::{Shader, shader};
use super::slices::slices;
use crate::error::Result;
use crate::ops::{Op, Pad2d, Upsample};

/// Operands x, y or dy, dx.
pub(super) fn pad(op: &Op, d: &Pad2d, limits: &Limits) -> Result<Kernels> {
    let extents = [d.h_in, d.w_in, d.h_out(), d.w_out()];
    let more = constants([("pad_top", d.pad[0]), ("pad_left", d.pad[1])]);
    let (shader, is_forward) = match op {
        Op::PadForward(_) => (shader!("resize/pad_forward", "shared/elements"), true),
        _ => (shader!("resize/pad_backward", "shared/elements"), false),
    };
    planes(op, shader, d.batch * d.channels, extents, is_forward, more, 0, limits)
}

/// Operands x, y or dy, dx.
pub(super) fn upsample(op: &Op, d: &Upsample, limits: &Limits) -> Result<Kernels> {
    let extents = [d.h_in, d.w_in, d.h_out(), d.w_out()];
    let more = constants([("scale_h", d.scale[0]), ("scale_w", d.scale[1])]);
    let (shader, is_forward, each) = match op {
        Op::UpsampleForward(_) => (shader!("resize/upsample_forward", "shared/elements"), true, 0),
        _ => {
            let each = rounds(d.scale[0], rounds(d.scale[1], 0));
            (shader!("resize/upsample_backward", "shared/elements"), false, each)
        }
    };
    planes(op, shader, d.batch * d.channels, extents, is_forward, more, each, limits)
}

/// One dispatch per slice of planes. `extents` are height and width of x and of y; an element of what is computed, y or dx,
/// takes `each` rounds.
#[allow(clippy::too_many_arguments, reason = "the one place where all of them meet")]
fn planes(
    op: &Op,
    shader: Shader,
    count: usize,
    [h_in, w_in, h_out, w_out]: [usize; 4],
    is_forward: bool,
    more: Vec<(&'static str, f64)>,
    each: u64,
    limits: &Limits,
) -> Result<Kernels> {
    let mut geometry = constants([("h_in", h_in), ("w_in", w_in), ("h_out", h_out), ("w_out", w_out)]);
    geometry.extend(more);
    let (small, large) = (h_in * w_in, h_out * w_out);
    let [read, computed] = if is_forward { [small, large] } else { [large, small] };
    let dispatches = slices(op, count, 1, &[small, large], limits)?
        .iter()
        .map(|slice| {
            let bindings = vec![slice.bind(0, read), slice.bind(1, computed)];
            elements(shader, slice.count * computed, each, geometry.clone(), bindings, limits)
        })
        .collect();
    Ok(Kernels { dispatches, scratch: Vec::new() })
}
