//! Kernels of the rectifier with a trained slope.

use super::bias_grad::{Summed, sums};
use super::dispatch::{Binding, Kernels};
use super::elements::{constants, elements};
use super::limits::Limits;
use super::shader::{Shader, shader};
use super::slices::{Slice, slices};
use crate::error::Result;
use crate::ops::{BiasGrad, Op, Prelu};

/// Operands x, w, y.
pub(super) fn forward(op: &Op, d: &Prelu, limits: &Limits) -> Result<Kernels> {
    let shader = shader!("activation/prelu_forward", "shared/elements");
    by_image(op, d, shader, limits, |slice, image| {
        vec![slice.bind(0, image), Binding::operand(1), slice.bind(2, image)]
    })
}

/// Operands x, w, dy, dx.
pub(super) fn grad_input(op: &Op, d: &Prelu, limits: &Limits) -> Result<Kernels> {
    let shader = shader!("activation/prelu_grad_input", "shared/elements");
    by_image(op, d, shader, limits, |slice, image| {
        vec![slice.bind(0, image), Binding::operand(1), slice.bind(2, image), slice.bind(3, image)]
    })
}

/// What one weight belongs to, as channels and their elements in an image: all elements if it is shared.
fn extents(d: &Prelu) -> (usize, usize) {
    if d.shared { (1, d.channels * d.inner) } else { (d.channels, d.inner) }
}

/// One dispatch per slice of images.
fn by_image(
    op: &Op,
    d: &Prelu,
    shader: Shader,
    limits: &Limits,
    bindings: impl Fn(&Slice, usize) -> Vec<Binding>,
) -> Result<Kernels> {
    let ((channels, inner), image) = (extents(d), d.channels * d.inner);
    let dispatches = slices(op, d.batch, 1, &[image], limits)?
        .iter()
        .map(|slice| {
            let geometry = constants([("channels", channels), ("inner", inner)]);
            elements(shader, slice.count * image, 0, geometry, bindings(slice, image), limits)
        })
        .collect();
    Ok(Kernels { dispatches, scratch: Vec::new() })
}

/// The sums of a bias' gradient, over x dy; operands x, dy, dw.
pub(super) fn grad_weight(op: &Op, d: &Prelu, limits: &Limits) -> Result<Kernels> {
    let ((channels, inner), image) = (extents(d), d.channels * d.inner);
    let summed = Summed {
        by_group: shader!("activation/prelu_grad_weight", "bias_grad/bias_grad").variant("bias_grad"),
        by_row: shader!("activation/prelu_grad_weight", "bias_grad/bias_grad_rows").variant("bias_grad_rows"),
        constants: Vec::new(),
        operands: vec![(0, image), (1, image)],
        db: 2,
        rounds: 0,
        flops: op.flops(),
    };
    sums(op, &BiasGrad { batch: d.batch, channels, inner }, &summed, limits)
}
