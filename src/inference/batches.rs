//! Sources of batches: a loader over a data set, or one repeated batch (`overfit_batch`).

use super::preprocess::transform;
use crate::data::{
    Augmenter, BadFiles, Batch, Dataset, Framing, InputTransform, Loader, LoaderOptions, OnBadFile, Sampler,
    Transform, ViewFn, Workers,
};
use crate::error::{Error, Result};
use crate::model::{Model, Spec};
use std::sync::Arc;
use std::time::Duration;

/// How samples become batches, for training and evaluation alike.
#[derive(Clone, Debug)]
pub struct BatchSource {
    batch: usize,
    seed: u64,
    sampler: Sampler,
    workers: Workers,
    /// Channels, height and width that the network takes.
    input: [usize; 3],
    /// Whether the program takes pixels and views.
    pixels: bool,
    transform: Transform,
    bad: Arc<BadFiles>,
    view_fn: Option<ViewFn>,
}

/// How the samples of batches are read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchSourceOptions {
    /// Of augmentation.
    pub seed: u64,
    /// The samples of a training epoch.
    pub sampler: Sampler,
    /// Loader threads.
    pub workers: usize,
    pub on_bad_file: OnBadFile,
    /// Probability that a rectangle of a training image is erased, in place of the model file's.
    pub random_erasing: Option<f64>,
    /// Whether training images are changed by TrivialAugment where the model file does not ask for it.
    pub trivial_augment: bool,
}

/// The batches of one epoch or evaluation.
#[derive(Debug)]
pub(crate) enum BatchStream {
    Loaded(Box<Loader>),
    /// The same batch, for `left` more times.
    Repeated {
        batch: Batch,
        left: usize,
    },
}

impl BatchSource {
    /// Batches for `model`, which was built from `spec`, made by `workers` threads; augmentation is drawn from `seed`.
    pub fn new(spec: &Spec, model: &Model, seed: u64, workers: usize, on_bad_file: OnBadFile) -> BatchSource {
        BatchSource::of(
            spec,
            model.batch,
            model.pixels.is_some(),
            &BatchSourceOptions {
                seed,
                sampler: Sampler::Shuffle,
                workers,
                on_bad_file,
                random_erasing: None,
                trivial_augment: false,
            },
        )
    }

    /// Batches of `batch` rows, of pixels with views or of network input.
    pub(crate) fn of(spec: &Spec, batch: usize, pixels: bool, options: &BatchSourceOptions) -> BatchSource {
        let mut transform = transform(spec);
        if let Some(probability) = options.random_erasing {
            transform.augment.random_erasing = probability;
        }
        transform.augment.trivial_augment |= options.trivial_augment;
        BatchSource {
            batch,
            seed: options.seed,
            sampler: options.sampler,
            workers: Workers::new(options.workers),
            input: spec.input,
            pixels,
            transform,
            bad: BadFiles::new(options.on_bad_file),
            view_fn: None,
        }
    }

    /// Evaluates each image under the view that `view_fn` returns.
    pub fn with_view_fn(mut self, view_fn: ViewFn) -> BatchSource {
        self.view_fn = Some(view_fn);
        self
    }

    /// Sets the number of rows of a batch.
    pub(crate) fn of_size(&self, batch: usize) -> BatchSource {
        BatchSource { batch, ..self.clone() }
    }

    /// Whether the program takes pixels and views.
    pub(crate) fn takes_pixels(&self) -> bool {
        self.pixels
    }

    /// The augmenter for the images of `dataset`; the model must have been built with `pixels`.
    pub fn augmenter(&self, dataset: &Dataset) -> Result<Augmenter> {
        match dataset.framing() {
            Some(Framing::Centre { .. } | Framing::Ten { .. }) => {
                Augmenter::framed(dataset.shape, self.input, &self.transform)
            }
            _ => Augmenter::new(dataset.shape, self.input, &self.transform),
        }
    }

    /// Whether the model file asks for changes that only pixels can have, and there are none.
    pub(crate) fn ignores_augment(&self) -> bool {
        !self.pixels && self.transform.augment.needs_pixels()
    }

    /// The samples that could not be read.
    pub fn bad(&self) -> &BadFiles {
        &self.bad
    }

    /// The samples of `dataset` in their own order, without augmentation.
    pub(crate) fn in_order(&self, dataset: &Arc<Dataset>) -> Result<BatchStream> {
        let transform = match &self.view_fn {
            Some(view_fn) => InputTransform::Custom(view_fn.clone()),
            None => self.input_transform(dataset)?,
        };
        Ok(self.start(dataset, [0, 0], [false, false], transform))
    }

    /// The batches of training epoch `epoch`, from number `first` on.
    pub(crate) fn load(
        &self,
        dataset: &Arc<Dataset>,
        [epoch, first]: [usize; 2],
        shuffle: bool,
        augment: bool,
    ) -> Result<BatchStream> {
        Ok(self.start(dataset, [epoch, first], [shuffle, augment], self.input_transform(dataset)?))
    }

    /// The first batch of `dataset`, unchanged, `times` times.
    pub(crate) fn repeat_first(&self, dataset: &Arc<Dataset>, times: usize) -> Result<BatchStream> {
        let batch = self.first(dataset)?;
        Ok(BatchStream::Repeated { batch, left: times })
    }

    /// The first batch of `dataset` in its own order that has a row, without augmentation.
    pub fn first(&self, dataset: &Arc<Dataset>) -> Result<Batch> {
        let has_rows = |batch: &Result<Batch>| batch.as_ref().map_or(true, |batch| batch.rows > 0);
        self.in_order(dataset)?
            .find(has_rows)
            .unwrap_or_else(|| Err(Error::Usage(format!("data set {} has no samples", dataset.name))))
    }

    fn input_transform(&self, dataset: &Dataset) -> Result<InputTransform> {
        Ok(if self.pixels {
            InputTransform::OnDevice(self.augmenter(dataset)?)
        } else {
            InputTransform::OnHost(self.transform.clone())
        })
    }

    fn start(
        &self,
        dataset: &Arc<Dataset>,
        [epoch, first]: [usize; 2],
        [shuffle, augment]: [bool; 2],
        transform: InputTransform,
    ) -> BatchStream {
        let options = LoaderOptions {
            batch: self.batch,
            workers: self.workers.clone(),
            seed: self.seed,
            epoch: epoch as u32,
            shuffle,
            sampler: self.sampler,
            augment,
            transform,
            bad: Arc::clone(&self.bad),
        };
        BatchStream::Loaded(Box::new(Loader::starting_at(dataset.clone(), options, first)))
    }
}

impl BatchStream {
    /// Time spent waiting for data so far.
    pub fn waited(&self) -> Duration {
        match self {
            BatchStream::Loaded(loader) => loader.waited(),
            BatchStream::Repeated { .. } => Duration::ZERO,
        }
    }

    /// Takes back a batch that is no longer needed.
    pub fn recycle(&mut self, batch: Batch) {
        if let BatchStream::Loaded(loader) = self {
            loader.recycle(batch);
        }
    }
}

impl Iterator for BatchStream {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Result<Batch>> {
        match self {
            BatchStream::Loaded(loader) => loader.next(),
            BatchStream::Repeated { left: 0, .. } => None,
            BatchStream::Repeated { batch, left } => {
                *left -= 1;
                Some(Ok(batch.clone()))
            }
        }
    }
}
