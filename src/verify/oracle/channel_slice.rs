//! Concatenation along channels.

use crate::ops::ChannelSlice;

/// Calls `pair(i, j)` for every element i of the part and its place j in the whole.
fn pairs(d: &ChannelSlice, mut pair: impl FnMut(usize, usize)) {
    for n in 0..d.batch {
        for c in 0..d.channels {
            for i in 0..d.inner {
                pair((n * d.channels + c) * d.inner + i, (n * d.total + d.offset + c) * d.inner + i);
            }
        }
    }
}

pub(super) fn concat_forward(d: &ChannelSlice, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
    pairs(d, |part, whole| outputs[0][whole] = inputs[0][part]);
}

pub(super) fn concat_backward(d: &ChannelSlice, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
    pairs(d, |part, whole| outputs[0][part] = inputs[0][whole]);
}
