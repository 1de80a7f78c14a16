//! The leaky rectifier. Both passes test x > 0, so that a NaN takes the branch that multiplies and stays a NaN.

use super::parallel::{map, map2};
use crate::ops::LeakyRelu;

/// y = x if x > 0, else negative_slope x.
pub fn leaky_relu_forward(d: &LeakyRelu, x: &[f32], y: &mut [f32]) {
    let slope = d.negative_slope;
    map(x, y, |x| if x > 0.0 { x } else { x * slope });
}

/// dx = dy if x > 0, else negative_slope dy.
pub fn leaky_relu_backward(d: &LeakyRelu, x: &[f32], dy: &[f32], dx: &mut [f32]) {
    let slope = d.negative_slope;
    map2(x, dy, dx, |x, dy| if x > 0.0 { dy } else { dy * slope });
}
