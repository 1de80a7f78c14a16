//! Local response normalisation within each map.

use crate::ops::LocalResponseNormWithin;

/// Whether the window of place `of` holds place `at`, along one side of the map.
fn holds(d: &LocalResponseNormWithin, of: usize, at: usize) -> bool {
    of <= at + d.size / 2 && at <= of + (d.size - 1) / 2
}

/// Places of one map: row and column.
fn places(d: &LocalResponseNormWithin) -> impl Iterator<Item = (usize, usize)> {
    let w = d.w;
    (0..d.h * w).map(move |i| (i / w, i % w))
}

pub(super) fn forward(d: &LocalResponseNormWithin, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
    let x = &inputs[0];
    for map in 0..d.batch * d.channels {
        let at = |(r, c): (usize, usize)| (map * d.h + r) * d.w + c;
        for here in places(d) {
            let mut squares = 0.0;
            for other in places(d) {
                if holds(d, here.0, other.0) && holds(d, here.1, other.1) {
                    squares += x[at(other)] * x[at(other)];
                }
            }
            let scale = f64::from(d.k) + f64::from(d.alpha) / (d.size as f64 * d.size as f64) * squares;
            outputs[0][at(here)] = x[at(here)] / scale.powf(f64::from(d.beta));
            outputs[1][at(here)] = scale;
        }
    }
}

/// dx[i] = dy[i] scale[i]^-beta - 2 alpha beta / size^2 * x[i] * sum of dy[j] x[j] scale[j]^(-beta - 1) over the places j
/// whose window holds i.
pub(super) fn backward(d: &LocalResponseNormWithin, inputs: &[Vec<f64>], outputs: &mut [Vec<f64>]) {
    let (x, scale, dy) = (&inputs[0], &inputs[1], &inputs[2]);
    let (alpha, beta) = (f64::from(d.alpha), f64::from(d.beta));
    for map in 0..d.batch * d.channels {
        let at = |(r, c): (usize, usize)| (map * d.h + r) * d.w + c;
        for here in places(d) {
            let mut sum = 0.0;
            for other in places(d) {
                if holds(d, other.0, here.0) && holds(d, other.1, here.1) {
                    let j = at(other);
                    sum += dy[j] * x[j] * scale[j].powf(-beta - 1.0);
                }
            }
            let i = at(here);
            outputs[0][i] = dy[i] * scale[i].powf(-beta)
                - 2.0 * alpha * beta / (d.size as f64 * d.size as f64) * x[i] * sum;
        }
    }
}
