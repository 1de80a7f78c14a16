//! Kernels of softmax, of the losses and of the record of a step: one workgroup for each row.

use super::dispatch::{Binding, Dispatch, DispatchKind, Kernels, fold};
use super::elements::constants;
use super::limits::Limits;
use super::rounds::{reduction, strided};
use super::shader::{Shader, files, shader};
use super::slices::slices;
use crate::error::{Error, Result};
use crate::ops::{Loss, Metrics, Op, Softmax, Target};

/// THREADS of the kernels of a row, and of `metrics.wgsl`.
const THREADS: usize = 64;
const METRICS: usize = 256;

pub(super) fn softmax_forward(op: &Op, d: &Softmax, limits: &Limits) -> Result<Kernels> {
    softmax(op, shader!("activation/softmax_forward", "shared/elementary", "shared/reduce"), d, limits)
}

pub(super) fn softmax_backward(op: &Op, d: &Softmax, limits: &Limits) -> Result<Kernels> {
    softmax(op, shader!("activation/softmax_backward", "shared/reduce"), d, limits)
}

pub(super) fn cross_entropy(op: &Op, d: &Loss, limits: &Limits) -> Result<Kernels> {
    if d.target == Target::Values {
        return Err(Error::Model(
            "cross_entropy: expected class numbers as labels, found one value per output; use half_squared_error".into(),
        ));
    }
    let shader = if d.weighted {
        shader!(
            "loss/cross_entropy",
            "loss/class_weights",
            "loss/loss_grad",
            "loss/rank",
            "shared/elementary",
            "shared/reduce",
            "shared/hyper"
        )
        .variant("weighted")
    } else if d.grad {
        shader!(
            "loss/cross_entropy",
            "loss/class_weights_none",
            "loss/loss_grad",
            "loss/rank",
            "shared/elementary",
            "shared/reduce",
            "shared/hyper"
        )
        .variant("grad")
    } else {
        shader!(
            "loss/cross_entropy",
            "loss/class_weights_none",
            "loss/loss_only",
            "loss/rank",
            "shared/elementary",
            "shared/reduce",
            "shared/hyper"
        )
    };
    let shader = match d.mixed {
        true => shader.with(files!["loss/labels_mixed"]).variant("mixed"),
        false => shader.with(files!["loss/labels_own"]),
    };
    loss(op, shader, d, ("smoothing", f64::from(d.smoothing)), limits)
}

pub(super) fn half_squared_error(op: &Op, d: &Loss, limits: &Limits) -> Result<Kernels> {
    let shader = if d.grad {
        shader!("loss/half_squared_error", "loss/loss_grad", "loss/rank", "shared/reduce", "shared/hyper")
            .variant("grad")
    } else {
        shader!("loss/half_squared_error", "loss/loss_only", "loss/rank", "shared/reduce", "shared/hyper")
    };
    let values = f64::from(u8::from(d.target == Target::Values));
    loss(op, shader, d, ("values", values), limits)
}

pub(super) fn metrics(d: &Metrics) -> Result<Kernels> {
    Ok(Kernels {
        dispatches: vec![Dispatch {
            kind: DispatchKind::Kernel,
            shader: shader!("loss/metrics", "shared/reduce", "shared/hyper"),
            constants: constants([("batch", d.batch), ("slots", d.slots)]),
            bindings: (0..4).map(Binding::operand).collect(),
            groups: [1, 1, 1],
            rounds: strided(d.batch, METRICS, 0) + 3 * reduction(METRICS),
        }],
        scratch: Vec::new(),
    })
}

/// One workgroup for each place of each image, one dispatch per slice of images.
fn softmax(op: &Op, shader: Shader, d: &Softmax, limits: &Limits) -> Result<Kernels> {
    let image = d.channels * d.inner;
    let operands = op.operands().len();
    let dispatches = slices(op, d.batch, 1, &[image], limits)?
        .iter()
        .map(|slice| {
            let rows = slice.count * d.inner;
            Dispatch {
                kind: DispatchKind::Kernel,
                shader,
                constants: constants([("rows", rows), ("channels", d.channels), ("inner", d.inner)]),
                bindings: (0..operands).map(|i| slice.bind(i, image)).collect(),
                groups: fold(rows, limits),
                rounds: 3 * strided(d.channels, THREADS, 0) + 2 * reduction(THREADS),
            }
        })
        .collect();
    Ok(Kernels { dispatches, scratch: Vec::new() })
}

/// One workgroup for each row, one dispatch per slice of rows; `constant` is the kernel's own.
fn loss(
    op: &Op,
    shader: Shader,
    d: &Loss,
    constant: (&'static str, f64),
    limits: &Limits,
) -> Result<Kernels> {
    let label = if d.target == Target::Values { d.classes } else { 1 };
    let dispatches = slices(op, d.batch, 1, &[d.classes, 1], limits)?
        .iter()
        .map(|slice| {
            let mut constants =
                constants([("classes", d.classes), ("first_row", slice.first), ("rows", slice.count)]);
            constants.push(constant);
            // The class weights stand before the outputs in the operands, and after them in the bindings, so that the
            // numbers of the others are the same with and without them.
            let out = 3 + usize::from(d.weighted);
            let mut bindings = vec![
                slice.bind(0, d.classes),
                // A row's second label may be in another slice.
                if d.mixed { Binding::operand(1) } else { slice.bind(1, label) },
                Binding::operand(2),
                slice.bind(out, 1),
                slice.bind(out + 1, 1),
            ];
            if d.grad {
                bindings.push(slice.bind(out + 2, d.classes));
            }
            if d.weighted {
                bindings.push(Binding::operand(3));
            }
            // At most as many passes over a row, and as many reductions, in either loss; class weights are added up, too.
            let rounds = 4 * (strided(d.classes, THREADS, 0) + reduction(THREADS))
                + u64::from(d.weighted) * reduction(THREADS);
            Dispatch {
                kind: DispatchKind::Kernel,
                shader,
                constants,
                bindings,
                groups: fold(slice.count, limits),
                rounds,
            }
        })
        .collect();
    Ok(Kernels { dispatches, scratch: Vec::new() })
}
