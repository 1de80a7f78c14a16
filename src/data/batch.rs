//! A batch, and how the rows of one are filled: by several threads at once, each row by one of them.

use super::augment::{Viewer, flips};
use super::bad_files::BadFiles;
use super::dataset::{Dataset, Images, Labels};
use super::transform::Transform;
use crate::error::{Error, Result};
use crate::view::View;
use rayon::prelude::*;
use std::fmt;
use std::sync::Arc;

/// What one step needs.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Network input `[batch, channels, height, width]`, or, if there are views, pixels `[batch, words]`: the bytes of
    /// each stored picture, channel by channel, four to a word (a bit pattern, not a number), the rest of the last
    /// word 0. Rows past `rows` are 0.
    pub input: Vec<f32>,
    /// How each picture is looked at, `[batch]`; rows past `rows` are blank. Empty if `input` is network input.
    pub views: Vec<View>,
    /// `[batch]` class numbers, or `[batch, width]` values; rows past `rows` are 0.
    pub labels: Vec<f32>,
    /// Which sample each real row is.
    pub samples: Vec<u32>,
    /// How many rows are real: fewer than `batch` in the last one, and where samples cannot be read; then even 0.
    pub rows: usize,
}

impl PartialEq for Batch {
    /// Bit by bit: words of pixels are no numbers.
    fn eq(&self, other: &Batch) -> bool {
        let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        self.rows == other.rows
            && self.samples == other.samples
            && bits(&self.labels) == bits(&other.labels)
            && self.views == other.views
            && bits(&self.input) == bits(&other.input)
    }
}

/// Gives each sample, by its number and stored picture, the view of it; may change the picture's bytes.
#[derive(Clone)]
pub struct Hook(Arc<Looking>);

type Looking = dyn Fn(usize, &mut [u8]) -> View + Send + Sync;

impl Hook {
    pub fn new(hook: impl Fn(usize, &mut [u8]) -> View + Send + Sync + 'static) -> Hook {
        Hook(Arc::new(hook))
    }
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hook")
    }
}

/// How images become what a batch holds.
#[derive(Clone, Debug)]
pub enum Look {
    /// Network input, made on the host from images of its size.
    Values(Transform),
    /// Pixels with views, for the operator `augment`.
    Views(Viewer),
    /// Pixels with the views of a caller.
    Hook(Hook),
}

/// Everything that decides a row but its sample.
pub(super) struct Rows {
    pub dataset: Arc<Dataset>,
    pub look: Look,
    /// The view of every picture where nothing is random.
    plain: View,
    /// What each byte becomes, per channel, for [`Look::Values`].
    tables: Vec<[f32; 256]>,
    seed: u64,
    epoch: u32,
    augment: bool,
    bad: Arc<BadFiles>,
}

impl Rows {
    pub fn new(
        dataset: Arc<Dataset>,
        look: Look,
        (seed, epoch): (u64, u32),
        augment: bool,
        bad: Arc<BadFiles>,
    ) -> Result<Rows> {
        let (mut plain, mut tables) = (View::blank(), Vec::new());
        match &look {
            Look::Values(transform) => {
                transform.check(dataset.shape[0])?;
                tables = transform.tables(dataset.shape[0]);
            }
            _ if !dataset.has_pixels() => {
                let what = format!("data set {} has no pixels, expected some to look at", dataset.name);
                return Err(Error::Usage(what));
            }
            Look::Views(viewer) => plain = viewer.plain(),
            Look::Hook(_) => {}
        }
        Ok(Rows { dataset, look, plain, tables, seed, epoch, augment, bad })
    }

