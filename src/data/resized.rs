//! A data set of pixels as one of another size and colour: its pictures are resized as picture files are, each when it
//! is read.

use super::dataset::{Dataset, Images, Store, Stored};
use super::fit::{Fitter, Picture};
use super::source::Splits;
use crate::error::{Error, Result};
use image::metadata::Orientation;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// The pictures of `from`, brought to `shape`.
#[derive(Debug)]
struct Resized {
    from: Arc<Dataset>,
    shape: [usize; 3],
    /// Resizers that no thread is using, each with the bytes of a picture: as stored, and pixel by pixel.
    fitters: Mutex<Vec<(Fitter, [Vec<u8>; 2])>>,
}

impl Splits {
    /// The same samples with pictures of `channels` (1 or 3) and squares of `side` pixels; none leaves what there is. The
    /// shorter side is resized, the middle cut out.
    ///
    /// An error if there is something to change in images that are not pixels of 1 or 3 channels.
    pub fn resized(&self, channels: Option<usize>, side: Option<usize>) -> Result<Splits> {
        let train = resized(&self.train, channels, side)?;
        let same = Arc::ptr_eq(&self.train, &self.val);
        let val = if same { Arc::clone(&train) } else { resized(&self.val, channels, side)? };
        Ok(Splits { train, val, origin: self.origin.clone() })
    }
}

fn resized(from: &Arc<Dataset>, channels: Option<usize>, side: Option<usize>) -> Result<Arc<Dataset>> {
    let [c, h, w] = from.shape;
    let shape = [channels.unwrap_or(c), side.unwrap_or(h), side.unwrap_or(w)];
    if shape == from.shape {
        return Ok(Arc::clone(from));
    }
    if !from.has_pixels() || ![1, 3].contains(&c) {
        let found = if from.has_pixels() { format!("{c} channels") } else { "f32 images".into() };
        let what = format!("expected pixels (bytes) of 1 or 3 channels to resize, found {found}");
        return Err(Error::data(&from.name, what));
    }
    let store = Arc::new(Resized { from: Arc::clone(from), shape, fitters: Mutex::default() });
    Ok(Arc::new(Dataset {
        name: from.name.clone(),
        shape,
        classes: from.classes,
        class_names: from.class_names.clone(),
        images: Images::Stored(Stored { store, indices: (0..from.len() as u32).collect() }),
        labels: from.labels.clone(),
    }))
}

impl Store for Resized {
    fn read(&self, index: usize, into: &mut [u8]) -> Result<()> {
        let fitters = || self.fitters.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut fitter, mut buffers) = fitters().pop().unwrap_or_default();
        let [planes, pixels] = &mut buffers;
        planes.resize(self.from.image_len(), 0);
        let read = self.from.read_pixels(index, planes).and_then(|()| {
            let [channels, height, width] = self.from.shape;
            interleave(planes, channels, pixels);
            let picture = Picture { width, height, channels, orientation: Orientation::NoTransforms };
            let wrong = |what| Error::data(&self.from.name, format!("picture {index}: {what}"));
            fitter.fit(&picture, pixels, self.shape, into).map_err(wrong)
        });
        fitters().push((fitter, buffers));
        read
    }

    fn file(&self, index: usize) -> Option<PathBuf> {
        self.from.file(index)
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
