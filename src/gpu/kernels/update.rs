//! Kernels of gradient accumulation, clipping and the optimisers.

use super::dispatch::{Binding, Dispatch, DispatchKind, Kernels, fold};
use super::elements::{constants, elements};
use super::limits::Limits;
use super::rounds::{reduction, rounds, strided};
use super::shader::{Shader, files, shader};
use super::slices::slices;
use crate::error::Result;
use crate::ops::{Ema, GradClip, GradNorm, GradScale, GradUnscale, Op, OperandKind, Pointwise, Update};

/// THREADS of `grad_clip.wgsl` and `grad_unscale.wgsl`, and of the two of the norm.
const NORMS: usize = 64;
const SQUARES: usize = 256;
/// Rounds of `correction` of `grad_unscale.wgsl`.
const CORRECTION: usize = 25;

pub(super) fn grad_accumulate(op: &Op, d: &Pointwise, limits: &Limits) -> Result<Kernels> {
    let shader = shader!("update/grad_accumulate", "shared/hyper", "shared/elements");
    elementwise(op, shader, d.len, &[], limits)
}

pub(super) fn grad_clip(d: &GradClip) -> Result<Kernels> {
    Ok(Kernels {
        dispatches: vec![Dispatch {
            kind: DispatchKind::Kernel,
            shader: shader!("update/grad_clip", "shared/reduce", "shared/hyper"),
            constants: constants([("count", d.count)]),
            bindings: (0..3).map(Binding::operand).collect(),
            groups: [1, 1, 1],
            rounds: strided(d.count, NORMS, 0) + reduction(NORMS),
        }],
        scratch: Vec::new(),
    })
}

pub(super) fn grad_scale(op: &Op, d: &GradScale, limits: &Limits) -> Result<Kernels> {
    elementwise(op, shader!("update/grad_scale", "shared/elements"), d.len, &[], limits)
}

pub(super) fn grad_unscale(d: &GradUnscale) -> Result<Kernels> {
    Ok(Kernels {
        dispatches: vec![Dispatch {
            kind: DispatchKind::Kernel,
            shader: shader!("update/grad_unscale", "shared/reduce", "shared/hyper"),
            constants: constants([
                ("count", d.count),
                ("clip", usize::from(d.clip)),
                ("interval", d.interval),
            ]),
            bindings: (0..4).map(Binding::operand).collect(),
            groups: [1, 1, 1],
            rounds: strided(d.count, NORMS, 0) + reduction(NORMS) + 2 * rounds(CORRECTION, 0),
        }],
        scratch: Vec::new(),
    })
}

pub(super) fn ema(op: &Op, d: &Ema, limits: &Limits) -> Result<Kernels> {
    let shader = match d.scaled {
        true => shader!("update/ema", "update/ema_scaled", "shared/elements").variant("unscale"),
        false => shader!("update/ema", "update/ema_every", "shared/elements"),
    };
    elementwise(op, shader, d.len, &[("weight", f64::from(d.weight()))], limits)
}

