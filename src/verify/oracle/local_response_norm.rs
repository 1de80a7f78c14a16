//! Local response normalisation across channels.

use crate::ops::LocalResponseNorm;
use std::ops::Range;

/// Channels whose squares count for channel `c`.
fn window(d: &LocalResponseNorm, c: usize) -> Range<usize> {
    c.saturating_sub(d.size / 2)..(c + (d.size - 1) / 2 + 1).min(d.channels)
}

pub(super) fn forward(d: &LocalResponseNorm, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
    let x = &inputs[0];
    for n in 0..d.batch {
        for c in 0..d.channels {
            for i in 0..d.inner {
                let at = |channel: usize| (n * d.channels + channel) * d.inner + i;
                let mut squares = 0.0;
                for other in window(d, c) {
                    squares += x[at(other)] * x[at(other)];
                }
                let scale = f64::from(d.k) + f64::from(d.alpha) / d.size as f64 * squares;
                outputs[0][at(c)] = x[at(c)] / scale.powf(f64::from(d.beta));
                outputs[1][at(c)] = scale;
            }
        }
    }
}

/// y[j] depends on x[c] directly if j = c, and through scale[j] if c lies in the window of j:
/// dx[c] = dy[c] scale[c]^-beta - 2 alpha beta / size * x[c] * sum over such j of dy[j] x[j] scale[j]^(-beta - 1).
pub(super) fn backward(d: &LocalResponseNorm, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
    let (x, scale, dy) = (&inputs[0], &inputs[1], &inputs[2]);
    let (alpha, beta) = (f64::from(d.alpha), f64::from(d.beta));
    for n in 0..d.batch {
        for c in 0..d.channels {
            for i in 0..d.inner {
                let at = |channel: usize| (n * d.channels + channel) * d.inner + i;
                let mut sum = 0.0;
                for j in 0..d.channels {
                    if window(d, j).contains(&c) {
                        sum += dy[at(j)] * x[at(j)] * scale[at(j)].powf(-beta - 1.0);
                    }
                }
                outputs[0][at(c)] = dy[at(c)] * scale[at(c)].powf(-beta)
                    - 2.0 * alpha * beta / d.size as f64 * x[at(c)] * sum;
            }
        }
    }
}
