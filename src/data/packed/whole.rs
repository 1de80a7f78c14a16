//! The images of a file of version 2: whole, each in its original size, framed when they are read as image files are.

use super::PARTS;
use super::file::{BLOCK, Packed};
use crate::data::dataset::Store;
use crate::data::fit::{Fitter, ImageInfo, MOST_WHOLE, MOST_WHOLE_BYTES};
use crate::data::framing::Frame;
use crate::error::{Error, Result};
use image::metadata::Orientation;
use std::sync::{Mutex, PoisonError};

#[derive(Debug)]
pub(super) struct WholeStore {
    file: Packed,
    channels: usize,
    /// Height and width of each image, and where its pixels begin.
    places: Vec<([u32; 2], u64)>,
    /// Fitters that no thread is using, each with the bytes of an image.
    fitters: Mutex<Vec<(Fitter, Vec<u8>)>>,
}

impl WholeStore {
    /// The images of `file`; `sizes` are the heights and widths in each of its two parts, which have `pixels`.
    ///
    /// An error if a size is no image's, or if those of a part are not its pixels in all.
    pub fn new(
        file: Packed,
        channels: usize,
        pixels: [usize; 2],
        sizes: [Vec<[u32; 2]>; 2],
    ) -> std::result::Result<WholeStore, String> {
        let mut places = Vec::with_capacity(sizes.iter().map(Vec::len).sum());
        let mut at = 0;
        for ((part, sizes), pixels) in PARTS.iter().zip(sizes).zip(pixels) {
            let mut sum = 0u64;
            for (number, size) in sizes.into_iter().enumerate() {
                let [height, width] = size.map(u64::from);
                // As numbers without sign, negative sides are larger than any other.
                let is_possible = [height, width].iter().all(|side| (1..=MOST_WHOLE as u64).contains(side))
                    && height * width * channels as u64 <= MOST_WHOLE_BYTES as u64;
                if !is_possible {
                    return Err(format!(
                        "{part}.sizes, image {number}: expected sides of 1 to {MOST_WHOLE} and at most {MOST_WHOLE_BYTES} bytes, found {height}x{width}"
                    ));
                }
                places.push((size, at + sum));
                sum += height * width;
            }
            if sum != pixels as u64 {
                return Err(format!("{part}.sizes: expected images of {pixels} pixels in all, found {sum}"));
            }
            at += sum;
        }
        Ok(WholeStore { file, channels, places, fitters: Mutex::default() })
    }

    /// Runs `work` on image `index` with a fitter that no other thread is using.
    fn with<T>(
        &self,
        index: usize,
        work: impl FnOnce(&mut Fitter, &ImageInfo, &[u8]) -> std::result::Result<T, String>,
    ) -> Result<T> {
        let none = || Error::Internal(format!("image {index} of {} was asked for", self.places.len()));
        let &([height, width], at) = self.places.get(index).ok_or_else(none)?;
        let (height, width, channels) = (height as usize, width as usize, self.channels);
        let fitters = || self.fitters.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut fitter, mut pixels) = fitters().pop().unwrap_or_default();
        pixels.resize(height * width * channels, 0);
        let done = self.file.read(index, at * channels as u64, &mut pixels).and_then(|()| {
            let image = ImageInfo { width, height, channels, orientation: Orientation::NoTransforms };
            work(&mut fitter, &image, &pixels).map_err(|what| self.file.bad(index, what))
        });
        if pixels.capacity() > BLOCK {
            pixels = Vec::new();
        }
        fitters().push((fitter, pixels));
        done
    }
}

impl Store for WholeStore {
    fn read(&self, index: usize, _into: &mut [u8]) -> Result<()> {
        Err(Error::Internal(format!("image {index} was asked for without a frame")))
    }

    fn read_framed(&self, index: usize, frame: &Frame, into: &mut [u8]) -> Result<()> {
        self.with(index, |fitter, image, pixels| fitter.fit(image, pixels, frame, into))
    }

    fn read_whole(
        &self,
        index: usize,
        channels: usize,
        side: usize,
        into: &mut Vec<u8>,
    ) -> Result<[usize; 2]> {
        self.with(index, |fitter, image, pixels| fitter.whole(image, pixels, (channels, side), into))
    }

    fn has_sizes(&self) -> bool {
        true
    }

    fn block(&self) -> usize {
        let pixels =
            self.places.last().map_or(0, |&([height, width], at)| at + u64::from(height) * u64::from(width));
        let mean = (pixels as usize * self.channels / self.places.len().max(1)).max(1);
        (BLOCK / mean).max(1)
    }
}