/// One dispatch per slice of `len` elements. Operands of another length (hyper, factor, scaling) are bound whole.
fn elementwise(
    op: &Op,
    shader: Shader,
    len: usize,
    constants: &[(&'static str, f64)],
    limits: &Limits,
) -> Result<Kernels> {
    let operands = op.operands();
    let dispatches = slices(op, len, 1, &[1], limits)?
        .iter()
        .map(|slice| {
            let bind = |(i, kind): (usize, OperandKind)| match kind {
                OperandKind::Hyper | OperandKind::Factor | OperandKind::Scaling | OperandKind::Record => {
                    Binding::operand(i)
                }
                _ => slice.bind(i, 1),
            };
            let bindings = operands.iter().map(|o| o.kind).enumerate().map(bind).collect();
            elements(shader, slice.count, 0, constants.to_vec(), bindings, limits)
        })
        .collect();
    Ok(Kernels { dispatches, scratch: Vec::new() })
}

/// A shader and its constants.
type Sourced = (Shader, Vec<(&'static str, f64)>);

/// The shader of an update of one tensor, and that of many tensors at once.
pub(super) fn update_shaders(op: &Op, d: &Update) -> (Sourced, Sourced) {
    let momentum = if d.momentum { "momentum" } else { "" };
    let optimizer = match op {
        Op::Adam(_) => Shader::new(files!["update/adam", "update/adam_step"]),
        Op::AdamW(_) => Shader::new(files!["update/adamw", "update/adam_step"]),
        Op::RmsProp(_) if d.momentum => Shader::new(files!["update/rmsprop", "update/momentum_buffer"]),
        Op::RmsProp(_) => Shader::new(files!["update/rmsprop", "update/momentum_none"]),
        _ if d.momentum => Shader::new(files!["update/sgd", "update/momentum_buffer"]),
        _ => Shader::new(files!["update/sgd", "update/momentum_none"]),
    };
    let optimizer =
        if matches!(op, Op::Sgd(_) | Op::RmsProp(_)) { optimizer.variant(momentum) } else { optimizer };
    let recorded = match d.number > 0 {
        true => optimizer.with(files!["update/record"]).variant("record"),
        false => optimizer.with(files!["update/record_none"]),
    };
    let clipped = if d.scaled {
        recorded.with(files!["update/clip_unscale", "update/update"]).variant("unscale")
    } else if d.clip {
        recorded.with(files!["update/clip_factor", "update/update"]).variant("clip")
    } else {
        recorded.with(files!["update/clip_none", "update/update"])
    };
    let one = clipped.with(files!["update/update_one", "shared/hyper", "shared/elements", "shared/prelude"]);
    let table =
        clipped.with(files!["update/update_table", "shared/hyper", "shared/prelude"]).variant("table");
    let mut constants = Vec::new();
    if d.momentum && matches!(op, Op::Sgd(_) | Op::RmsProp(_)) {
        let nesterov = d.nesterov && matches!(op, Op::Sgd(_));
        constants.push(("nesterov", f64::from(u8::from(nesterov))));
    }
    ((one, constants.clone()), (table, constants))
}

pub(super) fn update(op: &Op, d: &Update, limits: &Limits) -> Result<Kernels> {
    let (shader, mut constants) = update_shaders(op, d).0;
    constants.extend([("lr_mult", f64::from(d.lr_mult)), ("decay_mult", f64::from(d.decay_mult))]);
    constants.push(("number", f64::from(d.number)));
    elementwise(op, shader, d.len, &constants, limits)
}

/// Elements that one workgroup sums: CHUNK of `shaders/update/grad_norm.wgsl`.
const CHUNK: usize = 16_384;

pub(super) fn grad_norm(op: &Op, d: &GradNorm, limits: &Limits) -> Result<Kernels> {
    let chunks = d.len.div_ceil(CHUNK).max(1);
    let mut dispatches: Vec<Dispatch> = slices(op, d.len, CHUNK, &[1], limits)?
        .iter()
        .map(|slice| Dispatch {
            kind: DispatchKind::Kernel,
            shader: shader!("update/grad_norm", "shared/reduce"),
            constants: constants([("size", slice.count), ("first_chunk", slice.first / CHUNK)]),
            bindings: vec![slice.bind(0, 1), Binding::scratch(0)],
            groups: fold(slice.count.div_ceil(CHUNK), limits),
            rounds: strided(CHUNK, SQUARES, 0) + reduction(SQUARES),
        })
        .collect();
    dispatches.push(Dispatch {
        kind: DispatchKind::Kernel,
        shader: shader!("update/grad_norm_total", "shared/reduce"),
        constants: constants([("chunks", chunks), ("index", d.index)]),
        bindings: vec![Binding::scratch(0), Binding::operand(1)],
        groups: [1, 1, 1],
        rounds: strided(chunks, SQUARES, 0) + reduction(SQUARES),
    });
    Ok(Kernels { dispatches, scratch: vec![chunks] })
}
