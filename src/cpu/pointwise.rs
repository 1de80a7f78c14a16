//! Operators that treat every element by itself.

use super::exponential::{sigmoid, tanh};
use super::parallel::{CHUNK, map, map2};
use crate::ops::Hyper;
use rayon::prelude::*;

/// y = max(0, x). A NaN stays one, so that a diverging run can be seen.
pub fn relu_forward(x: &[f32], y: &mut [f32]) {
    map(x, y, |x| if x < 0.0 { 0.0 } else { x });
}

/// dx = dy where y > 0, else 0.
pub fn relu_backward(y: &[f32], dy: &[f32], dx: &mut [f32]) {
    map2(y, dy, dx, |y, dy| if y > 0.0 { dy } else { 0.0 });
}

/// y = 1 / (1 + exp(-x)).
pub fn sigmoid_forward(x: &[f32], y: &mut [f32]) {
    map(x, y, sigmoid);
}

/// dx = dy y (1 - y).
pub fn sigmoid_backward(y: &[f32], dy: &[f32], dx: &mut [f32]) {
    map2(y, dy, dx, |y, dy| dy * y * (1.0 - y));
}

/// y = tanh(x).
pub fn tanh_forward(x: &[f32], y: &mut [f32]) {
    map(x, y, tanh);
}

/// dx = dy (1 - y^2).
pub fn tanh_backward(y: &[f32], dy: &[f32], dx: &mut [f32]) {
    map2(y, dy, dx, |y, dy| dy * (1.0 - y * y));
}

/// y = a b.
pub fn mul(a: &[f32], b: &[f32], y: &mut [f32]) {
    map2(a, b, y, |a, b| a * b);
}

/// y = a + b.
pub fn add(a: &[f32], b: &[f32], y: &mut [f32]) {
    map2(a, b, y, |a, b| a + b);
}

/// sum = g, or sum + g, as `Hyper::accumulate` says.
pub fn grad_accumulate(g: &[f32], hyper: &[f32], sum: &mut [f32]) {
    let onto = Hyper::from_words(hyper).accumulate != 0;
    sum.par_chunks_mut(CHUNK).zip(g.par_chunks(CHUNK)).for_each(|(sum, g)| {
        if onto {
            for (sum, &g) in sum.iter_mut().zip(g) {
                *sum += g;
            }
        } else {
            sum.copy_from_slice(g);
        }
    });
}
