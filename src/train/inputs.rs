//! What a network is given to see: samples of a data set as values in host memory.

use super::batches::Feed;
use super::options::Options;
use crate::data::{Batch, Dataset, Splits};
use crate::error::Result;
use crate::model::{Eye, Spec};
use crate::program::{Executor, Program, Span};
use crate::view::View;
use std::sync::Arc;

/// The network input of the first batch of `rows` samples of `dataset`, as evaluation shows them to the network `spec`:
/// `[rows, channels, height, width]`, fewer rows where there are not so many or some cannot be read.
///
/// `executor` makes an executor of the program that turns pixels into network input.
pub fn inputs(
    spec: &Spec,
    dataset: &Arc<Dataset>,
    rows: usize,
    executor: impl Fn(Arc<Program>) -> Result<Box<dyn Executor>>,
) -> Result<Vec<f32>> {
    let rows = rows.min(dataset.len()).max(1);
    let pixels = Splits { train: Arc::clone(dataset), val: Arc::clone(dataset) }.pixels(spec.input);
    let feed = Feed::of(spec, rows, pixels.is_some(), &Options::default());
    let mut batch = feed.first(dataset)?;
    if let Some(pixels) = pixels {
        let eye = Eye::build(spec, rows, pixels)?;
        see(&eye, executor(Arc::clone(&eye.program))?.as_mut(), &mut batch)?;
    }
    batch.input.truncate(batch.rows * spec.input.iter().product::<usize>());
    Ok(batch.input)
}

/// Puts network input in the place of a batch's pixels.
pub(super) fn see(eye: &Eye, executor: &mut dyn Executor, batch: &mut Batch) -> Result<()> {
    executor.write(eye.pixels, &batch.input)?;
    executor.write(eye.views, View::as_words(&batch.views))?;
    executor.run(Span::Forward)?;
    batch.input = executor.read(eye.input)?;
    Ok(())
}
