//! Kernels of local response normalisation and of batch normalisation.

use super::dispatch::{Binding, Dispatch, DispatchKind, Kernels, fold};
use super::elements::{constants, elements};
use super::limits::Limits;
use super::rounds::{MOST_PIECES, reduction, rounds, runs, strided};
use super::shader::{Shader, shader};
use super::slices::{Slice, slices};
use crate::error::Result;
use crate::ops::{BatchNorm2d, LocalResponseNorm, LocalResponseNormWithin, Op};

pub(super) fn local_response_norm_forward(
    op: &Op,
    d: &LocalResponseNorm,
    limits: &Limits,
) -> Result<Kernels> {
    local_response_norm(
        op,
        shader!(
            "norm/local_response_norm_forward",
            "norm/response_power",
            "shared/elementary",
            "shared/elements"
        ),
        d,
        limits,
    )
}

pub(super) fn local_response_norm_backward(
    op: &Op,
    d: &LocalResponseNorm,
    limits: &Limits,
) -> Result<Kernels> {
    local_response_norm(
        op,
        shader!(
            "norm/local_response_norm_backward",
            "norm/response_power",
            "shared/elementary",
            "shared/elements"
        ),
        d,
        limits,
    )
}

pub(super) fn local_response_norm_within_forward(
    op: &Op,
    d: &LocalResponseNormWithin,
    limits: &Limits,
) -> Result<Kernels> {
    local_response_norm_within(
        op,
        shader!(
            "norm/local_response_norm_within_forward",
            "norm/response_power",
            "shared/elementary",
            "shared/elements"
        ),
        d,
        limits,
    )
}

pub(super) fn local_response_norm_within_backward(
    op: &Op,
    d: &LocalResponseNormWithin,
    limits: &Limits,
) -> Result<Kernels> {
    local_response_norm_within(
        op,
        shader!(
            "norm/local_response_norm_within_backward",
            "norm/response_power",
            "shared/elementary",
            "shared/elements"
        ),
        d,
        limits,
    )
}

/// One dispatch per slice of images; every operand is a tensor of activations.
fn local_response_norm(op: &Op, shader: Shader, d: &LocalResponseNorm, limits: &Limits) -> Result<Kernels> {
    let image = d.channels * d.inner;
    let mut geometry = constants([("channels", d.channels), ("inner", d.inner), ("size", d.size)]);
    geometry.extend([("alpha", f64::from(d.alpha)), ("beta", f64::from(d.beta))]);
    if matches!(op, Op::LocalResponseNormForward(_)) {
        geometry.push(("k", f64::from(d.k)));
    }
    let operands = op.operands().len();
    let dispatches = slices(op, d.batch, 1, &[image], limits)?
        .iter()
        .map(|slice| {
            let bindings = (0..operands).map(|i| slice.bind(i, image)).collect();
            let each = rounds(d.size.min(d.channels), 0);
            elements(shader, slice.count * image, each, geometry.clone(), bindings, limits)
        })
        .collect();
    Ok(Kernels { dispatches, scratch: Vec::new() })
}

/// One dispatch per slice of maps; every operand is a tensor of activations.
fn local_response_norm_within(
    op: &Op,
    shader: Shader,
    d: &LocalResponseNormWithin,
    limits: &Limits,
) -> Result<Kernels> {
    let map = d.h * d.w;
    let mut geometry = constants([("h", d.h), ("w", d.w), ("size", d.size)]);
    geometry.extend([("alpha", f64::from(d.alpha)), ("beta", f64::from(d.beta))]);
    if matches!(op, Op::LocalResponseNormWithinForward(_)) {
        geometry.push(("k", f64::from(d.k)));
    }
    let operands = op.operands().len();
    let dispatches = slices(op, d.batch * d.channels, 1, &[map], limits)?
        .iter()
        .map(|slice| {
            let bindings = (0..operands).map(|i| slice.bind(i, map)).collect();
            let each = rounds(d.size.min(d.h), rounds(d.size.min(d.w), 0));
            elements(shader, slice.count * map, each, geometry.clone(), bindings, limits)
        })
        .collect();
    Ok(Kernels { dispatches, scratch: Vec::new() })
}

/// Elements of one channel that one workgroup sums: 128 for each thread, enough to be worth its reduction.
const PART: usize = 32_768;

/// THREADS of the kernels that sum a part.
const THREADS: usize = 256;

/// How the sums over a channel are divided; a function of the shape alone, so that the order of a sum is too.
struct Parts {
    /// Images of a part: a power of two, so that many tensors can be cut between parts. 1 where an image has several.
    images: usize,
    /// Elements of each of its images.
    run: usize,
    per_image: usize,
    count: usize,
}

impl Parts {
    fn new(d: &BatchNorm2d) -> Self {
        let (run, per_image) = runs(d.inner);
        let few: usize = 1 << (PART / d.inner.max(1)).max(1).ilog2();
        let least = d.batch.div_ceil(MOST_PIECES).max(1).next_power_of_two();
        let images = if per_image > 1 { 1 } else { few.max(least) };
        Parts { images, run, per_image, count: d.batch.div_ceil(images) * per_image }
    }

    fn constants(&self, d: &BatchNorm2d) -> Vec<(&'static str, f64)> {
        constants([
            ("batch", d.batch),
            ("channels", d.channels),
            ("inner", d.inner),
            ("images", self.images),
            ("run", self.run),
            ("parts_per_image", self.per_image),
        ])
    }

