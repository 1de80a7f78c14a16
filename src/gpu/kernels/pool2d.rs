//! Kernels of pooling. All gather: one thread for each output (forward) or input (backward) element.

use super::elements::{constants, elements};
use super::slices::slices;
use super::{Kernels, Limits, Shader, shader};
use crate::error::{Error, Result};
use crate::ops::{AdaptiveAvgPool2d, Op, Pool2d};

/// The dispatches of a pooling operator.
pub(super) fn kernels(op: &Op, limits: &Limits) -> Result<Kernels> {
    match op {
        Op::MaxPool2dForward(d) => {
            windowed(op, shader!("max_pool2d_forward", "window", "elements", "prelude"), d, limits)
        }
        Op::MaxPool2dBackward(d) => windowed(
            op,
            shader!("max_pool2d_backward", "max_pool2d_gradient", "window", "elements", "prelude"),
            d,
            limits,
        ),
        Op::AvgPool2dForward(d) => {
            windowed(op, shader!("avg_pool2d_forward", "average", "window", "elements", "prelude"), d, limits)
        }
        Op::AvgPool2dBackward(d) => windowed(
            op,
            shader!("avg_pool2d_backward", "average", "window", "elements", "prelude"),
            d,
            limits,
        ),
        Op::AdaptiveAvgPool2dForward(d) => adaptive(
            op,
            shader!("adaptive_avg_pool2d_forward", "adaptive_window", "elements", "prelude"),
            d,
            limits,
        ),
        Op::AdaptiveAvgPool2dBackward(d) => adaptive(
            op,
            shader!("adaptive_avg_pool2d_backward", "adaptive_window", "elements", "prelude"),
            d,
            limits,
        ),
        _ => Err(Error::Internal(format!("{} is not a pooling operator", op.name()))),
    }
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

fn windowed(op: &Op, shader: Shader, d: &Pool2d, limits: &Limits) -> Result<Kernels> {
    let mut geometry = window(d);
    if matches!(op, Op::AvgPool2dForward(_) | Op::AvgPool2dBackward(_)) {
        geometry.extend(constants([("pad_bottom", d.pad[2]), ("pad_right", d.pad[3])]));
    }
    let planes = [d.h_in * d.w_in, d.h_out() * d.w_out()];
    // Which of the two planes each operand has; the last operand decides what a thread computes.
    let sides: &[usize] = match op {
        Op::MaxPool2dForward(_) => &[0, 1, 1],
        Op::MaxPool2dBackward(_) => &[1, 1, 0],
        Op::AvgPool2dForward(_) => &[0, 1],
        _ => &[1, 0],
    };
    planewise(op, shader, d.batch * d.channels, planes, sides, &geometry, limits)
}

fn adaptive(op: &Op, shader: Shader, d: &AdaptiveAvgPool2d, limits: &Limits) -> Result<Kernels> {
    let geometry = constants([("h_in", d.h_in), ("w_in", d.w_in), ("h_out", d.h_out), ("w_out", d.w_out)]);
    let planes = [d.h_in * d.w_in, d.h_out * d.w_out];
    let sides: &[usize] = if matches!(op, Op::AdaptiveAvgPool2dForward(_)) { &[0, 1] } else { &[1, 0] };
    planewise(op, shader, d.batch * d.channels, planes, sides, &geometry, limits)
}

/// One dispatch per slice of `count` planes (one for each image and channel). Operand i consists of planes of
/// `planes[sides[i]]` elements; a thread computes one element of the last operand.
fn planewise(
    op: &Op,
    shader: Shader,
    count: usize,
    planes: [usize; 2],
    sides: &[usize],
    geometry: &[(&'static str, f64)],
    limits: &Limits,
) -> Result<Kernels> {
    let dispatches = slices(op, count, 1, &planes, limits)?
        .iter()
        .map(|slice| {
            let bindings = sides.iter().enumerate().map(|(i, &side)| slice.bind(i, planes[side])).collect();
            let output = planes[sides[sides.len() - 1]];
            elements(shader, slice.count * output, geometry.to_vec(), bindings, limits)
        })
        .collect();
    Ok(Kernels { dispatches, scratch: Vec::new() })
}
