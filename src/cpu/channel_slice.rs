//! Concatenation along channels, one input at a time, and its gradient: copies of whole rows.

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
    let (start, len) = (d.offset * d.inner, d.channels * d.inner);
    let rows = dx.par_chunks_mut(len).zip(dy.par_chunks(d.total * d.inner));
    rows.for_each(|(dx, dy)| dx.copy_from_slice(&dy[start..start + len]));
}
