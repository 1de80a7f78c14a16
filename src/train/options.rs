//! What a run needs to know beside the model file: everything here comes from flags.

use super::schedule::{Decay, Schedule};
use super::weights::outputs;
use crate::data::{Fit, ModelShape, OnBadFile, Transform};
use crate::error::{Error, Result};
use crate::model::{BuildOptions, Recipe, Scheduler, Spec};
use crate::ops::{Hyper, Target};
use crate::view::{Crop, Rules};

/// Settings of a run that are not part of a recipe.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Of everything random: initial values, order, augmentation, dropout.
    pub seed: u64,
    /// Loader threads.
    pub workers: usize,
    pub shuffle: bool,
    pub augment: bool,
    pub dropout: bool,
    /// Train on the first batch alone, over and over, and evaluate on it.
    pub overfit_batch: bool,
    /// Stop after so many updates. The schedule stays that of the whole run.
    pub max_steps: Option<usize>,
    /// Updates between two `Event::Step`.
    pub log_every: usize,
    /// Parameters whose name begins so are not trained.
    pub freeze: Option<String>,
    /// The loss scale at the start, for dynamic loss scaling (`ops::Scaling::INITIAL`), which half precision needs;
    /// `None`: none. The precision of products is the device's ([`crate::Device::half`]).
    pub loss_scale: Option<f32>,
    /// What becomes of samples that cannot be read.
    pub on_bad_file: OnBadFile,
    /// Updates between two checkpoints; `None`: after every epoch only. Those of the epochs come in any case.
    pub checkpoint_every: Option<usize>,
    /// Checkpoints that are kept, at least 1.
    pub checkpoint_hist: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            seed: 0,
            workers: 1,
            shuffle: true,
            augment: true,
            dropout: true,
            overfit_batch: false,
            max_steps: None,
            log_every: 10,
            freeze: None,
            loss_scale: None,
            on_bad_file: OnBadFile::Skip,
            checkpoint_every: None,
            checkpoint_hist: 2,
        }
    }
}

impl Options {
    /// How to build the program that trains `spec` under these options.
    pub fn build_options(&self, spec: &Spec, target: Target) -> BuildOptions {
        let recipe = &spec.recipe;
        BuildOptions {
            dropout: self.dropout && !self.overfit_batch,
            target,
            clip: recipe.clip_grad_norm.is_some(),
            accumulate: recipe.grad_accum_steps > 1,
            freeze: self.freeze.clone(),
            loss_scale: self.loss_scale,
            ..BuildOptions::new(recipe.batch_size)
        }
    }

    /// Whether batches are drawn in random order.
    pub(super) fn shuffles(&self) -> bool {
        self.shuffle && !self.overfit_batch
    }

    /// Whether samples are changed at random.
    pub(super) fn augments(&self) -> bool {
        self.augment && !self.overfit_batch
    }
}

/// An error that names the recipe's first field that cannot be meant, in the words of the command line.
pub fn check_recipe(recipe: &Recipe) -> Result<()> {
    recipe.check().map_err(|(key, what)| Error::Usage(format!("{}: {what}", key.replace('_', "-"))))?;
    if recipe.epochs == 0 {
        return Err(Error::Usage("epochs: expected at least 1, found 0".into()));
    }
    Ok(())
}

/// The schedule of a recipe for runs of `steps_per_epoch` updates.
pub fn schedule(recipe: &Recipe, steps_per_epoch: usize) -> Result<Schedule> {
    let gamma = f64::from(recipe.lr_gamma);
    let decay = match recipe.lr_scheduler {
        Scheduler::Constant => Decay::Constant,
        Scheduler::Step => Decay::Step { size: recipe.lr_step_size, gamma },
        Scheduler::MultiStep => Decay::MultiStep { milestones: recipe.lr_milestones.clone(), gamma },
        Scheduler::Cosine => Decay::Cosine,
        Scheduler::Poly => Decay::Poly { power: recipe.lr_power.into() },
        Scheduler::Plateau => Decay::Plateau { patience: recipe.lr_patience, gamma, cuts: recipe.lr_cuts },
    };
    Schedule::new(decay, recipe.lr, recipe.lr_min, recipe.lr_warmup_epochs, recipe.epochs, steps_per_epoch)
}

/// Where the geometry of the pictures of `spec` is settled.
pub fn fit(spec: &Spec) -> Fit {
    match (spec.geometry.rules, spec.preprocess.square) {
        (Rules::Covered, _) => Fit::Covered,
        (Rules::Torchvision, true) => Fit::Square,
        (Rules::Torchvision, false) => {
            Fit::Input { random_resized: spec.augment.crop == Crop::RandomResized }
        }
    }
}

/// What `spec` wants of its data; with `follow_classes` there may be more named classes than it has outputs.
pub fn wanted(spec: &Spec, follow_classes: bool) -> Result<ModelShape> {
    Ok(ModelShape {
        input: spec.input,
        outputs: outputs(spec)?,
        resize: spec.preprocess.resize,
        fit: fit(spec),
        follow_classes,
    })
}

/// Channels, height and width of the pictures that `spec` is made for: those that views show crops of, and the size in which
/// others are made up.
pub fn picture(spec: &Spec) -> [usize; 3] {
    spec.preprocess.resize.map_or(spec.input, |side| [spec.input[0], side, side])
}

/// From pixels to the network's input, as `spec` says.
pub fn transform(spec: &Spec) -> Transform {
    Transform {
        scale: spec.preprocess.scale,
        mean: spec.preprocess.mean.clone(),
        std: spec.preprocess.std.clone(),
        resize: spec.preprocess.resize,
        augment: spec.augment.clone(),
        principal: spec.preprocess.principal,
    }
}

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

    #[test]
    fn a_recipe_that_cannot_be_meant_is_named_as_its_flag() {
        let recipe = Recipe { grad_accum_steps: 0, ..Recipe::default() };
        let message = check_recipe(&recipe).unwrap_err().to_string();
        assert!(message.starts_with("grad-accum-steps: "), "{message}");
    }
}
