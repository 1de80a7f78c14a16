//! Updates of parameters from their gradients, and clipping by the norm of all gradients.

use super::parallel::CHUNK;
use super::simd::vectorised;
use super::sum::sum1;
use crate::ops::{GradClip, GradNorm, Hyper, Metrics, NonFinite, Update};
use rayon::prelude::*;

/// The non-finite values that were found: `NonFinite`'s marks of values after the update, and before it `EARLIER` bits higher.
pub type Marks = u32;
const EARLIER: u32 = 4;

/// `what` if `value` is not finite, by its bits.
#[inline(always)]
fn mark(value: f32, what: u32) -> Marks {
    const EXPONENT: u32 = 0x7f80_0000;
    if value.to_bits() & EXPONENT == EXPONENT { what } else { 0 }
}

#[inline(always)]
fn weight(before: f32, after: f32) -> Marks {
    mark(before, NonFinite::WEIGHT << EARLIER) | mark(after, NonFinite::WEIGHT)
}

#[inline(always)]
fn state(before: f32, after: f32) -> Marks {
    mark(before, NonFinite::STATE << EARLIER) | mark(after, NonFinite::STATE)
}

/// The marks of an update that is left out.
fn still(w: &[f32], states: &[&[f32]]) -> Marks {
    let all = |values: &[f32], what: u32| {
        let marks = values.par_chunks(CHUNK).map(|v| v.iter().fold(0, |all, &v| all | mark(v, what)));
        marks.reduce(|| 0, |a, b| a | b)
    };
    let states = states.iter().map(|state| all(state, NonFinite::STATE << EARLIER));
    states.fold(all(w, NonFinite::WEIGHT << EARLIER), |a, b| a | b)
}

/// Tells the step's record of the marks of an update.
pub fn tell(d: &Update, hyper: &[f32], marks: Marks, record: Option<&mut [f32]>) {
    let (before, after) = (marks >> EARLIER, marks & ((1 << EARLIER) - 1));
    let slot = Hyper::from_words(hyper).slot as usize;
    let word = record.and_then(|record| record.get_mut(slot * Metrics::RECORD + Metrics::FOUND));
    if let Some(word) = word.filter(|_| marks != 0) {
        let marks = if before > 0 { before } else { after };
        let is_set = |bit: u32| marks & bit != 0;
        let (weight, state) = (is_set(NonFinite::WEIGHT), is_set(NonFinite::STATE));
        let found = NonFinite { number: d.number, before: before > 0, weight, state };
        *word = word.max(found.word());
    }
}

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
) -> Marks {
    let Some(Rates { hyper, lr, decay, clip }) = Rates::new(d, hyper, factor) else {
        return v.map_or_else(|| still(w, &[]), |v| still(w, &[v]));
    };
    let momentum = hyper.momentum;
    let inputs = w.par_chunks_mut(CHUNK).zip(g.par_chunks(CHUNK));
    let Some(v) = v else {
        let marks = inputs.map(|(w, g)| {
            vectorised!(|| {
                let mut marks = 0;
                for (w, &g) in w.iter_mut().zip(g) {
                    let before = *w;
                    *w -= lr * (g * clip + decay * *w);
                    marks |= weight(before, *w);
                }
                marks
            })
        });
        return marks.reduce(|| 0, |a, b| a | b);
    };
    let nesterov = d.nesterov;
    let marks = inputs.zip(v.par_chunks_mut(CHUNK)).map(|((w, g), v)| {
        vectorised!(|| {
            let mut marks = 0;
            for ((w, &g), v) in w.iter_mut().zip(g).zip(v) {
                let before = (*w, *v);
                let g = g * clip + decay * *w;
                *v = momentum * *v + g;
                *w -= lr * if nesterov { g + momentum * *v } else { *v };
                marks |= weight(before.0, *w) | state(before.1, *v);
            }
            marks
        })
    });
    marks.reduce(|| 0, |a, b| a | b)
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
) -> Marks {
    let Some(rates) = Rates::new(d, hyper, factor) else { return still(w, &[m, v]) };
    let decay = rates.decay;
    adaptive(&rates, g, w, m, v, |w, g| (w, g + decay * w))
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
) -> Marks {
    let Some(rates) = Rates::new(d, hyper, factor) else { return still(w, &[m, v]) };
    let keep = 1.0 - rates.lr * rates.decay;
    adaptive(&rates, g, w, m, v, |w, g| (w * keep, g))
}

/// The part that adam and adamw share; `decayed` makes (w, g) with the decay from those without.
fn adaptive(
    rates: &Rates,
    g: &[f32],
    w: &mut [f32],
    m: &mut [f32],
    v: &mut [f32],
    decayed: impl Fn(f32, f32) -> (f32, f32) + Sync,
) -> Marks {
    let Hyper { momentum: beta1, beta2, eps, correction1, correction2, .. } = rates.hyper;
    let (step, root, clip) = (rates.lr / correction1, 1.0 / correction2.sqrt(), rates.clip);
    let moments = m.par_chunks_mut(CHUNK).zip(v.par_chunks_mut(CHUNK));
    let marks = w.par_chunks_mut(CHUNK).zip(g.par_chunks(CHUNK)).zip(moments).map(|((w, g), (m, v))| {
        vectorised!(|| {
            let mut marks = 0;
            for (((w, &g), m), v) in w.iter_mut().zip(g).zip(m).zip(v) {
                let before = (*w, *m, *v);
                let (start, g) = decayed(*w, g * clip);
                *m = beta1 * *m + (1.0 - beta1) * g;
                *v = beta2 * *v + (1.0 - beta2) * g * g;
                *w = start - step * *m / (v.sqrt() * root + eps);
                marks |= weight(before.0, *w) | state(before.1, *m) | state(before.2, *v);
            }
            marks
        })
    });
    marks.reduce(|| 0, |a, b| a | b)
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
) -> Marks {
    let Some(Rates { hyper, lr, decay, clip }) = Rates::new(d, hyper, factor) else {
        return m.map_or_else(|| still(w, &[v]), |m| still(w, &[v, m]));
    };
    let Hyper { momentum, beta2: alpha, eps, .. } = hyper;
    let scaled = move |w: f32, g: f32, v: &mut f32| {
        let g = g * clip + decay * w;
        *v = alpha * *v + (1.0 - alpha) * g * g;
        g / (v.sqrt() + eps)
    };
    let inputs = w.par_chunks_mut(CHUNK).zip(g.par_chunks(CHUNK)).zip(v.par_chunks_mut(CHUNK));
    let Some(m) = m else {
        let marks = inputs.map(|((w, g), v)| {
            vectorised!(|| {
                let mut marks = 0;
                for ((w, &g), v) in w.iter_mut().zip(g).zip(v) {
                    let before = (*w, *v);
                    *w -= lr * scaled(*w, g, v);
                    marks |= weight(before.0, *w) | state(before.1, *v);
                }
                marks
            })
        });
        return marks.reduce(|| 0, |a, b| a | b);
    };
    let marks = inputs.zip(m.par_chunks_mut(CHUNK)).map(|(((w, g), v), m)| {
        vectorised!(|| {
            let mut marks = 0;
            for (((w, &g), v), m) in w.iter_mut().zip(g).zip(v).zip(m) {
                let before = (*w, *v, *m);
                *m = momentum * *m + scaled(*w, g, v);
                *w -= lr * *m;
                marks |= weight(before.0, *w) | state(before.1, *v) | state(before.2, *m);
            }
            marks
        })
    });
    marks.reduce(|| 0, |a, b| a | b)
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
