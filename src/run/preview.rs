//! A preview of the network's input: the first samples of a run, as a sheet of images.

use crate::data::{Batch, Sheet, Splits};
use crate::error::{Error, Result};
use crate::inference::{BatchSource, colours, preprocess};
use crate::model::{PreprocessProgram, Spec};
use crate::program::{Executor, Program};
use crate::train::Options;
use std::sync::Arc;

/// Samples of a sheet, and images in a row: each sample without and with augmentation.
const SAMPLES: usize = 32;
const COLUMNS: usize = 8;

/// The first samples of epoch 0, two images each: without and with augmentation. Values are brought back to
/// colours, 0 to 255, so what is cut out has the mean colour. Beside the sheet, one line per sample that was left out.
///
/// `executor` makes an executor of the program that turns pixels into network input.
pub fn preview(
    spec: &Spec,
    data: &Splits,
    options: &Options,
    executor: impl Fn(Arc<Program>) -> Result<Box<dyn Executor>>,
) -> Result<(Sheet, Vec<String>)> {
    let size = SAMPLES.min(data.train.len()).max(1);
    let pixels = data.pixels(spec.input);
    let source = BatchSource::of(spec, size, pixels.is_some(), &options.batch_source());
    let first = |augment: bool| -> Result<Batch> {
        let mut batches =
            source.load(&data.train, [0, 0], options.shuffles(), augment && options.augments())?;
        let none = || Error::Usage(format!("data set {} has no samples", data.train.name));
        batches.find(|batch| batch.as_ref().map_or(true, |batch| batch.rows > 0)).ok_or_else(none)?
    };
    let (mut plain, mut changed) = (first(false)?, first(true)?);
    if let Some(pixels) = pixels {
        let program = PreprocessProgram::build(spec, size, pixels)?;
        let mut executor = executor(Arc::clone(&program.program))?;
        for batch in [&mut plain, &mut changed] {
            preprocess(&program, executor.as_mut(), batch)?;
        }
    }
    let row = spec.input.iter().product::<usize>();
    let mut sheet = Sheet { shape: spec.input, columns: COLUMNS, pixels: Vec::new() };
    for (plain, changed) in
        plain.input.values().chunks(row).zip(changed.input.values().chunks(row)).take(plain.rows)
    {
        sheet.pixels.extend(colours(spec, plain));
        sheet.pixels.extend(colours(spec, changed));
    }
    let left_out = source.bad().news().into_iter().chain(source.bad().others());
    Ok((sheet, left_out.collect()))
}