    /// Two numbers for each part and channel.
    fn scratch(&self, d: &BatchNorm2d) -> usize {
        (2 * self.count * d.channels).max(1)
    }

    /// One dispatch per slice of the batch, one workgroup for each part and channel of it.
    fn dispatches(
        &self,
        op: &Op,
        d: &BatchNorm2d,
        shader: Shader,
        bindings: impl Fn(&Slice) -> Vec<Binding>,
        limits: &Limits,
    ) -> Result<Vec<Dispatch>> {
        let slices = slices(op, d.batch, self.images, &[d.channels * d.inner], limits)?;
        let dispatch = |slice: &Slice| {
            let parts = slice.count.div_ceil(self.images) * self.per_image;
            let mut constants = self.constants(d);
            constants.push(("first_part", (slice.first / self.images * self.per_image) as f64));
            constants.push(("parts", parts as f64));
            Dispatch {
                kind: DispatchKind::Kernel,
                shader,
                constants,
                bindings: bindings(slice),
                groups: fold(parts * d.channels, limits),
                rounds: 2 * (strided(self.images.min(d.batch) * self.run, THREADS, 0) + reduction(THREADS)),
            }
        };
        Ok(slices.iter().map(dispatch).collect())
    }
}

pub(super) fn stats(op: &Op, d: &BatchNorm2d, limits: &Limits) -> Result<Kernels> {
    let parts = Parts::new(d);
    let image = d.channels * d.inner;
    let mut dispatches = parts.dispatches(
        op,
        d,
        shader!("norm/batch_norm2d_stats", "norm/batch_norm2d_part", "shared/reduce", "shared/hyper"),
        |slice| vec![slice.bind(0, image), Binding::operand(1), Binding::scratch(0)],
        limits,
    )?;
    let mut constants = parts.constants(d);
    constants.extend([("parts", parts.count as f64), ("momentum", f64::from(d.momentum))]);
    let mut bindings = vec![Binding::scratch(0)];
    bindings.extend((1..6).map(Binding::operand));
    dispatches.push(elements(
        shader!("norm/batch_norm2d_stats_total", "norm/batch_norm2d_part", "shared/hyper", "shared/elements"),
        d.channels,
        2 * rounds(parts.count, 0),
        constants,
        bindings,
        limits,
    ));
    Ok(Kernels { dispatches, scratch: vec![parts.scratch(d)] })
}

pub(super) fn forward(op: &Op, d: &BatchNorm2d, limits: &Limits) -> Result<Kernels> {
    let image = d.channels * d.inner;
    let mut geometry = constants([("channels", d.channels), ("inner", d.inner)]);
    geometry.extend([("eps", f64::from(d.eps)), ("relu_after", f64::from(u8::from(d.relu)))]);
    let dispatches = slices(op, d.batch, 1, &[image], limits)?
        .iter()
        .map(|slice| {
            let mut bindings = vec![slice.bind(0, image)];
            bindings.extend((1..5).map(Binding::operand));
            bindings.push(slice.bind(5, image));
            elements(
                shader!("norm/batch_norm2d_forward", "activation/relu", "shared/elements"),
                slice.count * image,
                0,
                geometry.clone(),
                bindings,
                limits,
            )
        })
        .collect();
    Ok(Kernels { dispatches, scratch: Vec::new() })
}

pub(super) fn grad_parameters(op: &Op, d: &BatchNorm2d, limits: &Limits) -> Result<Kernels> {
    let parts = Parts::new(d);
    let image = d.channels * d.inner;
    // Operands: x, w, mean, var, dy, hyper, dw, db, coefficients.
    let mut dispatches = parts.dispatches(
        op,
        d,
        shader!(
            "norm/batch_norm2d_grad_parameters",
            "norm/batch_norm2d_part",
            "shared/reduce",
            "shared/hyper"
        ),
        |slice| {
            vec![
                slice.bind(0, image),
                Binding::operand(2),
                slice.bind(4, image),
                Binding::operand(5),
                Binding::scratch(0),
            ]
        },
        limits,
    )?;
    let mut constants = parts.constants(d);
    constants.extend([("parts", parts.count as f64), ("eps", f64::from(d.eps))]);
    let mut bindings = vec![Binding::scratch(0)];
    bindings.extend([1, 2, 3, 5, 6, 7, 8].map(Binding::operand));
    dispatches.push(elements(
        shader!(
            "norm/batch_norm2d_grad_parameters_total",
            "norm/batch_norm2d_part",
            "shared/hyper",
            "shared/elements"
        ),
        d.channels,
        rounds(parts.count, 0),
        constants,
        bindings,
        limits,
    ));
    Ok(Kernels { dispatches, scratch: vec![parts.scratch(d)] })
}

pub(super) fn grad_input(op: &Op, d: &BatchNorm2d, limits: &Limits) -> Result<Kernels> {
    let image = d.channels * d.inner;
    let dispatches = slices(op, d.batch, 1, &[image], limits)?
        .iter()
        .map(|slice| {
            let geometry =
                constants([("channels", d.channels), ("inner", d.inner), ("first_row", slice.first)]);
            let bindings = vec![
                slice.bind(0, image),
                Binding::operand(1),
                slice.bind(2, image),
                Binding::operand(3),
                slice.bind(4, image),
            ];
            elements(
                shader!("norm/batch_norm2d_grad_input", "shared/hyper", "shared/elements"),
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
