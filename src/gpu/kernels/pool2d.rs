//! Kernels of pooling. All gather: one thread for each output (forward) or input (backward) element, or one workgroup
//! where an element has so many terms that a thread would have too many rounds.

use super::dispatch::{Binding, Dispatch, DispatchKind, Kernels, fold};
use super::elements::{constants, elements, thread_rounds};
use super::limits::Limits;
use super::rounds::{
    GATHER_TERMS as TERMS, GATHER_THREADS as THREADS, MAX_ROUNDS, reduction, rounds, strided,
};
use super::shader::{Shader, shader};
use super::slices::slices;
use crate::error::Result;
use crate::ops::{AdaptiveAvgPool2d, Op, Pool2d};

/// The two forms of a kernel: one thread for each element, or one workgroup for each element and several dispatches, where
/// an element has too many terms for a thread.
struct Forms {
    short: Shader,
    long: Shader,
}

pub(super) fn max_pool2d_forward(op: &Op, d: &Pool2d, limits: &Limits) -> Result<Kernels> {
    let short = shader!("pool2d/max_pool2d_forward", "pool2d/window", "shared/elements");
    let long = shader!(
        "pool2d/max_pool2d_forward_long",
        "pool2d/window_inside",
        "pool2d/window",
        "pool2d/gather_rectangle"
    );
    windowed(op, Forms { short, long }, d, limits)
}

pub(super) fn max_pool2d_backward(op: &Op, d: &Pool2d, limits: &Limits) -> Result<Kernels> {
    let short = shader!(
        "pool2d/max_pool2d_backward",
        "pool2d/max_pool2d_gradient",
        "pool2d/window",
        "shared/elements"
    );
    let long = shader!(
        "pool2d/max_pool2d_backward_long",
        "pool2d/window",
        "shared/gather",
        "pool2d/gather_rectangle",
        "shared/reduce"
    );
    windowed(op, Forms { short, long }, d, limits)
}

pub(super) fn avg_pool2d_forward(op: &Op, d: &Pool2d, limits: &Limits) -> Result<Kernels> {
    let short = shader!("pool2d/avg_pool2d_forward", "pool2d/average", "pool2d/window", "shared/elements");
    let long = shader!(
        "pool2d/avg_pool2d_forward_long",
        "pool2d/average",
        "pool2d/window_inside",
        "pool2d/window",
        "shared/gather",
        "pool2d/gather_rectangle",
        "shared/reduce"
    );
    windowed(op, Forms { short, long }, d, limits)
}

pub(super) fn avg_pool2d_backward(op: &Op, d: &Pool2d, limits: &Limits) -> Result<Kernels> {
    let short = shader!("pool2d/avg_pool2d_backward", "pool2d/average", "pool2d/window", "shared/elements");
    let long = shader!(
        "pool2d/avg_pool2d_backward_long",
        "pool2d/average",
        "pool2d/window",
        "shared/gather",
        "pool2d/gather_rectangle",
        "shared/reduce"
    );
    windowed(op, Forms { short, long }, d, limits)
}

pub(super) fn adaptive_avg_pool2d_forward(
    op: &Op,
    d: &AdaptiveAvgPool2d,
    limits: &Limits,
) -> Result<Kernels> {
    let short = shader!("pool2d/adaptive_avg_pool2d_forward", "pool2d/adaptive_window", "shared/elements");
    let long = shader!(
        "pool2d/adaptive_avg_pool2d_forward_long",
        "pool2d/adaptive_window",
        "shared/gather",
        "pool2d/gather_rectangle",
        "shared/reduce"
    );
    adaptive(op, Forms { short, long }, d, limits)
}

pub(super) fn adaptive_avg_pool2d_backward(
    op: &Op,
    d: &AdaptiveAvgPool2d,
    limits: &Limits,
) -> Result<Kernels> {
    let short = shader!("pool2d/adaptive_avg_pool2d_backward", "pool2d/adaptive_window", "shared/elements");
    let long = shader!(
        "pool2d/adaptive_avg_pool2d_backward_long",
        "pool2d/adaptive_window",
        "shared/gather",
        "pool2d/gather_rectangle",
        "shared/reduce"
    );
    adaptive(op, Forms { short, long }, d, limits)
}

/// Most terms of an element along each axis: elements of its window, or windows that cover it.
pub(super) fn covering(d: &Pool2d) -> [usize; 2] {
    let outputs = [d.h_out(), d.w_out()];
    [0, 1].map(|axis| d.kernel[axis].div_ceil(d.stride[axis]).min(outputs[axis]))
}

/// Rounds of the loops over this many terms in one thread.
pub(super) fn term_rounds([h, w]: [usize; 2]) -> u64 {
    rounds(h, rounds(w, 0))
}

/// Whether a thread that has four elements with this many terms would have too many rounds.
pub(super) fn is_long(terms: [usize; 2]) -> bool {
    thread_rounds(term_rounds(terms)) > MAX_ROUNDS
}

