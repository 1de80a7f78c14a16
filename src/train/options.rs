//! Options of training that are not part of the model file.

use super::schedule::{Decay, Schedule};
use crate::data::{OnBadFile, Sampler};
use crate::error::{Error, Result};
use crate::inference::{BatchSourceOptions, text};
use crate::model::{BuildOptions, ClassWeights, LossKind, Recipe, Scheduler, Spec};
use crate::ops::Target;
use serde::{Deserialize, Serialize};

/// Options of training that are not part of a recipe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Options {
    /// Random seed (initialisation, shuffling and sampling, augmentation, mixing, dropout).
    // As text: TOML has no whole numbers beyond 63 bits.
    #[serde(with = "text")]
    pub seed: u64,
    /// Loader threads, 1 to [`Options::MAX_WORKERS`].
    pub workers: usize,
    pub shuffle: bool,
    /// The samples of an epoch; [`Sampler::Balanced`] needs shuffling.
    #[serde(with = "text")]
    pub sampler: Sampler,
    pub augment: bool,
    pub dropout: bool,
    /// Train on the first batch only, again and again, and evaluate on it.
    pub overfit_batch: bool,
    /// Stop after this number of updates. The schedule is still that of the whole run.
    pub max_steps: Option<usize>,
    /// Updates between two `Event::Step`.
    pub log_every: usize,
    /// Freeze parameters whose names start with this prefix.
    pub freeze: Option<String>,
    /// The initial scale of dynamic loss scaling (`ops::Scaling::INITIAL`), which half precision needs; `None` disables it.
    /// The precision of products is a property of the device ([`crate::Device::half`]).
    pub loss_scale: Option<f32>,
    /// Decay of a moving average of weights and running statistics, made after each update: what is evaluated, saved and
    /// exported. There is no warm-up: the average begins with the initial weights.
    pub ema: Option<f64>,
    /// Mix the images and labels of each batch by a weight drawn from Beta(a, a) ([`super::Mixing`]).
    pub mixup: Option<f64>,
    /// The same by rectangles, whose area is drawn from Beta(a, a). With `mixup` too, each batch takes one of the two.
    pub cutmix: Option<f64>,
    /// Probability that a random rectangle of an image is erased, in place of the model file's; 0 erases none.
    pub random_erasing: Option<f64>,
    /// Change the pixels of each image by a random operation (TrivialAugment), also where the model file does not.
    pub trivial_augment: bool,
    /// How to treat samples that cannot be read.
    #[serde(with = "text")]
    pub on_bad_file: OnBadFile,
    /// Updates between two checkpoints, beside those after every epoch; `None` writes only the latter.
    pub checkpoint_every: Option<usize>,
    /// Checkpoints that are kept, 1 to 10,000.
    pub checkpoint_hist: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            seed: 0,
            workers: 1,
            shuffle: true,
            sampler: Sampler::Shuffle,
            augment: true,
            dropout: true,
            overfit_batch: false,
            max_steps: None,
            log_every: 10,
            freeze: None,
            loss_scale: None,
            ema: None,
            mixup: None,
            cutmix: None,
            random_erasing: None,
            trivial_augment: false,
            on_bad_file: OnBadFile::Skip,
            checkpoint_every: None,
            checkpoint_hist: 2,
        }
    }
}

impl Options {
    /// The most loader threads of a run.
    pub const MAX_WORKERS: usize = 256;

    /// The first option that is out of its range, with the range and the value found: `workers: expected 1 to 256, found 0`.
    pub fn check(&self) -> std::result::Result<(), String> {
        let within = |name: &str, value: Option<usize>, most: usize| match value {
            Some(value) if !(1..=most).contains(&value) => {
                let range = if most == usize::MAX { "at least 1".into() } else { format!("1 to {most}") };
                Err(format!("{name}: expected {range}, found {value}"))
            }
            _ => Ok(()),
        };
        if self.sampler == Sampler::Balanced && !self.shuffles() {
            let what = if self.overfit_batch { "one batch (overfit_batch)" } else { "no shuffling" };
            return Err(format!("sampler: balanced: expected samples in random order, found {what}"));
        }
        within("workers", Some(self.workers), Options::MAX_WORKERS)?;
        within("log_every", Some(self.log_every), usize::MAX)?;
        within("checkpoint_every", self.checkpoint_every, usize::MAX)?;
        within("checkpoint_hist", Some(self.checkpoint_hist), 10_000)?;
        within("max_steps", self.max_steps, usize::MAX)?;
        match self.loss_scale {
            Some(scale) if !(scale.is_finite() && scale >= 1.0) => {
                Err(format!("loss_scale: expected a finite number of at least 1, found {scale}"))
            }
            _ => self.check_regularization(),
        }
    }

