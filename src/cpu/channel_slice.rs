//! Concatenation along channels, one input at a time, slices of channels, and their gradients: copies of whole rows.

use crate::ops::ChannelSlice;
use rayon::prelude::*;

/// Copies x into its channels of y.
pub fn concat_forward(d: &ChannelSlice, x: &[f32], y: &mut [f32]) {
    let (start, len) = (d.offset * d.inner, d.channels * d.inner);
    let rows = y.par_chunks_mut(d.total * d.inner).zip(x.par_chunks(len));
    rows.for_each(|(y, x)| y[start..start + len].copy_from_slice(x));
}

/// Copies its channels of dy into dx.
pub fn concat_backward(d: &ChannelSlice, dy: &[f32], dx: &mut [f32]) {
    slice_forward(d, dy, dx);
}

/// Copies some channels of x into y.
pub fn slice_forward(d: &ChannelSlice, x: &[f32], y: &mut [f32]) {
    let (start, len) = (d.offset * d.inner, d.channels * d.inner);
    let rows = y.par_chunks_mut(len).zip(x.par_chunks(d.total * d.inner));
    rows.for_each(|(y, x)| y.copy_from_slice(&x[start..start + len]));
}

/// Copies dy into its channels of dx; the others are 0.
pub fn slice_backward(d: &ChannelSlice, dy: &[f32], dx: &mut [f32]) {
    let (start, len) = (d.offset * d.inner, d.channels * d.inner);
    let rows = dx.par_chunks_mut(d.total * d.inner).zip(dy.par_chunks(len));
    rows.for_each(|(dx, dy)| {
        dx[..start].fill(0.0);
        dx[start..start + len].copy_from_slice(dy);
        dx[start + len..].fill(0.0);
    });
}