    /// Fills `batch` with `samples`, and with padding up to `size` rows. Samples that cannot be read are left out.
    pub fn fill(
        &self,
        samples: &[u32],
        size: usize,
        pool: Option<&rayon::ThreadPool>,
        batch: &mut Batch,
    ) -> Result<()> {
        let (width, label_len) = (self.width(), self.dataset.label_len());
        batch.input.resize(size * width, 0.0);
        batch.labels.resize(size * label_len, 0.0);
        batch.views.resize(if self.views() { size } else { 0 }, View::blank());
        let mut views = batch.views.iter_mut();
        let inputs = batch.input.chunks_mut(width.max(1));
        let slots: Vec<Slot<'_>> = inputs
            .zip(batch.labels.chunks_mut(label_len.max(1)))
            .zip(samples)
            .map(|((input, label), &sample)| Slot { sample, input, label, view: views.next() })
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
                        batch.input.copy_within(row * width..(row + 1) * width, to * width);
                        batch.labels.copy_within(row * label_len..(row + 1) * label_len, to * label_len);
                        if let Some(&view) = batch.views.get(row) {
                            batch.views[to] = view;
                        }
                    }
                    batch.samples.push(sample);
                }
                Ok(false) => {}
                Err(error) => self.bad.note(&self.dataset, sample as usize, error)?,
            }
        }
        batch.rows = batch.samples.len();
        batch.input[batch.rows * width..].fill(0.0);
        batch.labels[batch.rows * label_len..].fill(0.0);
        batch.views.iter_mut().skip(batch.rows).for_each(|view| *view = View::blank());
        Ok(())
    }

    fn views(&self) -> bool {
        !matches!(self.look, Look::Values(_))
    }

    /// Words of one row of the input.
    fn width(&self) -> usize {
        let len = self.dataset.image_len();
        if self.views() { len.div_ceil(4) } else { len }
    }

    /// Fills one row; false if the sample is known to be bad, an error if it turns out to be.
    fn row(&self, slot: Slot<'_>) -> Result<bool> {
        let sample = slot.sample as usize;
        if self.bad.knows(&self.dataset, sample) {
            return Ok(false);
        }
        match &self.look {
            Look::Values(transform) => {
                self.values(sample, slot.input)?;
                if self.augment && transform.augment.flip && flips(self.seed, self.epoch, slot.sample) {
                    slot.input.chunks_mut(self.dataset.shape[2]).for_each(<[f32]>::reverse);
                }
            }
            look => {
                let bytes: &mut [u8] = bytemuck::cast_slice_mut(slot.input);
                let (picture, rest) = bytes.split_at_mut(self.dataset.image_len());
                rest.fill(0);
                let framing = match look {
                    Look::Views(viewer) if self.augment => viewer.framing(self.seed, self.epoch, slot.sample),
                    _ => None,
                };
                match framing {
                    Some(framing) => self.dataset.read_framed(sample, framing, picture)?,
                    None => self.dataset.read_pixels(sample, picture)?,
                }
                let view = match look {
                    Look::Views(viewer) if self.augment => {
                        viewer.draw(self.seed, self.epoch, slot.sample, picture)
                    }
                    Look::Hook(hook) => hook.0(sample, picture),
                    _ => self.plain,
                };
                if let Some(place) = slot.view {
                    *place = view;
                }
            }
        }
        match &self.dataset.labels {
            Labels::Classes(classes) => slot.label[0] = classes[sample] as f32,
            Labels::Values { width, values } => {
                slot.label.copy_from_slice(&values[sample * width..(sample + 1) * width]);
            }
        }
        Ok(true)
    }

    /// Network input made on the host.
    fn values(&self, sample: usize, into: &mut [f32]) -> Result<()> {
        let from = sample * into.len()..(sample + 1) * into.len();
        match &self.dataset.images {
            Images::U8(pixels) => self.normalise(&pixels[from], into),
            Images::F32(values) => into.copy_from_slice(&values[from]),
            Images::Stored(_) => {
                let mut pixels = vec![0; into.len()];
                self.dataset.read_pixels(sample, &mut pixels)?;
                self.normalise(&pixels, into);
            }
        }
        Ok(())
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

/// One row of a batch, to be filled.
struct Slot<'a> {
    sample: u32,
    input: &'a mut [f32],
    label: &'a mut [f32],
    view: Option<&'a mut View>,
}
