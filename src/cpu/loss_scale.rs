//! Loss scaling: the scale onto the gradient of the loss, and off the gradients of the parameters.

use crate::ops::{GradUnscale, Hyper, Scaling};

/// dx *= scale.
pub fn grad_scale(scaling: &[f32], dx: &mut [f32]) {
    let scale = Scaling::from_words(scaling).scale;
    dx.iter_mut().for_each(|dx| *dx *= scale);
}

/// The factor of the update, and the scale of the next step.
pub fn grad_unscale(d: &GradUnscale, norms: &[f32], hyper: &[f32], scaling: &mut [f32], factor: &mut [f32]) {
    let hyper = Hyper::from_words(hyper);
    let mut state = Scaling::from_words(scaling);
    let total = norms.iter().map(|&norm| f64::from(norm)).sum::<f64>();
    // As the betas are in f32; in f64, since for a beta near 1 the difference is small.
    let correction =
        |beta: f32| (1.0 - f64::from(beta).powi((state.updates as i32).saturating_add(1))) as f32;
    let corrections = [correction(hyper.momentum), correction(hyper.beta2)];
    let scale = f64::from(state.scale);
    // Beyond f32 the sum is infinite for the other executor, and so it is here.
    let of_update = if (total as f32).is_finite() {
        let clip = f64::from(hyper.max_norm) / (total.sqrt() / scale + 1e-6);
        state.updates += 1.0;
        state.streak += 1.0;
        if state.streak >= d.interval as f32 {
            let grown = state.scale * Scaling::GROWTH;
            state.scale = if grown.is_finite() { grown } else { state.scale };
            state.streak = 0.0;
        }
        (if d.clip { clip.min(1.0) } else { 1.0 } / scale) as f32
    } else {
        state.skipped += 1.0;
        state.streak = 0.0;
        state.scale *= Scaling::BACKOFF;
        0.0
    };
    factor.copy_from_slice(&[of_update, corrections[0], corrections[1]]);
    scaling.copy_from_slice(state.as_words());
}
