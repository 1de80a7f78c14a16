//! A data set of pixels as one of another size and colour: its images are resized as image files are, each when it
//! is read.

use super::augment::check_kind;
use super::dataset::{Dataset, Images, Store, Stored};
use super::fit::{Fitter, ImageInfo};
use super::framing::{Fit, Frame, Framing, resize};
use super::request::ModelShape;
use super::splits::Splits;
use crate::error::{Error, Result};
use image::metadata::Orientation;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// The images of `from`, which have its shape, in any frame.
#[derive(Debug)]
struct Resized {
    from: Arc<Dataset>,
    /// Resizers that no thread is using, each with the bytes of an image: as stored, and pixel by pixel.
    fitters: Mutex<Vec<(Fitter, [Vec<u8>; 2])>>,
}

impl Splits {
    /// The same samples with images of `channels` (1 or 3) and squares of `side` pixels; none leaves what there is. The
    /// shorter side is resized, the middle cut out.
    ///
    /// An error if there is something to change in images that are not pixels of 1 or 3 channels.
    pub fn resized(&self, channels: Option<usize>, side: Option<usize>) -> Result<Splits> {
        self.each(|from| {
            let [c, h, w] = from.shape;
            let shape = [channels.unwrap_or(c), side.unwrap_or(h), side.unwrap_or(w)];
            resized(from, Frame::covering(shape))
        })
    }

    /// The same samples with whole images of `channels` (1 or 3), the shorter side of `side` pixels; none leaves what there
    /// is. Images in files keep sizes of their own ([`Dataset::read_whole`]).
    ///
    /// An error as for [`Splits::resized`].
    pub fn whole(&self, channels: Option<usize>, side: Option<usize>) -> Result<Splits> {
        self.each(|from| {
            let [c, h, w] = from.shape;
            let channels = channels.unwrap_or(c);
            if from.has_sizes() {
                let side = side.unwrap_or(h.min(w));
                let shape = [channels, side, side];
                return Ok(from.reframed(Frame { shape, framing: Framing::Whole { side } }));
            }
            let [width, height] = side.map_or([w, h], |side| resize([w, h], side));
            resized(from, Frame::covering([channels, height, width]))
        })
    }

    /// The same samples, those in memory and of one size too, as the network is to have them in its batches.
    pub(super) fn fitted(&self, wanted: &ModelShape) -> Result<Splits> {
        let ModelShape { input, resize, .. } = *wanted;
        self.each(|from| {
            let frame = match (wanted.fit, resize) {
                (Fit::Covered, _) | (Fit::Square | Fit::Input { random_resized: false }, None) => None,
                (Fit::Square, Some(side)) => {
                    Some(Frame { shape: [input[0], side, side], framing: Framing::Square })
                }
                (Fit::Input { .. }, resize) => {
                    Some(Frame { shape: input, framing: Framing::Centre { resize } })
                }
            };
            let is_looked_at = from.has_pixels() && check_kind(from.shape, input).is_ok();
            match frame.filter(|_| is_looked_at && from.framing().is_none()) {
                // Squares that are there already are looked at as they are.
                Some(frame) if wanted.fit == Fit::Square && from.shape[1..] == frame.shape[1..] => {
                    Ok(Arc::clone(from))
                }
                Some(frame) => framed(from, frame),
                None => Ok(Arc::clone(from)),
            }
        })
    }

    /// The same samples as the crops that [`Framing::Ten`] has, where their geometry is settled when they are read.
    pub fn ten_crops(&self) -> Splits {
        self.reframed(|[channels, height, width], resize| Frame {
            shape: [channels, 6 * height, width],
            framing: Framing::Ten { resize },
        })
    }

    /// The same samples with what lies around the network's input, where their geometry is settled when they are read.
    pub fn with_surroundings(&self) -> Splits {
        self.reframed(|[channels, height, width], resize| Frame {
            shape: [channels, resize, resize],
            framing: Framing::Around { resize, crop: [height, width] },
        })
    }

