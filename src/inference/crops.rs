//! Ten-crop evaluation, as in the AlexNet paper: the average over ten crops of each image.

use super::batches::BatchSource;
use super::evaluate::EachAnswer;
use super::metrics::{Answer, Totals, probabilities, rank};
use crate::data::{Augmenter, Batch, Dataset};
use crate::error::{Error, Result};
use crate::model::Model;
use crate::ops::Hyper;
use crate::program::{Executor, Pending, Span, write_words};
use crate::view::{View, Window};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Bytes of a buffer that every device offers (WebGPU's `maxStorageBufferBindingSize`).
const BUFFER: usize = 128 << 20;

/// Windows of the crop's size in the resized image: its four corners (top left, top right, bottom left, bottom right)
/// and its middle, then their mirror images in the same order (Krizhevsky et al. 2012, section 4.1).
///
/// An error if the input shows the whole image, so that all five would be the same.
pub fn ten_crops(augmenter: &Augmenter) -> Result<[Window; 10]> {
    if let Some(six) = augmenter.six() {
        // The last crop is the middle of the mirrored image.
        return Ok(std::array::from_fn(|n| match n {
            9 => Window { mirror: true, ..six[5] },
            n => Window { mirror: n >= 5, ..six[n % 5] },
        }));
    }
    let [down, right] = augmenter.room();
    if down == 0.0 && right == 0.0 {
        return Err(Error::Usage(
            "ten-crop: the corners of an image need room around the crop: expected a model with a [preprocess] resize \
             greater than its input"
                .into(),
        ));
    }
    let corners =
        [[0.0, 0.0], [0.0, right], [down, 0.0], [down, right]].map(|corner| augmenter.window(corner));
    let five = [corners[0], corners[1], corners[2], corners[3], augmenter.centre()];
    Ok(std::array::from_fn(|n| Window { mirror: n >= 5, ..five[n % 5] }))
}

/// At most `rows` rows of a batch whose pixels are `shape` each: as many as fit into what every device has for one buffer. Six
/// crops of an image take several times the memory of its middle.
pub fn most_rows(rows: usize, shape: [usize; 3]) -> usize {
    rows.min((BUFFER / shape.iter().product::<usize>().max(1)).max(1))
}

/// Loss and accuracies over all of `dataset`, where the answer to a sample is the mean over [`ten_crops`] of the softmax
/// of the network's outputs, in f64: its scores, which `each` gets, are probabilities. The loss of a sample is -ln of
/// the mean probability of its class, without label smoothing.
///
/// The model must have been built for the pixels of `dataset`, which has its crops or squares to cut them from
/// ([`crate::data::Splits::ten_crops`]), and the data set must have classes. Every image is read once. Stops early with a partial result once `stop` is set.
pub fn ten_crop(
    model: &Model,
    executor: &mut dyn Executor,
    dataset: &Arc<Dataset>,
    source: &BatchSource,
    stop: &AtomicBool,
    each: &mut EachAnswer<'_>,
) -> Result<Totals> {
    let (Some(pixels), Some(views)) = (model.pixels, model.views) else {
        let what = format!("ten-crop: expected images of bytes in data set {}, found numbers", dataset.name);
        return Err(Error::Usage(what));
    };
    let augmenter = source.augmenter(dataset)?;
    let crops = ten_crops(&augmenter)?.map(|window| augmenter.through(&window));
    let mut totals = Totals::default();
    let mut asked: VecDeque<Asked> = VecDeque::new();
    let mut batches = source.in_order(dataset)?;
    while let Some(batch) = batches.next() {
        let batch = batch?;
        if batch.rows == 0 {
            batches.recycle(batch);
            continue;
        }
        write_words(executor, pixels, batch.input.bytes())?;
        executor.write(model.labels, &batch.labels)?;
        let hyper = Hyper { rows: batch.rows as u32, ..Hyper::default() };
        executor.write(model.hyper, hyper.as_words())?;
        let mut outputs = Vec::with_capacity(crops.len());
        for crop in crops {
            let table: Vec<View> =
                (0..model.batch).map(|row| if row < batch.rows { crop } else { View::blank() }).collect();
            write_words(executor, views, &table)?;
            executor.run(Span::Forward)?;
            outputs.push(executor.start_read(model.logits)?);
        }
        asked.push_back(Asked::new(outputs, &batch));
        batches.recycle(batch);
        if asked.len() > 1 {
            finish(asked.pop_front(), model.classes, executor, &mut totals, each)?;
        }
        if stop.load(Ordering::Relaxed) {
            break;
        }
    }
    while !asked.is_empty() {
        finish(asked.pop_front(), model.classes, executor, &mut totals, each)?;
    }
    Ok(totals)
}

/// A batch whose outputs are on their way, one read per crop.
struct Asked {
    outputs: Vec<Pending>,
    samples: Vec<u32>,
    labels: Vec<f32>,
}

impl Asked {
    fn new(outputs: Vec<Pending>, batch: &Batch) -> Self {
        Asked { outputs, samples: batch.samples.clone(), labels: batch.labels[..batch.rows].to_vec() }
    }
}

fn finish(
    asked: Option<Asked>,
    classes: usize,
    executor: &mut dyn Executor,
    totals: &mut Totals,
    each: &mut EachAnswer<'_>,
) -> Result<()> {
    let Some(Asked { outputs, samples, labels }) = asked else { return Ok(()) };
    let share = 1.0 / outputs.len() as f64;
    let mut means = vec![0.0; samples.len() * classes];
    for pending in outputs {
        let outputs: Vec<f64> = executor.finish_read(pending)?.into_iter().map(f64::from).collect();
        for (mean, outputs) in means.chunks_exact_mut(classes).zip(outputs.chunks_exact(classes)) {
            for (mean, p) in mean.iter_mut().zip(probabilities(outputs)) {
                *mean += share * p;
            }
        }
    }
    for ((scores, &sample), &label) in means.chunks_exact(classes).zip(&samples).zip(&labels) {
        let truth = label as usize;
        totals.add(&Totals::of_row(-scores[truth].ln(), rank(scores, truth)));
        each(&Answer { sample: sample as usize, truth, scores })?;
    }
    Ok(())
}
