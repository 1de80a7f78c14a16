//! Network input: samples of a data set as values in host memory.

use super::batches::{BatchSource, BatchSourceOptions};
use super::preprocess::{fit, image_shape};
use super::weights::outputs;
use crate::data::{self, Batch, BatchInput, Dataset, Fit, Frame, Framing, OnBadFile, Sampler, Splits};
use crate::error::Result;
use crate::model::{PreprocessProgram, Spec};
use crate::program::{Executor, Program, Span, write_words};
use std::path::PathBuf;
use std::sync::Arc;

/// The network input of the first batch of `rows` samples of `dataset`, as evaluation shows them to the network `spec`:
/// `[rows, channels, height, width]`, fewer rows where there are not so many. The error of a sample that cannot be read
/// names it.
///
/// `executor` makes an executor of the program that turns pixels into network input.
pub fn inputs(
    spec: &Spec,
    dataset: &Arc<Dataset>,
    rows: usize,
    executor: impl Fn(Arc<Program>) -> Result<Box<dyn Executor>>,
) -> Result<Vec<f32>> {
    let rows = rows.min(dataset.len()).max(1);
    let pixels = Splits::new(Arc::clone(dataset), Arc::clone(dataset)).pixels(spec.input);
    // A row that was left out would give its answer to the next one.
    let options = BatchSourceOptions {
        seed: 0,
        sampler: Sampler::Shuffle,
        workers: 1,
        on_bad_file: OnBadFile::Fail,
        random_erasing: None,
        trivial_augment: false,
    };
    let source = BatchSource::of(spec, rows, pixels.is_some(), &options);
    let mut batch = source.first(dataset)?;
    if let Some(pixels) = pixels {
        let program = PreprocessProgram::build(spec, rows, pixels)?;
        preprocess(&program, executor(Arc::clone(&program.program))?.as_mut(), &mut batch)?;
    }
    Ok(batch.input.values()[..batch.rows * spec.input.iter().product::<usize>()].to_vec())
}

/// The image `files`, in this order, preprocessed for `spec` as in evaluation. No file is opened yet.
pub fn image_files(spec: &Spec, files: Vec<PathBuf>) -> Result<Dataset> {
    let resize = spec.preprocess.resize;
    let frame = match fit(spec) {
        Fit::Input { .. } => Frame { shape: spec.input, framing: Framing::Centre { resize } },
        Fit::Square => Frame { shape: image_shape(spec), framing: Framing::Square },
        Fit::Covered => Frame { shape: image_shape(spec), framing: Framing::Covered },
    };
    data::image_files(files, frame, outputs(spec)?, spec.geometry.ignore_exif)
}

/// Replaces the stored images of a batch by network input.
pub(crate) fn preprocess(
    program: &PreprocessProgram,
    executor: &mut dyn Executor,
    batch: &mut Batch,
) -> Result<()> {
    write_words(executor, program.pixels, batch.input.bytes())?;
    write_words(executor, program.views, batch.input.views())?;
    executor.run(Span::Forward)?;
    batch.input = BatchInput::Values(executor.read(program.input)?);
    Ok(())
}
