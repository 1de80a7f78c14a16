//! The gradient of a bias: sums over everything but the channel, in an order that only the shape decides. What is
//! summed may be computed on the way in (`fused`).

use super::conv2d::sum_partials;
use super::dispatch::{Binding, Dispatch, DispatchKind, Kernels, fold};
use super::elements::constants;
use super::gemm::cut;
use super::limits::Limits;
use super::rounds::{MAX_ROUNDS, MOST_PIECES, reduction, rounds, runs, strided};
use super::shader::{Shader, shader};
use crate::error::Result;
use crate::ops::{BiasGrad, Op};

/// Below this, one thread sums a channel (as behind a linear layer, where `inner` is 1).
const SHORT: usize = 16;
/// Elements of dy for one workgroup of `bias_grad.wgsl`: 256 for each of its threads.
const PIECE: usize = 16_384;
/// Most elements of dy in the images of a piece, all channels together: every adapter binds twice as many.
const MOST_BOUND: usize = 1 << 24;
/// THREADS of `bias_grad.wgsl` and of `bias_grad_rows.wgsl`.
const THREADS: usize = 64;
const ROWS: usize = 64;

/// How the images are divided into pieces; a function of the shape alone.
struct Pieces {
    /// Images of a piece, or 1 where an image has several.
    images: usize,
    /// Elements of each of its images.
    run: usize,
    per_image: usize,
}

impl Pieces {
    fn of(bias: &BiasGrad) -> Self {
        let BiasGrad { batch, channels, inner } = *bias;
        let (run, per_image) = runs(inner);
        // As many images as a thread has rounds for, of which each image takes two beside those for its elements.
        let most = (MAX_ROUNDS as usize - THREADS) / (2 + inner.div_ceil(THREADS));
        let bound = MOST_BOUND / (channels * inner).max(1);
        let images = (PIECE / inner).clamp(1, batch.max(1)).min(most).min(bound);
        let images = images.max(batch.div_ceil(MOST_PIECES));
        Pieces { images: if per_image > 1 { 1 } else { images.max(1) }, run, per_image }
    }
}

/// What is summed and where it comes from.
pub(super) struct Summed {
    /// `bias_grad.wgsl` and `bias_grad_rows.wgsl` with the `gradient` they call.
    pub by_group: Shader,
    pub by_row: Shader,
    /// What `gradient` needs.
    pub constants: Vec<(&'static str, f64)>,
    /// The operands before db: number, and elements for one image.
    pub operands: Vec<(usize, usize)>,
    /// Number of the operand db.
    pub db: usize,
    /// Rounds of the loops of one `gradient`.
    pub rounds: u64,
    /// Floating-point operations.
    pub flops: u64,
}

pub(super) fn kernels(op: &Op, bias: &BiasGrad, limits: &Limits) -> Result<Kernels> {
    let plain = Summed {
        by_group: shader!("bias_grad/bias_grad", "bias_grad/gradient_plain"),
        by_row: shader!("bias_grad/bias_grad_rows", "bias_grad/gradient_plain"),
        constants: Vec::new(),
        operands: vec![(0, bias.channels * bias.inner)],
        db: 1,
        rounds: 0,
        flops: op.flops(),
    };
    sums(op, bias, &plain, limits)
}

/// The dispatches of a bias' gradient over the elements that `summed` describes.
pub(super) fn sums(op: &Op, bias: &BiasGrad, summed: &Summed, limits: &Limits) -> Result<Kernels> {
    let BiasGrad { batch, channels, inner } = *bias;
    let image = channels * inner;
    let with = |more: Vec<(&'static str, f64)>| summed.constants.iter().copied().chain(more).collect();
    // This holds for any computation on load: all kernels have to sum in the same order.
    let few = rounds(batch, rounds(inner, 0)) <= MAX_ROUNDS;
    if inner < SHORT && batch * image <= 1 << 24 && few {
        let all = constants([("batch", batch), ("channels", channels), ("inner", inner)]);
        let operands = summed.operands.iter().map(|&(i, _)| i).chain([summed.db]);
        let dispatch = Dispatch {
            kind: DispatchKind::Kernel,
            shader: summed.by_row,
            constants: with(all),
            bindings: operands.map(Binding::operand).collect(),
            groups: fold(channels.div_ceil(ROWS), limits),
            rounds: rounds(batch, rounds(inner, summed.rounds)),
        };
        return Ok(Kernels { dispatches: vec![dispatch], scratch: Vec::new() });
    }
    let Pieces { images, run, per_image } = Pieces::of(bias);
    let sets = batch.div_ceil(images);
    let pieces = sets * per_image;
    let mut kernels = Kernels::default();
    let each = summed.flops / sets.max(1) as u64;
    let sizes: Vec<usize> = summed.operands.iter().map(|&(_, size)| images * size).collect();
    for part in cut(op, sets, each, &sizes, limits)? {
        let first = part.first * images;
        let count = (part.count * images).min(batch - first);
        let bind = |&(i, size): &(usize, usize)| {
            if part.count == sets {
                Binding::operand(i)
            } else {
                Binding::slice(i, first * size, count * size)
            }
        };
        let db = if pieces > 1 { Binding::scratch(0) } else { Binding::operand(summed.db) };
        kernels.dispatches.push(Dispatch {
            kind: DispatchKind::Kernel,
            shader: summed.by_group,
            constants: with(constants([
                ("batch", count),
                ("channels", channels),
                ("inner", inner),
                ("images", images),
                ("run", run),
                ("pieces_per_image", per_image),
                ("first_piece", part.first * per_image),
                ("pieces", part.count * per_image),
            ])),
            bindings: summed.operands.iter().map(bind).chain([db]).collect(),
            groups: fold(part.count * per_image * channels, limits),
            rounds: rounds(images, strided(run, THREADS, summed.rounds)) + reduction(THREADS),
        });
    }
    if pieces > 1 {
        kernels.scratch.push(pieces * channels);
        kernels.dispatches.push(sum_partials(pieces, channels, summed.db, limits));
    }
    Ok(kernels)
}