/// The overrides of `window.wgsl`.
pub(super) fn window(d: &Pool2d) -> Vec<(&'static str, f64)> {
    constants([
        ("h_in", d.h_in),
        ("w_in", d.w_in),
        ("h_out", d.h_out()),
        ("w_out", d.w_out()),
        ("kernel_h", d.kernel[0]),
        ("kernel_w", d.kernel[1]),
        ("stride_h", d.stride[0]),
        ("stride_w", d.stride[1]),
        ("pad_top", d.pad[0]),
        ("pad_left", d.pad[1]),
    ])
}

fn windowed(op: &Op, forms: Forms, d: &Pool2d, limits: &Limits) -> Result<Kernels> {
    let mut geometry = window(d);
    if matches!(op, Op::AvgPool2dForward(_) | Op::AvgPool2dBackward(_)) {
        let ([first_row, end_row], [first_column, end_column]) = (d.counted(0), d.counted(1));
        geometry.extend(constants([
            ("first_row", first_row),
            ("end_row", end_row),
            ("first_column", first_column),
            ("end_column", end_column),
        ]));
    }
    let planes = [d.h_in * d.w_in, d.h_out() * d.w_out()];
    // Which of the two planes each operand has; the last operand decides what a thread computes.
    let sides: &[usize] = match op {
        Op::MaxPool2dForward(_) => &[0, 1, 1],
        Op::MaxPool2dBackward(_) => &[1, 1, 0],
        Op::AvgPool2dForward(_) => &[0, 1],
        _ => &[1, 0],
    };
    let terms = match op {
        Op::MaxPool2dForward(_) | Op::AvgPool2dForward(_) => d.kernel,
        _ => covering(d),
    };
    let planes = Planes { count: d.batch * d.channels, sizes: planes, sides };
    planewise(op, forms, planes, terms, &geometry, limits)
}

fn adaptive(op: &Op, forms: Forms, d: &AdaptiveAvgPool2d, limits: &Limits) -> Result<Kernels> {
    let geometry = constants([("h_in", d.h_in), ("w_in", d.w_in), ("h_out", d.h_out), ("w_out", d.w_out)]);
    let planes = [d.h_in * d.w_in, d.h_out * d.w_out];
    let is_forward = matches!(op, Op::AdaptiveAvgPool2dForward(_));
    let sides: &[usize] = if is_forward { &[0, 1] } else { &[1, 0] };
    // A window begins and ends between two inputs, or an input between two windows.
    let most = |len: usize, windows: usize| (len.div_ceil(windows) + 1).min(len);
    let terms = if is_forward {
        [most(d.h_in, d.h_out), most(d.w_in, d.w_out)]
    } else {
        [most(d.h_out, d.h_in), most(d.w_out, d.w_in)]
    };
    let planes = Planes { count: d.batch * d.channels, sizes: planes, sides };
    planewise(op, forms, planes, terms, &geometry, limits)
}

/// The operands of a pooling operator: `count` planes each, one for each image and channel. Those of operand i have
/// `sizes[sides[i]]` elements; the last operand is what is computed.
struct Planes<'a> {
    count: usize,
    sizes: [usize; 2],
    sides: &'a [usize],
}

/// One dispatch per slice of planes, or several where an element has many terms (at most `terms` along each axis).
fn planewise(
    op: &Op,
    forms: Forms,
    planes: Planes<'_>,
    terms: [usize; 2],
    geometry: &[(&'static str, f64)],
    limits: &Limits,
) -> Result<Kernels> {
    let Planes { count, sizes, sides } = planes;
    let mut dispatches = Vec::new();
    for slice in slices(op, count, 1, &sizes, limits)? {
        let bindings: Vec<Binding> =
            sides.iter().enumerate().map(|(i, &side)| slice.bind(i, sizes[side])).collect();
        let outputs = slice.count * sizes[sides[sides.len() - 1]];
        if !is_long(terms) {
            let each = term_rounds(terms);
            dispatches.push(elements(forms.short, outputs, each, geometry.to_vec(), bindings, limits));
            continue;
        }
        for first in (0..terms[0] * terms[1]).step_by(TERMS) {
            let mut constants = geometry.to_vec();
            constants.extend([("len", outputs as f64), ("first_term", first as f64)]);
            dispatches.push(Dispatch {
                kind: DispatchKind::Kernel,
                shader: forms.long,
                constants,
                bindings: bindings.clone(),
                groups: fold(outputs, limits),
                rounds: strided(TERMS, THREADS, 0) + reduction(THREADS),
            });
        }
    }
    Ok(Kernels { dispatches, scratch: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shaders_take_as_many_terms_as_are_planned() {
        let frames = [
            include_str!("../../../shaders/shared/gather.wgsl"),
            include_str!("../../../shaders/pool2d/max_pool2d_forward_long.wgsl"),
        ];
        for source in frames {
            assert!(source.contains(&format!("const TERMS = {TERMS}u;")));
            assert!(source.contains(&format!("const THREADS = {THREADS}u;")));
        }
    }

    #[test]
    fn windows_of_common_networks_stay_with_one_thread() {
        assert!(!is_long([7, 7]) && !is_long([109, 109]));
        assert!(is_long([110, 110]) && is_long([1, 12_500]) && is_long([12_500, 1]));
    }
}
