//! The flags of `striate train` that regularise training: averaged weights, mixed, changed and erased images.

use crate::train::Options;
use clap::Args;

#[derive(Args, Debug)]
#[command(next_help_heading = "Regularization")]
pub(crate) struct RegularizationArgs {
    /// Average the weights and running statistics of all updates: average = DECAY average + (1 - DECAY) weights. The averages
    /// are what is evaluated, saved and exported; checkpoints hold both [typical: 0.999]
    #[arg(long, value_name = "DECAY", value_parser = decay, allow_negative_numbers = true)]
    ema: Option<f64>,
    /// Mix each image and label with those of the previous image in the batch, with a weight drawn from Beta(A, A) for each
    /// batch [typical: 0.2]
    #[arg(long, value_name = "A", value_parser = shape, allow_negative_numbers = true)]
    mixup: Option<f64>,
    /// Replace a rectangle of each image with the same rectangle of the previous image in the batch, and mix their labels by its
    /// area, drawn from Beta(A, A) for each batch; with --mixup each batch uses one of the two at random [typical: 1]
    #[arg(long, value_name = "A", value_parser = shape, allow_negative_numbers = true)]
    cutmix: Option<f64>,
    /// Erase 2 to 33 % of an image's area as a random rectangle, with probability P; 0 erases none, also where the model file
    /// asks for it
    #[arg(long, value_name = "P", value_parser = probability, allow_negative_numbers = true)]
    random_erasing: Option<f64>,
    /// Change each image by one of 14 operations (shear, rotation, brightness, ...) of random strength, as torchvision's
    /// TrivialAugmentWide does
    #[arg(long)]
    trivial_augment: bool,
}

impl RegularizationArgs {
    /// Puts the flags into `options`.
    pub fn put(&self, options: &mut Options) {
        options.ema = self.ema;
        options.mixup = self.mixup;
        options.cutmix = self.cutmix;
        options.random_erasing = self.random_erasing;
        options.trivial_augment = self.trivial_augment;
    }
}

fn number(text: &str, expected: &str, is_good: impl Fn(f64) -> bool) -> Result<f64, String> {
    let value = text.parse::<f64>().ok().filter(|&value| is_good(value));
    value.ok_or_else(|| format!("expected {expected}"))
}

pub(super) fn decay(text: &str) -> Result<f64, String> {
    number(text, Options::DECAY, |value| (0.0..1.0).contains(&value))
}

fn shape(text: &str) -> Result<f64, String> {
    number(text, Options::SHAPE, |value| value > 0.0 && value.is_finite())
}

fn probability(text: &str) -> Result<f64, String> {
    number(text, Options::PROBABILITY, |value| (0.0..=1.0).contains(&value))
}