    /// What messages expect of a decay, of the shape of a beta distribution and of a probability.
    pub(crate) const DECAY: &str = "0 or more and less than 1";
    pub(crate) const SHAPE: &str = "a number above 0";
    pub(crate) const PROBABILITY: &str = "0 to 1";

    fn check_regularization(&self) -> std::result::Result<(), String> {
        let Options { ema, mixup, cutmix, random_erasing, trivial_augment, .. } = *self;
        let within = |name: &str, value: Option<f64>, expected: &str, is_good: fn(f64) -> bool| match value {
            Some(value) if !is_good(value) => Err(format!("{name}: expected {expected}, found {value}")),
            _ => Ok(()),
        };
        within("ema", ema, Options::DECAY, |decay| (0.0..1.0).contains(&decay))?;
        let random = [("mixup", mixup), ("cutmix", cutmix), ("random_erasing", random_erasing)];
        for (name, shape) in &random[..2] {
            within(name, *shape, Options::SHAPE, |shape| shape > 0.0 && shape.is_finite())?;
        }
        within("random_erasing", random_erasing, Options::PROBABILITY, |p| (0.0..=1.0).contains(&p))?;
        let random = random.map(|(name, value)| (name, value.is_some_and(|value| value > 0.0)));
        let mut given = random.into_iter().chain([("trivial_augment", trivial_augment)]);
        match given.find(|(_, is_given)| *is_given && !self.augments()) {
            Some((name, _)) if self.overfit_batch => Err(format!(
                "{name}: expected training on all batches, found overfit-batch, under which it has no effect"
            )),
            Some((name, _)) => {
                Err(format!("{name}: expected augmentation, found it disabled, so that it has no effect"))
            }
            None => Ok(()),
        }
    }

    /// An error that names the first option that means nothing for `spec`.
    pub fn check_spec(&self, spec: &Spec) -> Result<()> {
        self.check_network(spec)?;
        match self.mix() {
            Some(name) if spec.recipe.batch_size == 1 => {
                Err(Error::Usage(format!("{name}: expected a batch size of at least 2, found 1")))
            }
            _ => Ok(()),
        }
    }

    /// As [`Options::check_spec`], whatever the batch size is.
    pub(crate) fn check_network(&self, spec: &Spec) -> Result<()> {
        let recipe = &spec.recipe;
        let wrong = |name: &str, what: String| Err(Error::Usage(format!("{name}: {what}")));
        if let Some(name) = self.mix() {
            if recipe.loss != LossKind::CrossEntropy {
                return wrong(name, format!("expected the loss cross-entropy, found {}", recipe.loss));
            }
            if recipe.class_weights != ClassWeights::None {
                return wrong(
                    name,
                    "expected a recipe without class weights, found class_weights; give one of them".into(),
                );
            }
        }
        if self.erases() && spec.augment.cutout > 0 {
            let cutout = spec.augment.cutout;
            let what = format!("expected a network without cutout, found cutout = {cutout} in its [augment]");
            return wrong("random-erasing", what);
        }
        Ok(())
    }

