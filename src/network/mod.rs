//! A network with its weights on a device: the interface for programs that train, run or export networks.
//!
//! ```no_run
//! use striate::{Device, Network, NetworkOptions, Spec};
//!
//! # fn batches() -> Vec<(Vec<f32>, Vec<u32>)> { Vec::new() }
//! let mut network = Network::new(Spec::load("lenet5")?, &Device::best()?, &NetworkOptions::default())?;
//! for (images, labels) in batches() {
//!     let step = network.train_batch(&images, &labels, 0.002)?;
//!     println!("loss {:.3}", step.loss);
//! }
//! network.save("lenet5.safetensors")?;
//! # Ok::<(), striate::Error>(())
//! ```

mod answers;
mod export;
mod training;

pub use answers::Prediction;
pub use export::{ExportCheck, ExportOptions, ExportReport};
pub use training::{StepResult, Training};

use crate::data::{Dataset, ModelShape, Request};
use crate::device::Device;
use crate::error::{Error, Result};
use crate::inference::{self, Named};
use crate::interchange::{self, File, safetensors};
use crate::model::{BuildOptions, Model, Spec};
use crate::ops::Hyper;
use crate::program::Executor;
use crate::train::Options;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// How a network is put on a device.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct NetworkOptions {
    /// Most rows that the device computes at a time; `None` is the recipe's batch size.
    pub batch: Option<usize>,
    /// Whether it can be trained; without, it needs far less memory.
    pub training: bool,
    /// The options of training. [`Network::train_batch`] uses the seed, dropout and frozen parameters.
    pub train: Options,
}

impl Default for NetworkOptions {
    /// Everything that the model file asks for.
    fn default() -> Self {
        NetworkOptions { batch: None, training: true, train: Options::default() }
    }
}

impl NetworkOptions {
    /// For prediction only, `batch` rows at a time.
    pub fn inference(batch: usize) -> Self {
        NetworkOptions { batch: Some(batch), training: false, ..NetworkOptions::default() }
    }

    /// The same, computing `batch` rows at a time.
    pub fn with_batch(mut self, batch: usize) -> Self {
        self.batch = Some(batch);
        self
    }

    /// The same, trained under `options`.
    pub fn with_train(mut self, options: Options) -> Self {
        self.train = options;
        self
    }
}

/// A network with its weights on a device.
pub struct Network {
    spec: Spec,
    device: Device,
    model: Model,
    executor: Box<dyn Executor>,
    options: NetworkOptions,
    class_names: Vec<String>,
    /// Metadata of the file that the weights are from, while they are as it had them.
    metadata: BTreeMap<String, String>,
    /// Updates and computations of gradients so far.
    updates: usize,
    draws: usize,
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network")
            .field("spec", &self.spec.name)
            .field("device", &self.device.name())
            .field("options", &self.options)
            .field("updates", &self.updates)
            .finish_non_exhaustive()
    }
}

impl Network {
    /// The network `spec` with the initial values of `options.train.seed`.
    pub fn new(spec: Spec, device: &Device, options: &NetworkOptions) -> Result<Self> {
        let recipe = &spec.recipe;
        let model = Model::build(
            &spec,
            &BuildOptions {
                training: options.training,
                dropout: options.train.dropout,
                freeze: options.train.freeze.clone(),
                ..BuildOptions::for_recipe(recipe, options.batch.unwrap_or(recipe.batch_size))
            },
        )?;
        let mut executor = device.executor(Arc::clone(&model.program))?;
        inference::initialise(&model, executor.as_mut(), options.train.seed)?;
        Ok(Network {
            class_names: (0..model.classes).map(|class| class.to_string()).collect(),
            device: device.clone(),
            options: options.clone(),
            metadata: BTreeMap::new(),
            updates: 0,
            draws: 0,
            spec,
            model,
            executor,
        })
    }

    /// The network and weights of a file of any format ([`interchange::read`]) that carries its network.
    pub fn load(path: impl AsRef<Path>, device: &Device, options: &NetworkOptions) -> Result<Self> {
        let file = interchange::read(path)?;
        let mut network = Network::new(inference::spec_of(&file, None)?, device, options)?;
        network.load_weights(file, None)?;
        Ok(network)
    }

