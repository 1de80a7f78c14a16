//! Activations beyond relu, sigmoid and tanh. A comparison with NaN is false, so each chooses the branch that keeps it.

use super::exponential::{exp, exp_m1, normal_tail};
use super::parallel::{map, map2};
use crate::ops::{Clip, Elu, Gelu, HardSigmoid};

/// y = x / (1 + exp(-x)).
pub fn silu_forward(x: &[f32], y: &mut [f32]) {
    map(x, y, |x| x / (1.0 + exp(-x)));
}

/// dx = dy s (1 + x (1 - s)) with s = 1 / (1 + exp(-x)).
pub fn silu_backward(x: &[f32], dy: &[f32], dx: &mut [f32]) {
    map2(x, dy, dx, |x, dy| {
        // Both s and 1 - s are computed from exp(-|x|), so that neither loses digits.
        let e = exp(-x.abs());
        let large = 1.0 / (1.0 + e);
        let small = e * large;
        let (s, rest) = if x >= 0.0 { (large, small) } else { (small, large) };
        dy * (s * (1.0 + x * rest))
    });
}

/// y = x min(max(x + 3, 0), 6) / 6.
pub fn hard_swish_forward(x: &[f32], y: &mut [f32]) {
    map(x, y, |x| x * (clip(x + 3.0, 0.0, 6.0) / 6.0));
}

/// dx = dy (x / 3 + 1/2) where -3 < x < 3, 0 below and dy above.
pub fn hard_swish_backward(x: &[f32], dy: &[f32], dx: &mut [f32]) {
    map2(x, dy, dx, |x, dy| {
        let inside = if x < 3.0 { dy * (x / 3.0 + 0.5) } else { dy };
        if x <= -3.0 { 0.0 } else { inside }
    });
}

/// y = min(max(alpha x + beta, 0), 1).
pub fn hard_sigmoid_forward(d: &HardSigmoid, x: &[f32], y: &mut [f32]) {
    let HardSigmoid { alpha, beta, .. } = *d;
    map(x, y, |x| clip(alpha * x + beta, 0.0, 1.0));
}

/// dx = alpha dy where 0 < y < 1, else 0.
pub fn hard_sigmoid_backward(d: &HardSigmoid, y: &[f32], dy: &[f32], dx: &mut [f32]) {
    let alpha = d.alpha;
    map2(y, dy, dx, |y, dy| if y > 0.0 && y < 1.0 { alpha * dy } else { 0.0 });
}

/// y = min(max(x, min), max).
pub fn clip_forward(d: &Clip, x: &[f32], y: &mut [f32]) {
    let Clip { min, max, .. } = *d;
    map(x, y, |x| clip(x, min, max));
}

/// dx = dy where min < y < max, else 0.
pub fn clip_backward(d: &Clip, y: &[f32], dy: &[f32], dx: &mut [f32]) {
    let Clip { min, max, .. } = *d;
    map2(y, dy, dx, |y, dy| if y <= min || y >= max { 0.0 } else { dy });
}

/// y = x P(x).
pub fn gelu_forward(d: &Gelu, x: &[f32], y: &mut [f32]) {
    if d.tanh {
        return map(x, y, |x| x / (1.0 + exp(-2.0 * gelu_argument(x))));
    }
    map(x, y, |x| {
        let (tail, _) = normal_tail(x.abs());
        if x < 0.0 { x * tail } else { x - x * tail }
    });
}

/// dx = dy (P(x) + x P'(x)).
pub fn gelu_backward(d: &Gelu, x: &[f32], dy: &[f32], dx: &mut [f32]) {
    if d.tanh {
        return map2(x, dy, dx, |x, dy| {
            // (1 + tanh u) / 2 is the sigmoid s of 2 u, and its derivative 2 u' s (1 - s), which is 0 far from 0.
            let near = clip(x, -16.0, 16.0);
            let u = gelu_argument(near);
            let e = exp(-2.0 * u.abs());
            let large = 1.0 / (1.0 + e);
            let small = e * large;
            let (s, rest) = if u >= 0.0 { (large, small) } else { (small, large) };
            let slope = 2.0 * SQRT_2_PI * (1.0 + 3.0 * CUBIC * near * near);
            dy * (s + near * s * rest * slope)
        });
    }
    map2(x, dy, dx, |x, dy| {
        let (tail, density) = normal_tail(x.abs());
        let below = if x < 0.0 { tail } else { 1.0 - tail };
        // Far from 0 the density is 0, and x may be infinite.
        let near = clip(x, -16.0, 16.0);
        dy * (below + near * (density * INVERSE_SQRT_2_PI))
    });
}

/// sqrt(2 / pi) and 1 / sqrt(2 pi).
const SQRT_2_PI: f32 = 0.797_884_6;
const INVERSE_SQRT_2_PI: f32 = 0.398_942_3;
/// The coefficient of x^3 in the approximation of gelu.
const CUBIC: f32 = 0.044_715;

/// sqrt(2 / pi) (x + 0.044715 x^3).
#[inline(always)]
fn gelu_argument(x: f32) -> f32 {
    SQRT_2_PI * (x + CUBIC * x * x * x)
}

/// y = x if x > 0, else alpha (exp(x) - 1).
pub fn elu_forward(d: &Elu, x: &[f32], y: &mut [f32]) {
    let alpha = d.alpha;
    map(x, y, |x| if x > 0.0 { x } else { alpha * exp_m1(x) });
}

/// dx = dy if x > 0, else alpha exp(x) dy.
pub fn elu_backward(d: &Elu, x: &[f32], dy: &[f32], dx: &mut [f32]) {
    let alpha = d.alpha;
    map2(x, dy, dx, |x, dy| if x <= 0.0 { dy * (alpha * exp(x)) } else { dy });
}

/// x within limits; NaN for NaN.
#[inline(always)]
fn clip(x: f32, min: f32, max: f32) -> f32 {
    let x = if x < min { min } else { x };
    if x > max { max } else { x }
}
