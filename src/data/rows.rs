//! Fills the rows of a batch, several at once, each by one thread.

use super::augment::{erased, flips};
use super::bad_files::BadFiles;
use super::batch::{Batch, BatchInput, InputTransform};
use super::dataset::{Dataset, Images, Labels};
use super::draws::Draws;
use crate::error::{Error, Result};
use crate::view::View;
use rayon::prelude::*;
use std::sync::Arc;

/// Everything that decides the content of a row except its sample.
pub(super) struct RowFiller {
    pub dataset: Arc<Dataset>,
    transform: InputTransform,
    /// The view of every image without augmentation.
    plain: View,
    /// What each byte becomes, per channel, for [`InputTransform::OnHost`].
    tables: Vec<[f32; 256]>,
    seed: u64,
    epoch: u32,
    augment: bool,
    bad: Arc<BadFiles>,
}

impl RowFiller {
    pub fn new(
        dataset: Arc<Dataset>,
        transform: InputTransform,
        (seed, epoch): (u64, u32),
        augment: bool,
        bad: Arc<BadFiles>,
    ) -> Result<RowFiller> {
        let (mut plain, mut tables) = (View::blank(), Vec::new());
        match &transform {
            InputTransform::OnHost(transform) => {
                transform.check(dataset.shape[0])?;
                tables = transform.tables(dataset.shape[0]);
            }
            _ if !dataset.has_pixels() => {
                let what = format!("data set {}: expected 8-bit images, found f32 values", dataset.name);
                return Err(Error::Usage(what));
            }
            InputTransform::OnDevice(augmenter) => plain = augmenter.plain(),
            InputTransform::Custom(_) => {}
        }
        Ok(RowFiller { dataset, transform, plain, tables, seed, epoch, augment, bad })
    }

    /// Fills `batch` with `samples`, and with padding up to `size` rows. Samples that cannot be read are left out. Their
    /// random numbers are those of their own numbers, or count from `draws`.
    pub fn fill(
        &self,
        samples: &[u32],
        draws: Option<u32>,
        size: usize,
        pool: Option<&rayon::ThreadPool>,
        batch: &mut Batch,
    ) -> Result<()> {
        let label_len = self.dataset.label_len();
        batch.labels.resize(size * label_len, 0.0);
        self.resize(&mut batch.input, size);
        let rows = Row::all(&mut batch.input, size);
        let slots: Vec<RowSlot<'_>> = rows
            .into_iter()
            .zip(batch.labels.chunks_mut(label_len.max(1)))
            .zip(samples)
            .zip(0..)
            .map(|(((row, label), &sample), place)| RowSlot {
                sample,
                draw: draws.map_or(sample, |first| first + place),
                row,
                label,
            })
            .collect();
        let read: Vec<Result<bool>> = match pool {
            Some(pool) => pool.install(|| slots.into_par_iter().map(|slot| self.row(slot)).collect()),
            None => slots.into_iter().map(|slot| self.row(slot)).collect(),
        };
        batch.samples.clear();
        for (row, (read, &sample)) in read.into_iter().zip(samples).enumerate() {
            match read {
                Ok(true) => {
                    let to = batch.samples.len();
                    if to < row {
                        batch.input.copy_row(size, row, to);
                        batch.labels.copy_within(row * label_len..(row + 1) * label_len, to * label_len);
                    }
                    batch.samples.push(sample);
                }
                Ok(false) => {}
                Err(error) => self.bad.note(&self.dataset, sample as usize, error)?,
            }
        }
        batch.rows = batch.samples.len();
        batch.input.blank_from(size, batch.rows);
        batch.labels[batch.rows * label_len..].fill(0.0);
        Ok(())
    }

    /// Makes `input` of the kind that the transform produces, with `size` rows, in the same memory where possible.
    fn resize(&self, input: &mut BatchInput, size: usize) {
        let len = self.dataset.image_len();
        if let InputTransform::OnHost(_) = self.transform {
            if let BatchInput::Images { .. } = input {
                *input = BatchInput::Values(Vec::new());
            }
        } else if let BatchInput::Values(_) = input {
            *input = BatchInput::Images { bytes: Vec::new(), views: Vec::new() };
        }
        match input {
            BatchInput::Values(values) => values.resize(size * len, 0.0),
            BatchInput::Images { bytes, views } => {
                bytes.resize(size * BatchInput::row_bytes(len), 0);
                views.resize(size, View::blank());
            }
        }
    }

    /// Fills one row. Returns false if the sample is already known to be bad, and an error if it turns out to be.
    fn row(&self, slot: RowSlot<'_>) -> Result<bool> {
        let sample = slot.sample as usize;
        if self.bad.knows(&self.dataset, sample) {
            return Ok(false);
        }
        match slot.row {
            Row::Values(values) => self.values(slot.sample, slot.draw, values)?,
            Row::Image { bytes, view } => *view = self.image(slot.sample, slot.draw, bytes)?,
        }
        match &self.dataset.labels {
            Labels::Classes(classes) => slot.label[0] = classes[sample] as f32,
            Labels::Values { width, values } => {
                slot.label.copy_from_slice(&values[sample * width..(sample + 1) * width]);
            }
        }
        Ok(true)
    }

