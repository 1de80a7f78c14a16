//! Convolution, forward: by Winograd's algorithm (`winograd`) where that is faster, else directly (`direct`).
//!
//! The gradient of x for strides of 1 is the same computation ([`Correlation`]) with the roles of x and y exchanged.

use super::correlation::Correlation;
use super::options::CpuOptions;
use super::winograd::{self, Weights};
use crate::ops::Conv2d;

/// y = conv(x, w) (+ b) (then max(0, .)).
pub fn conv2d_forward(
    d: &Conv2d,
    options: CpuOptions,
    x: &[f32],
    w: &[f32],
    b: Option<&[f32]>,
    workspace: &mut Vec<f32>,
    y: &mut [f32],
) {
    let correlation = Correlation::new(d);
    if options.winograd && winograd::pays(&correlation) {
        winograd::forward(&correlation, x, Weights { w, turned: false }, b, workspace, y);
    } else {
        correlation.run(x, w, b, y);
    }
}
