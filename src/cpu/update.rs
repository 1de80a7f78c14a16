//! Updates of parameters from their gradients, and clipping by the norm of all gradients.

use super::parallel::CHUNK;
use super::simd::vectorised;
use super::sum::sum1;
use crate::ops::{GradClip, GradNorm, Hyper, Update};
use rayon::prelude::*;

/// What an update needs to know besides its tensors.
struct Rates {
    hyper: Hyper,
    lr: f32,
    decay: f32,
    /// Factor of the gradient.
    clip: f32,
}

impl Rates {
    /// `None` if the update is to do nothing.
    fn new(d: &Update, hyper: &[f32], factor: Option<&[f32]>) -> Option<Self> {
        let mut hyper = Hyper::from_words(hyper);
        if let (true, Some(&[factor, correction1, correction2])) = (d.scaled, factor) {
            if factor == 0.0 {
                return None;
            }
            hyper = Hyper { correction1, correction2, ..hyper };
        }
        Some(Rates {
            hyper,
            lr: hyper.lr * d.lr_mult,
            decay: hyper.weight_decay * d.decay_mult,
            clip: factor.map_or(1.0, |f| f[0]),
        })
    }
}

/// w and, if there is one, v.
pub fn sgd(
    d: &Update,
    g: &[f32],
    hyper: &[f32],
    factor: Option<&[f32]>,
    w: &mut [f32],
    v: Option<&mut [f32]>,
) {
    let Some(Rates { hyper, lr, decay, clip }) = Rates::new(d, hyper, factor) else { return };
    let momentum = hyper.momentum;
    let inputs = w.par_chunks_mut(CHUNK).zip(g.par_chunks(CHUNK));
    let Some(v) = v else {
        inputs.for_each(|(w, g)| {
            vectorised!(|| {
                for (w, &g) in w.iter_mut().zip(g) {
                    *w -= lr * (g * clip + decay * *w);
                }
            });
        });
        return;
    };
    let nesterov = d.nesterov;
    inputs.zip(v.par_chunks_mut(CHUNK)).for_each(|((w, g), v)| {
        vectorised!(|| {
            for ((w, &g), v) in w.iter_mut().zip(g).zip(v) {
                let g = g * clip + decay * *w;
                *v = momentum * *v + g;
                *w -= lr * if nesterov { g + momentum * *v } else { *v };
            }
        });
    });
}

/// w, m and v; the decay is part of the gradient.
pub fn adam(
    d: &Update,
    g: &[f32],
    hyper: &[f32],
    factor: Option<&[f32]>,
    w: &mut [f32],
    m: &mut [f32],
    v: &mut [f32],
) {
    let Some(rates) = Rates::new(d, hyper, factor) else { return };
    let decay = rates.decay;
    adaptive(&rates, g, w, m, v, |w, g| (w, g + decay * w));
}

/// w, m and v; the decay shrinks the weight itself.
pub fn adamw(
    d: &Update,
    g: &[f32],
    hyper: &[f32],
    factor: Option<&[f32]>,
    w: &mut [f32],
    m: &mut [f32],
    v: &mut [f32],
) {
    let Some(rates) = Rates::new(d, hyper, factor) else { return };
    let keep = 1.0 - rates.lr * rates.decay;
    adaptive(&rates, g, w, m, v, |w, g| (w * keep, g));
}

/// The part that adam and adamw share; `decayed` makes (w, g) with the decay from those without.
fn adaptive(
    rates: &Rates,
    g: &[f32],
    w: &mut [f32],
    m: &mut [f32],
    v: &mut [f32],
    decayed: impl Fn(f32, f32) -> (f32, f32) + Sync,
) {
    let Hyper { momentum: beta1, beta2, eps, correction1, correction2, .. } = rates.hyper;
    let (step, root, clip) = (rates.lr / correction1, 1.0 / correction2.sqrt(), rates.clip);
    let state = m.par_chunks_mut(CHUNK).zip(v.par_chunks_mut(CHUNK));
    w.par_chunks_mut(CHUNK).zip(g.par_chunks(CHUNK)).zip(state).for_each(|((w, g), (m, v))| {
        vectorised!(|| {
            for (((w, &g), m), v) in w.iter_mut().zip(g).zip(m).zip(v) {
                let (weight, g) = decayed(*w, g * clip);
                *m = beta1 * *m + (1.0 - beta1) * g;
                *v = beta2 * *v + (1.0 - beta2) * g * g;
                *w = weight - step * *m / (v.sqrt() * root + eps);
            }
        });
    });
}

/// w, v and, if there is one, m.
pub fn rmsprop(
    d: &Update,
    g: &[f32],
    hyper: &[f32],
    factor: Option<&[f32]>,
    w: &mut [f32],
    v: &mut [f32],
    m: Option<&mut [f32]>,
) {
    let Some(Rates { hyper, lr, decay, clip }) = Rates::new(d, hyper, factor) else { return };
    let Hyper { momentum, beta2: alpha, eps, .. } = hyper;
    let scaled = move |w: f32, g: f32, v: &mut f32| {
        let g = g * clip + decay * w;
        *v = alpha * *v + (1.0 - alpha) * g * g;
        g / (v.sqrt() + eps)
    };
    let inputs = w.par_chunks_mut(CHUNK).zip(g.par_chunks(CHUNK)).zip(v.par_chunks_mut(CHUNK));
    match m {
        None => inputs.for_each(|((w, g), v)| {
            vectorised!(|| {
                for ((w, &g), v) in w.iter_mut().zip(g).zip(v) {
                    *w -= lr * scaled(*w, g, v);
                }
            });
        }),
        Some(m) => inputs.zip(m.par_chunks_mut(CHUNK)).for_each(|(((w, g), v), m)| {
            vectorised!(|| {
                for (((w, &g), v), m) in w.iter_mut().zip(g).zip(v).zip(m) {
                    *m = momentum * *m + scaled(*w, g, v);
                    *w -= lr * *m;
                }
            });
        }),
    }
}

/// norms[index] = sum of g^2.
pub fn grad_norm(d: &GradNorm, g: &[f32], norms: &mut [f32]) {
    // In a list first: the order of a parallel sum would depend on the threads.
    let parts: Vec<f64> = g.par_chunks(CHUNK).map(|g| vectorised!(|| sum1(g, |g| g * g))).collect();
    norms[d.index] = parts.iter().sum::<f64>() as f32;
}

/// factor = min(1, max_norm / (norm + 1e-6)).
pub fn grad_clip(_d: &GradClip, norms: &[f32], hyper: &[f32], factor: &mut [f32]) {
    let norm = norms.iter().map(|&n| f64::from(n)).sum::<f64>().sqrt();
    let ratio = (f64::from(Hyper::from_words(hyper).max_norm) / (norm + 1e-6)) as f32;
    // Not f32::min, which would turn a NaN into 1 and hide it.
    factor[0] = if ratio > 1.0 { 1.0 } else { ratio };
}
