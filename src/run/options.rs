//! The options of a run besides its model file: one type for the program and the library, which the run's folder stores so
//! that the run can be resumed.

use super::recovery::OnDeviceLost;
use crate::inference::{DataOptions, RecipeOverrides, text};
use crate::train::{Options, RateGroup};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The options of a run. The default trains the default network on the data that ships, in a folder below `runs`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RunOptions {
    /// A built-in network or a model file; `None` for the one that `weights` carry, else one that the data fits: `alexnet-64`
    /// for images larger than 28 x 28 or in colour, else `alexnet-mini`. What was chosen then stands here.
    pub model: Option<String>,
    /// Weights to start from.
    pub weights: Option<PathBuf>,
    /// Replace the last layer by a new one with this number of outputs.
    pub num_classes: Option<usize>,
    /// Factors of the learning rate of some parameters.
    pub lr_mult: Vec<RateGroup>,
    /// The folder in which runs are stored; `None` for a run without a folder, which writes no files.
    pub output_dir: Option<PathBuf>,
    /// Name of the run's folder; -2, -3, ... is added if it exists. `None` for the name of the network.
    pub name: Option<String>,
    /// Choose the batch size: the largest power of two whose training step fits into memory (at most 1024, and at most the
    /// training samples). The size that was chosen then stands in `recipe`.
    pub auto_batch: bool,
    /// Half precision on a GPU, with dynamic loss scaling.
    pub amp: bool,
    /// Write a report into the run's folder at its end: curves, confusion matrix, mistakes, and a page with all of them.
    pub report: bool,
    /// The policy for a lost device.
    #[serde(with = "text")]
    pub on_device_lost: OnDeviceLost,
    /// The data.
    pub data: DataOptions,
    /// Changes to the recipe of the model file.
    pub recipe: RecipeOverrides,
    /// Seed, augmentation, freezing, checkpoints, reports.
    pub train: Options,
}

impl Default for RunOptions {
    fn default() -> Self {
        RunOptions {
            model: None,
            weights: None,
            num_classes: None,
            lr_mult: Vec::new(),
            output_dir: Some("runs".into()),
            name: None,
            auto_batch: false,
            amp: false,
            report: true,
            on_device_lost: OnDeviceLost::Retry,
            data: DataOptions::default(),
            recipe: RecipeOverrides::default(),
            train: Options::default(),
        }
    }
}

impl RunOptions {
    /// A run of `model`, a built-in network or a model file.
    pub fn of_model(model: impl Into<String>) -> RunOptions {
        RunOptions { model: Some(model.into()), ..RunOptions::default() }
    }

    /// Starts from the weights in a file.
    pub fn with_weights(mut self, file: impl Into<PathBuf>) -> RunOptions {
        self.weights = Some(file.into());
        self
    }

    /// Sets the data.
    pub fn with_data(mut self, data: DataOptions) -> RunOptions {
        self.data = data;
        self
    }

    /// Sets the changes to the recipe.
    pub fn with_recipe(mut self, recipe: RecipeOverrides) -> RunOptions {
        self.recipe = recipe;
        self
    }

    /// Sets the options of training.
    pub fn with_train(mut self, options: Options) -> RunOptions {
        self.train = options;
        self
    }

    /// Sets the folder: `name` below `output_dir`.
    pub fn with_folder(mut self, output_dir: impl Into<PathBuf>, name: impl Into<String>) -> RunOptions {
        (self.output_dir, self.name) = (Some(output_dir.into()), Some(name.into()));
        self
    }

    /// Runs without a folder.
    pub fn without_folder(mut self) -> RunOptions {
        self.output_dir = None;
        self
    }

    /// Chooses the batch size: see [`RunOptions::auto_batch`].
    pub fn with_auto_batch(mut self) -> RunOptions {
        (self.auto_batch, self.recipe.batch_size) = (true, None);
        self
    }

    /// Leaves out the report at the end of the run.
    pub fn without_report(mut self) -> RunOptions {
        self.report = false;
        self
    }

    /// Trains in half precision.
    pub fn with_amp(mut self) -> RunOptions {
        self.amp = true;
        self
    }

    /// The options of training, with the loss scale that half precision needs.
    pub(super) fn training(&self) -> Options {
        let scale = self.train.loss_scale.or_else(|| self.amp.then_some(crate::ops::Scaling::INITIAL));
        Options { loss_scale: scale, ..self.train.clone() }
    }
}
