//! Kernels of the factors of channels and of layer normalisation over channels.

use super::bias_grad::{Summed, sums};
use super::dispatch::{Binding, Dispatch, DispatchKind, Kernels, fold};
use super::elements::{constants, elements};
use super::limits::Limits;
use super::rounds::{rounds, strided};
use super::shader::{Shader, shader};
use super::slices::slices;
use crate::error::Result;
use crate::ops::{BiasGrad, LayerNorm, Op, Scale};

/// PLACES and LANES of `shaders/norm/layer_norm.wgsl`.
const PLACES: usize = 32;
const LANES: usize = 8;

/// One dispatch per slice of images; operands x, w, y.
pub(super) fn scale(op: &Op, d: &Scale, limits: &Limits) -> Result<Kernels> {
    let image = d.channels * d.inner;
    let dispatches = slices(op, d.batch, 1, &[image], limits)?
        .iter()
        .map(|slice| {
            let geometry = constants([("channels", d.channels), ("inner", d.inner)]);
            let bindings = vec![slice.bind(0, image), Binding::operand(1), slice.bind(2, image)];
            elements(
                shader!("norm/scale", "shared/elements"),
                slice.count * image,
                0,
                geometry,
                bindings,
                limits,
            )
        })
        .collect();
    Ok(Kernels { dispatches, scratch: Vec::new() })
}

/// Operands x, dy, dw.
pub(super) fn scale_grad_weight(op: &Op, d: &Scale, limits: &Limits) -> Result<Kernels> {
    let (bias, image) =
        (BiasGrad { batch: d.batch, channels: d.channels, inner: d.inner }, d.channels * d.inner);
    let summed = Summed {
        by_group: shader!("norm/scale_grad_weight", "bias_grad/bias_grad").variant("bias_grad"),
        by_row: shader!("norm/scale_grad_weight", "bias_grad/bias_grad_rows").variant("bias_grad_rows"),
        constants: Vec::new(),
        operands: vec![(0, image), (1, image)],
        db: 2,
        rounds: 0,
        flops: op.flops(),
    };
    sums(op, &bias, &summed, limits)
}

pub(super) fn layer_norm_forward(op: &Op, d: &LayerNorm, limits: &Limits) -> Result<Kernels> {
    let shader = shader!("norm/layer_norm_forward", "norm/layer_norm");
    let eps = [("eps", f64::from(d.eps))];
    // Operands: x, w, b, y, mean, r.
    by_place(
        op,
        d,
        shader,
        &eps,
        &[Side::Image, Side::Whole, Side::Whole, Side::Image, Side::Place, Side::Place],
        limits,
    )
}

pub(super) fn layer_norm_grad_input(op: &Op, d: &LayerNorm, limits: &Limits) -> Result<Kernels> {
    let shader = shader!("norm/layer_norm_grad_input", "norm/layer_norm");
    // Operands: x, w, mean, r, dy, dx.
    by_place(
        op,
        d,
        shader,
        &[],
        &[Side::Image, Side::Whole, Side::Place, Side::Place, Side::Image, Side::Image],
        limits,
    )
}

/// Operands x, mean, r, dy, dw.
pub(super) fn layer_norm_grad_weight(op: &Op, d: &LayerNorm, limits: &Limits) -> Result<Kernels> {
    let (bias, image) =
        (BiasGrad { batch: d.batch, channels: d.channels, inner: d.inner }, d.channels * d.inner);
    let summed = Summed {
        by_group: shader!("norm/layer_norm_grad_weight", "bias_grad/bias_grad").variant("bias_grad"),
        by_row: shader!("norm/layer_norm_grad_weight", "bias_grad/bias_grad_rows").variant("bias_grad_rows"),
        constants: Vec::new(),
        operands: vec![(0, image), (1, d.inner), (2, d.inner), (3, image)],
        db: 4,
        rounds: 0,
        flops: op.flops(),
    };
    sums(op, &bias, &summed, limits)
}

/// What an operand has for each image.
#[derive(Clone, Copy)]
enum Side {
    /// A number for each channel and position.
    Image,
    /// A number for each position.
    Place,
    /// It does not depend on the image.
    Whole,
}

/// One workgroup for [`PLACES`] positions, one dispatch per slice of images.
fn by_place(
    op: &Op,
    d: &LayerNorm,
    shader: Shader,
    more: &[(&'static str, f64)],
    sides: &[Side],
    limits: &Limits,
) -> Result<Kernels> {
    let image = d.channels * d.inner;
    let dispatches = slices(op, d.batch, 1, &[image, d.inner], limits)?
        .iter()
        .map(|slice| {
            let places = slice.count * d.inner;
            let mut constants = constants([("places", places), ("channels", d.channels), ("inner", d.inner)]);
            constants.extend(more);
            let bind = |(i, side): (usize, &Side)| match side {
                Side::Image => slice.bind(i, image),
                Side::Place => slice.bind(i, d.inner),
                Side::Whole => Binding::operand(i),
            };
            Dispatch {
                kind: DispatchKind::Kernel,
                shader,
                constants,
                bindings: sides.iter().enumerate().map(bind).collect(),
                groups: fold(places.div_ceil(PLACES), limits),
                rounds: 3 * strided(d.channels, LANES, 0) + 2 * rounds(LANES, 0),
            }
        })
        .collect();
    Ok(Kernels { dispatches, scratch: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shader_has_as_many_places_and_lanes_as_are_planned() {
        let source = include_str!("../../../shaders/norm/layer_norm.wgsl");
        assert!(source.contains(&format!("const PLACES = {PLACES}u;")));
        assert!(source.contains(&format!("const LANES = {LANES}u;")));
    }
}