    /// The first option that mixes the images of a batch with each other.
    fn mix(&self) -> Option<&'static str> {
        let mixes = [("mixup", self.mixup), ("cutmix", self.cutmix)];
        mixes.iter().find(|(_, shape)| shape.is_some()).map(|(name, _)| *name)
    }

    /// Whether the images of a batch are mixed with each other.
    pub(super) fn mixes(&self) -> bool {
        self.mix().is_some()
    }

    /// Sets the random seed (initialisation, shuffling and sampling, augmentation, mixing, dropout).
    pub fn with_seed(mut self, value: u64) -> Options {
        self.seed = value;
        self
    }

    /// Sets the number of loader threads.
    pub fn with_workers(mut self, value: usize) -> Options {
        self.workers = value;
        self
    }

    /// Enables or disables shuffling.
    pub fn with_shuffle(mut self, value: bool) -> Options {
        self.shuffle = value;
        self
    }

    /// Sets the samples of an epoch.
    pub fn with_sampler(mut self, value: Sampler) -> Options {
        self.sampler = value;
        self
    }

    /// Enables or disables augmentation.
    pub fn with_augment(mut self, value: bool) -> Options {
        self.augment = value;
        self
    }

    /// Enables or disables dropout.
    pub fn with_dropout(mut self, value: bool) -> Options {
        self.dropout = value;
        self
    }

    /// Trains on the first batch only, or not.
    pub fn with_overfit_batch(mut self, value: bool) -> Options {
        self.overfit_batch = value;
        self
    }

    /// Stops after this number of updates.
    pub fn with_max_steps(mut self, value: impl Into<Option<usize>>) -> Options {
        self.max_steps = value.into();
        self
    }

    /// Sets the number of updates between two [`super::Event::Step`].
    pub fn with_log_every(mut self, value: usize) -> Options {
        self.log_every = value;
        self
    }

    /// Enables dynamic loss scaling with this initial scale.
    pub fn with_loss_scale(mut self, value: impl Into<Option<f32>>) -> Options {
        self.loss_scale = value.into();
        self
    }

    /// Keeps a moving average of the weights with this decay.
    pub fn with_ema(mut self, decay: impl Into<Option<f64>>) -> Options {
        self.ema = decay.into();
        self
    }

    /// Mixes the images of a batch by weights drawn from Beta(`shape`, `shape`).
    pub fn with_mixup(mut self, shape: impl Into<Option<f64>>) -> Options {
        self.mixup = shape.into();
        self
    }

    /// Mixes the images of a batch by rectangles whose area is drawn from Beta(`shape`, `shape`).
    pub fn with_cutmix(mut self, shape: impl Into<Option<f64>>) -> Options {
        self.cutmix = shape.into();
        self
    }

    /// Erases a random rectangle of an image with this probability.
    pub fn with_random_erasing(mut self, probability: impl Into<Option<f64>>) -> Options {
        self.random_erasing = probability.into();
        self
    }

    /// Changes the pixels of each image by a random operation, or leaves that to the model file.
    pub fn with_trivial_augment(mut self, value: bool) -> Options {
        self.trivial_augment = value;
        self
    }

    /// Sets how to treat samples that cannot be read.
    pub fn with_on_bad_file(mut self, value: OnBadFile) -> Options {
        self.on_bad_file = value;
        self
    }

    /// Also writes a checkpoint every time this number of updates is complete.
    pub fn with_checkpoint_every(mut self, value: impl Into<Option<usize>>) -> Options {
        self.checkpoint_every = value.into();
        self
    }

    /// Sets the number of checkpoints to keep.
    pub fn with_checkpoint_hist(mut self, value: usize) -> Options {
        self.checkpoint_hist = value;
        self
    }

    /// Freezes parameters whose names start with one of `prefixes`, separated by commas.
    pub fn with_freeze(mut self, prefixes: impl Into<String>) -> Options {
        self.freeze = Some(prefixes.into());
        self
    }

    /// How to build the program that trains `spec` under these options.
    pub fn build_options(&self, spec: &Spec, target: Target) -> BuildOptions {
        let recipe = &spec.recipe;
        BuildOptions {
            dropout: self.dropout && !self.overfit_batch,
            target,
            freeze: self.freeze.clone(),
            loss_scale: self.loss_scale,
            ema: self.ema,
            mix: self.mixes(),
            ..BuildOptions::for_recipe(recipe, recipe.batch_size)
        }
    }

    /// Whether rectangles are erased that the model file does not ask for.
    fn erases(&self) -> bool {
        self.random_erasing.is_some_and(|probability| probability > 0.0)
    }

    /// Whether samples are shuffled.
    pub(crate) fn shuffles(&self) -> bool {
        self.shuffle && !self.overfit_batch
    }

    /// Whether samples are augmented.
    pub(crate) fn augments(&self) -> bool {
        self.augment && !self.overfit_batch
    }

    /// How samples are read.
    pub(crate) fn batch_source(&self) -> BatchSourceOptions {
        BatchSourceOptions {
            seed: self.seed,
            sampler: self.sampler,
            workers: self.workers,
            on_bad_file: self.on_bad_file,
            random_erasing: self.random_erasing,
            trivial_augment: self.trivial_augment,
        }
    }
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