    fn reframed(&self, frame: impl Fn([usize; 3], usize) -> Frame) -> Splits {
        let of = |dataset: &Arc<Dataset>| match dataset.framing() {
            Some(Framing::Centre { resize: Some(side) }) => dataset.reframed(frame(dataset.shape, side)),
            _ => Arc::clone(dataset),
        };
        Splits { train: of(&self.train), val: of(&self.val), origin: self.origin.clone() }
    }

    /// Both parts changed; one and the same data set stays one.
    fn each(&self, change: impl Fn(&Arc<Dataset>) -> Result<Arc<Dataset>>) -> Result<Splits> {
        let train = change(&self.train)?;
        let same = Arc::ptr_eq(&self.train, &self.val);
        let val = if same { Arc::clone(&train) } else { change(&self.val)? };
        Ok(Splits { train, val, origin: self.origin.clone() })
    }
}

/// `from` in `frame`, unless it has its shape already.
fn resized(from: &Arc<Dataset>, frame: Frame) -> Result<Arc<Dataset>> {
    if frame.shape == from.shape { Ok(Arc::clone(from)) } else { framed(from, frame) }
}

fn framed(from: &Arc<Dataset>, frame: Frame) -> Result<Arc<Dataset>> {
    if from.framing().is_some() {
        return Ok(from.reframed(frame));
    }
    let channels = from.shape[0];
    if !from.has_pixels() || ![1, 3].contains(&channels) {
        let found = if from.has_pixels() { format!("{channels} channels") } else { "f32 images".into() };
        let what = format!("expected pixels (bytes) of 1 or 3 channels to resize, found {found}");
        return Err(Error::data(&from.name, what));
    }
    let store = Arc::new(Resized { from: Arc::clone(from), fitters: Mutex::default() });
    let indices = (0..from.len() as u32).collect();
    Ok(Arc::new(Dataset {
        name: from.name.clone(),
        shape: frame.shape,
        classes: from.classes,
        class_names: from.class_names.clone(),
        images: Images::Stored(Stored { store, indices, framing: Some(frame.framing) }),
        labels: from.labels.clone(),
    }))
}

impl Store for Resized {
    fn read(&self, index: usize, into: &mut [u8]) -> Result<()> {
        self.from.read_pixels(index, into)
    }

    fn read_framed(&self, index: usize, frame: &Frame, into: &mut [u8]) -> Result<()> {
        let fitters = || self.fitters.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut fitter, mut buffers) = fitters().pop().unwrap_or_default();
        let [planes, pixels] = &mut buffers;
        planes.resize(self.from.image_len(), 0);
        let read = self.from.read_pixels(index, planes).and_then(|()| {
            let [channels, height, width] = self.from.shape;
            interleave(planes, channels, pixels);
            let image = ImageInfo { width, height, channels, orientation: Orientation::NoTransforms };
            let wrong = |what| Error::data(&self.from.name, format!("image {index}: {what}"));
            fitter.fit(&image, pixels, frame, into).map_err(wrong)
        });
        fitters().push((fitter, buffers));
        read
    }

    fn file(&self, index: usize) -> Option<PathBuf> {
        self.from.file(index)
    }

    fn name(&self, index: usize) -> Option<String> {
        self.from.sample_name(index)
    }

    fn block(&self) -> usize {
        self.from.stored().map_or(1, |stored| stored.store.block())
    }

    fn source(&self) -> Option<&Dataset> {
        Some(&self.from)
    }
}

/// `[channels, pixels]` as `[pixels, channels]`.
fn interleave(planes: &[u8], channels: usize, pixels: &mut Vec<u8>) {
    pixels.resize(planes.len(), 0);
    let plane_len = (planes.len() / channels.max(1)).max(1);
    for (channel, plane) in planes.chunks_exact(plane_len).enumerate() {
        for (pixel, value) in pixels.chunks_exact_mut(channels).zip(plane) {
            pixel[channel] = *value;
        }
    }
}
