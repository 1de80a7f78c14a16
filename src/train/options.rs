//! What a run needs to know beside the model file: everything here comes from flags.

use super::schedule::{Decay, Schedule};
use crate::data::OnBadFile;
use crate::error::{Error, Result};
use crate::inference::BatchSourceOptions;
use crate::model::{BuildOptions, Recipe, Scheduler, Spec};
use crate::ops::Target;

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
    pub(crate) fn shuffles(&self) -> bool {
        self.shuffle && !self.overfit_batch
    }

    /// Whether samples are changed at random.
    pub(crate) fn augments(&self) -> bool {
        self.augment && !self.overfit_batch
    }

    /// How samples are read.
    pub(crate) fn batch_source(&self) -> BatchSourceOptions {
        BatchSourceOptions { seed: self.seed, workers: self.workers, on_bad_file: self.on_bad_file }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipe_that_cannot_be_meant_is_named_as_its_flag() {
        let recipe = Recipe { grad_accum_steps: 0, ..Recipe::default() };
        let message = check_recipe(&recipe).unwrap_err().to_string();
        assert!(message.starts_with("grad-accum-steps: "), "{message}");
    }
}
