//! The gradient of a bias: sums over everything but the channel, in an order that only the shape decides.

use super::conv2d::sum_partials;
use super::elements::{constants, elements};
use super::gemm::cut;
use super::{Binding, Dispatch, Kernels, Limits, Shader, fold, shader};
use crate::error::Result;
use crate::ops::{BiasGrad, Op};

const BY_GROUP: Shader = shader!("bias_grad", "prelude");
const BY_ELEMENT: Shader = shader!("bias_grad_rows", "elements", "prelude");

/// Below this, one thread sums a channel (as behind a linear layer, where `inner` is 1).
const SHORT: usize = 16;
/// Elements of dy for one workgroup of `bias_grad.wgsl`: 256 for each of its threads.
const PIECE: usize = 16_384;

pub(super) fn kernels(op: &Op, limits: &Limits) -> Result<Kernels> {
    let Op::BiasGrad(bias) = op else { return Ok(Kernels::default()) };
    let BiasGrad { batch, channels, inner } = *bias;
    let image = channels * inner;
    if inner < SHORT && batch * image <= 1 << 24 {
        let all = constants([("batch", batch), ("channels", channels), ("inner", inner)]);
        let bindings = vec![Binding::operand(0), Binding::operand(1)];
        let dispatches = vec![elements(BY_ELEMENT, channels, all, bindings, limits)];
        return Ok(Kernels { dispatches, scratch: Vec::new() });
    }
    let images = (PIECE / inner).clamp(1, batch.max(1));
    let pieces = batch.div_ceil(images);
    let mut kernels = Kernels::default();
    let each = op.flops() / pieces.max(1) as u64;
    for part in cut(op, pieces, each, &[images * image], limits)? {
        let first = part.first * images;
        let count = (part.count * images).min(batch - first);
        let dy = if part.count == pieces {
            Binding::operand(0)
        } else {
            Binding::slice(0, first * image, count * image)
        };
        let db = if pieces > 1 { Binding::scratch(0) } else { Binding::operand(1) };
        kernels.dispatches.push(Dispatch {
            shader: BY_GROUP,
            constants: constants([
                ("batch", count),
                ("channels", channels),
                ("inner", inner),
                ("images", images),
                ("first_piece", part.first),
                ("pieces", part.count),
            ]),
            bindings: vec![dy, db],
            groups: fold(part.count * channels, limits),
        });
    }
    if pieces > 1 {
        kernels.scratch.push(pieces * channels);
        kernels.dispatches.push(sum_partials(pieces, channels, 1, limits));
    }
    Ok(kernels)
}