    /// Takes the weights of `file`, and the names of its classes. Errors list what is missing, too much, or of another shape.
    /// Images are prepared as this network's model file says; [`inference::other_input`] tells whether that is how the weights were
    /// trained.
    ///
    /// With `replaced`, the name of a layer ([`Spec::replace_outputs`] returns it), that layer keeps its values: the file is
    /// from other classes.
    pub fn load_weights(&mut self, file: File, replaced: Option<&str>) -> Result<()> {
        let metadata = file.metadata.clone();
        inference::load(&self.model, self.executor.as_mut(), file, replaced)?;
        if replaced.is_some() {
            return Ok(());
        }
        let names: Option<Vec<String>> =
            metadata.get("classes").and_then(|text| serde_json::from_str(text).ok());
        if let Some(names) = names.filter(|names| names.len() <= self.model.classes) {
            // Outputs beyond the file's names are numbered.
            self.class_names[..names.len()].clone_from_slice(&names);
        }
        self.metadata = metadata;
        Ok(())
    }

    /// Names the classes; an error unless there is a name for each output.
    pub fn name_classes(&mut self, names: &[&str]) -> Result<()> {
        if names.len() != self.model.classes {
            let (outputs, found) = (self.model.classes, names.len());
            return Err(Error::Usage(format!("expected names for {outputs} outputs, found {found}")));
        }
        self.class_names = names.iter().map(|name| name.to_string()).collect();
        Ok(())
    }

    /// The network as its model file says it.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Where it computes.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// One name per output; the number where it has none.
    pub fn class_names(&self) -> &[String] {
        &self.class_names
    }

    /// Number of trainable values.
    pub fn parameter_count(&self) -> usize {
        self.model.parameter_count()
    }

    /// Parameters, then running statistics, by PyTorch's names.
    pub fn weights(&mut self) -> Result<Named> {
        inference::collect(&self.model, self.executor.as_mut())
    }

    /// Writes the weights to the safetensors file `path`, with everything that [`Network::load`] and PyTorch need.
    pub fn save(&mut self, path: impl AsRef<Path>) -> Result<()> {
        let tensors = self.weights()?;
        safetensors::write(path, &tensors, &self.metadata())
    }

    /// A request for data that this network takes: its input, outputs and preprocessing are filled in, and `path` is a file, a
    /// folder or the name of a shipped set.
    pub fn request(&self, path: &str) -> Request {
        let Spec { input, preprocess, .. } = &self.spec;
        let image_shape = preprocess.resize.map_or(*input, |side| [input[0], side, side]);
        let request = Request::new(*input, self.model.classes);
        Request {
            path: Some(path.to_string()),
            image_shape,
            model: request.model.map(|model| ModelShape { resize: preprocess.resize, ..model }),
            has_preprocess: self.spec.has_preprocess(),
            ..request
        }
    }

    /// The network input of the first `rows` samples of `dataset`, as evaluation shows them: `[rows, channels, height,
    /// width]`; fewer where there are not so many. The error of a sample that cannot be read names it.
    pub fn inputs(&self, dataset: &Arc<Dataset>, rows: usize) -> Result<Vec<f32>> {
        inference::inputs(&self.spec, dataset, rows, |program| self.device.executor(program))
    }

    /// The metadata of a file of weights.
    fn metadata(&self) -> BTreeMap<String, String> {
        // The metadata of the weights (epoch, accuracy) holds as long as they are unchanged.
        let mut metadata = self.metadata.clone();
        metadata.extend(inference::metadata(&self.spec, self.model.classes, &self.class_names));
        let is_source = Spec::parse(&self.spec.source, &self.spec.origin).is_ok_and(|read| {
            let shape = |spec: &Spec| (spec.layers.clone(), spec.input, spec.preprocess.clone());
            shape(&read) == shape(&self.spec)
        });
        // The metadata of the file does not apply to a network that a program has changed.
        if !is_source {
            metadata.insert("model".into(), self.spec.to_toml());
        }
        metadata
    }

    /// Number of rows of `images`, `[rows, channels, height, width]`; an error unless they are whole.
    fn rows(&self, images: &[f32]) -> Result<usize> {
        let row: usize = self.spec.input.iter().product();
        if images.is_empty() || !images.len().is_multiple_of(row) {
            return Err(Error::Usage(format!(
                "images: expected rows of {row} values ({:?}), found {} values",
                self.spec.input,
                images.len()
            )));
        }
        Ok(images.len() / row)
    }

    /// Sends a batch to the device, filled up with zeros.
    fn send(&mut self, images: &[f32], labels: &[u32], hyper: &Hyper) -> Result<()> {
        let row: usize = self.spec.input.iter().product();
        let mut input = images.to_vec();
        input.resize(self.model.batch * row, 0.0);
        let mut classes: Vec<f32> = labels.iter().map(|&label| label as f32).collect();
        classes.resize(self.model.batch, 0.0);
        self.executor.write(self.model.input, &input)?;
        self.executor.write(self.model.labels, &classes)?;
        self.executor.write(self.model.hyper, hyper.as_words())
    }
}
