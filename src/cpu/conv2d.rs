//! Convolution, all three passes: by Winograd's algorithm (`winograd`) where that is faster, else directly (`direct`), or with
//! one channel to a group by a kernel of its own (`depthwise`).

use super::layout::Layouts;
use super::memory::Memory;
use super::options::CpuOptions;
use super::{depthwise, direct, winograd};
use crate::ops::{Conv2d, Op};

/// y = conv(x, w) (+ b) (then max(0, .)).
#[allow(clippy::too_many_arguments, reason = "the operands of the operator")]
pub fn conv2d_forward(
    d: &Conv2d,
    layouts: Layouts,
    options: CpuOptions,
    x: &[f32],
    w: &[f32],
    b: Option<&[f32]>,
    workspace: &mut Memory,
    y: &mut [f32],
) {
    if depthwise::knows(d, layouts) {
        depthwise::forward(d, x, w, b, y);
    } else if let Some(tile) = winograd::best(d, layouts, options, winograd::Pass::Forward) {
        winograd::forward(d, tile, x, w, b, workspace, y);
    } else {
        direct::forward(d, layouts, x, w, b, workspace, y);
    }
}

/// dx from dy and w.
pub fn conv2d_grad_input(
    d: &Conv2d,
    layouts: Layouts,
    options: CpuOptions,
    dy: &[f32],
    w: &[f32],
    workspace: &mut Memory,
    dx: &mut [f32],
) {
    if depthwise::knows(d, layouts) {
        depthwise::grad_input(d, dy, w, dx);
    } else if let Some(tile) = winograd::best(d, layouts, options, winograd::Pass::GradInput) {
        winograd::grad_input(d, tile, dy, w, workspace, dx);
    } else {
        direct::grad_input(d, layouts, dy, w, workspace, dx);
    }
}

/// dw from x and dy.
pub fn conv2d_grad_weight(
    d: &Conv2d,
    layouts: Layouts,
    options: CpuOptions,
    x: &[f32],
    dy: &[f32],
    workspace: &mut Memory,
    dw: &mut [f32],
) {
    if depthwise::knows(d, layouts) {
        depthwise::grad_weight(d, x, dy, workspace, dw);
    } else if let Some(tile) = winograd::best(d, layouts, options, winograd::Pass::GradWeight) {
        winograd::grad_weight(d, tile, x, dy, workspace, dw);
    } else {
        direct::grad_weight(d, layouts, x, dy, workspace, dw);
    }
}

/// How a convolution is computed, for profiles; `None` for other operators.
pub fn algorithm(op: &Op, layouts: Layouts, options: CpuOptions) -> Option<String> {
    let (d, pass) = match op {
        Op::Conv2dForward(d) => (d, winograd::Pass::Forward),
        Op::Conv2dGradInput(d) => (d, winograd::Pass::GradInput),
        Op::Conv2dGradWeight(d) => (d, winograd::Pass::GradWeight),
        _ => return None,
    };
    if depthwise::knows(d, layouts) {
        return Some("depthwise".into());
    }
    Some(winograd::best(d, layouts, options, pass).map_or("direct".into(), |tile| tile.name()))
}
