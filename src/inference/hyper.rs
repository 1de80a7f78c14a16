//! The words that an update of a program reads beside its buffers.

use crate::model::Recipe;
use crate::ops::Hyper;

/// The hyper words of update number `update` (from 0) at learning rate `lr`. What belongs to one batch (rows, scale,
/// slot, draw) is left for the caller.
pub fn hyper(recipe: &Recipe, seed: u64, update: usize, lr: f32) -> Hyper {
    // In f64: for a beta near 1, 1 - beta^t is a small difference of large numbers.
    let t = (update + 1).min(i32::MAX as usize) as i32;
    let correction = |beta: f32| (1.0 - f64::from(beta).powi(t)) as f32;
    Hyper {
        seed_lo: seed as u32,
        seed_hi: (seed >> 32) as u32,
        lr,
        momentum: recipe.momentum,
        beta2: recipe.beta2,
        eps: recipe.eps,
        weight_decay: recipe.weight_decay,
        correction1: correction(recipe.momentum),
        correction2: correction(recipe.beta2),
        max_norm: recipe.clip_grad_norm.unwrap_or(0.0),
        ..Hyper::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Optimizer;

    #[test]
    fn adam_corrections_are_those_of_the_update_number() {
        let recipe = Recipe::for_optimizer(Optimizer::Adam);
        let first = hyper(&recipe, 0x1_0000_0002, 0, 0.5);
        // The betas as f32 have them, so that the first step's mean is the gradient itself.
        assert_eq!((first.correction1, first.correction2), (1.0 - 0.9f32, 1.0 - 0.999f32));
        assert_eq!((first.seed_lo, first.seed_hi, first.lr), (2, 1, 0.5));
        let second = hyper(&recipe, 0, 1, 0.5);
        assert!((second.correction1 - 0.19).abs() < 1e-7 && (second.correction2 - 0.001_999).abs() < 1e-7);
    }
}