    /// Writes the stored image of `sample` to `bytes` and returns its view, drawn as number `draw`.
    fn image(&self, sample: u32, draw: u32, bytes: &mut [u8]) -> Result<View> {
        let (image, padding) = bytes.split_at_mut(self.dataset.image_len());
        padding.fill(0);
        let framing = match &self.transform {
            InputTransform::OnDevice(augmenter) if self.augment => {
                augmenter.framing(self.seed, self.epoch, draw)
            }
            _ => None,
        };
        match framing {
            Some(framing) => self.dataset.read_framed(sample as usize, framing, image)?,
            None => self.dataset.read_pixels(sample as usize, image)?,
        }
        Ok(match &self.transform {
            InputTransform::OnDevice(augmenter) if self.augment => {
                if let Some(change) = augmenter.change(self.seed, self.epoch, draw) {
                    change.apply(image, self.dataset.shape);
                }
                augmenter.draw(self.seed, self.epoch, draw, image)
            }
            InputTransform::Custom(view) => view.view(sample as usize, image),
            _ => self.plain,
        })
    }

    /// Writes the network input of `sample`, computed on the host and drawn as number `draw`.
    fn values(&self, sample: u32, draw: u32, into: &mut [f32]) -> Result<()> {
        let from = sample as usize * into.len()..(sample as usize + 1) * into.len();
        match &self.dataset.images {
            Images::U8(pixels) => self.normalise(&pixels[from], into),
            Images::F32(values) => into.copy_from_slice(&values[from]),
            Images::Levels(values) => self.normalise_levels(&values[from], into),
            Images::Stored(_) => {
                let mut pixels = vec![0; into.len()];
                self.dataset.read_pixels(sample as usize, &mut pixels)?;
                self.normalise(&pixels, into);
            }
        }
        if let InputTransform::OnHost(transform) = &self.transform
            && self.augment
        {
            let [_, height, width] = self.dataset.shape;
            if transform.augment.flip && flips(self.seed, self.epoch, draw) {
                into.chunks_mut(width).for_each(<[f32]>::reverse);
            }
            let draws = Draws { seed: self.seed, epoch: self.epoch, sample: draw };
            if let Some(sides) = erased(transform.augment.random_erasing, [height, width], &draws) {
                let [top, left, bottom, right] = sides.map(|side| side as usize);
                for plane in into.chunks_mut(height * width) {
                    plane.chunks_mut(width).take(bottom).skip(top).for_each(|row| row[left..right].fill(0.0));
                }
            }
        }
        Ok(())
    }

    /// The arithmetic of [`super::Transform::tables`] for values between bytes.
    fn normalise_levels(&self, levels: &[f32], into: &mut [f32]) {
        let InputTransform::OnHost(transform) = &self.transform else { return };
        let plane = (self.dataset.shape[1] * self.dataset.shape[2]).max(1);
        for (channel, (plane, levels)) in into.chunks_mut(plane).zip(levels.chunks(plane)).enumerate() {
            let (mean, std) = transform.moments(channel);
            for (value, &level) in plane.iter_mut().zip(levels) {
                *value = (level * transform.scale - mean) / std;
            }
        }
    }

    fn normalise(&self, pixels: &[u8], into: &mut [f32]) {
        let plane = (self.dataset.shape[1] * self.dataset.shape[2]).max(1);
        for ((plane, pixels), table) in into.chunks_mut(plane).zip(pixels.chunks(plane)).zip(&self.tables) {
            for (value, &pixel) in plane.iter_mut().zip(pixels) {
                *value = table[usize::from(pixel)];
            }
        }
    }
}

impl BatchInput {
    /// Copies row `from` of `size` rows over row `to`.
    fn copy_row(&mut self, size: usize, from: usize, to: usize) {
        match self {
            BatchInput::Values(values) => {
                let width = values.len() / size;
                values.copy_within(from * width..(from + 1) * width, to * width);
            }
            BatchInput::Images { bytes, views } => {
                let width = bytes.len() / size;
                bytes.copy_within(from * width..(from + 1) * width, to * width);
                views[to] = views[from];
            }
        }
    }

    /// Makes the rows from `rows` on padding.
    fn blank_from(&mut self, size: usize, rows: usize) {
        match self {
            BatchInput::Values(values) => {
                let width = values.len() / size;
                values[rows * width..].fill(0.0);
            }
            BatchInput::Images { bytes, views } => {
                let width = bytes.len() / size;
                bytes[rows * width..].fill(0);
                views[rows..].fill(View::blank());
            }
        }
    }
}

/// One row of a batch to be filled, with its sample and the number that its random numbers depend on.
struct RowSlot<'a> {
    sample: u32,
    draw: u32,
    row: Row<'a>,
    label: &'a mut [f32],
}

/// The memory of one row of the input.
enum Row<'a> {
    Values(&'a mut [f32]),
    Image { bytes: &'a mut [u8], view: &'a mut View },
}

impl Row<'_> {
    /// The `size` rows of `input`.
    fn all(input: &mut BatchInput, size: usize) -> Vec<Row<'_>> {
        match input {
            BatchInput::Values(values) => {
                let width = (values.len() / size).max(1);
                values.chunks_mut(width).map(Row::Values).collect()
            }
            BatchInput::Images { bytes, views } => {
                let width = (bytes.len() / size).max(1);
                let rows = bytes.chunks_mut(width).zip(views);
                rows.map(|(bytes, view)| Row::Image { bytes, view }).collect()
            }
        }
    }
}
