//! A decoded image of any size as planes of a given size: resized and cut as a `Frame` says, turned the right way up,
//! in grey or in colour.

use super::framing::{Frame, Framing, Placement, Region, resize};
use super::walk::Walk;
use fast_image_resize::images::{CroppedImage, Image, ImageRef};
use fast_image_resize::{FilterType, IntoImageView, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::metadata::Orientation;

/// Resizing memory larger than this, in bytes, is given back after the image that needed it.
const KEPT: usize = 64 << 20;

/// From this reduction on, each value is a mean of at least two, none with a weight over 0.72: for two orders of the passes to
/// be 2 apart, four roundings would all have to be nearly half of one, which happens to one value of about 1e9.
const AVERAGED: f64 = 1.25;

/// Most values of a part of an image that is resized in 16 bits: that many take as much as is kept.
const MOST_DEEP: usize = KEPT / 2;

/// What 16 bits have for one of 8: 255 becomes 65535.
const DEEP: u16 = 257;

/// Longest side, and most bytes, of an image that is kept whole: a file of them is read again with the memory of a few.
pub(super) const MOST_WHOLE: usize = 1 << 16;
pub(super) const MOST_WHOLE_BYTES: usize = 64 << 20;

/// What there is to know of decoded pixels: `[height, width, channels]`, 1 or 3 channels.
#[derive(Clone, Copy, Debug)]
pub(super) struct ImageInfo {
    pub width: usize,
    pub height: usize,
    pub channels: usize,
    /// How the pixels have to be turned to be upright.
    pub orientation: Orientation,
}

impl ImageInfo {
    /// Whether width and height change places when it is turned upright.
    pub(super) fn is_turned(&self) -> bool {
        matches!(
            self.orientation,
            Orientation::Rotate90
                | Orientation::Rotate270
                | Orientation::Rotate90FlipH
                | Orientation::Rotate270FlipH
        )
    }

    /// Width and height of the upright image.
    pub fn upright(&self) -> [usize; 2] {
        if self.is_turned() { [self.height, self.width] } else { [self.width, self.height] }
    }

    pub(super) fn kind(&self) -> PixelType {
        if self.channels == 1 { PixelType::U8 } else { PixelType::U8x3 }
    }

    /// The walk through a part of the stored image, which is `width` x `height` when it is turned upright.
    pub(super) fn walk(&self, [width, height]: [usize; 2]) -> Walk {
        let [width, height] = if self.is_turned() { [height, width] } else { [width, height] };
        Walk::new(self.orientation, width as isize, height as isize)
    }

    /// Where `place` of something upright of `size`, width and height, lies in the same thing as stored.
    fn stored(&self, place: Rect, [width, height]: [f64; 2]) -> Rect {
        let (right, bottom) = (width - place.left - place.width, height - place.top - place.height);
        let [left, top] = match self.orientation {
            Orientation::NoTransforms => [place.left, place.top],
            Orientation::FlipHorizontal => [right, place.top],
            Orientation::Rotate180 => [right, bottom],
            Orientation::FlipVertical => [place.left, bottom],
            Orientation::Rotate90 => [place.top, right],
            Orientation::Rotate90FlipH => [place.top, place.left],
            Orientation::Rotate270 => [bottom, place.left],
            Orientation::Rotate270FlipH => [bottom, right],
        };
        // What subtraction leaves of 0 may be a little less.
        let [left, top] = [left.max(0.0), top.max(0.0)];
        let [width, height] =
            if self.is_turned() { [place.height, place.width] } else { [place.width, place.height] };
        Rect { left, top, width, height }
    }
}

/// Brings images to size, with memory that is used again.
#[derive(Debug, Default)]
pub(super) struct Fitter {
    resizer: Resizer,
    pub(super) resized: Vec<u8>,
    /// Pixels in 16 bits, before and after they are resized.
    wide: Vec<u16>,
    deep: Vec<u16>,
    grey: Vec<u8>,
}

/// A part of an image, in fractions of a pixel.
#[derive(Clone, Copy)]
struct Rect {
    left: f64,
    top: f64,
    width: f64,
    height: f64,
}

impl Fitter {
    /// Writes what `frame` shows of `image`, whose pixels are `pixels`, to `into` as `[channels, height, width]`.
    ///
    /// Resizing is bilinear, over an area that grows with the reduction, so that nothing is skipped: Pillow's, within 1
    /// of 255. A colour image becomes grey before it is resized. The error is one line.
    pub fn fit(
        &mut self,
        image: &ImageInfo,
        pixels: &[u8],
        frame: &Frame,
        into: &mut [u8],
    ) -> Result<(), String> {
        if frame.framing == Framing::Covered {
            return self.cover(image, pixels, frame.shape, into);
        }
        self.with_grey(image, pixels, frame.shape[0], |fitter, image, pixels| {
            fitter.show(image, pixels, frame, into)
        })
    }

    /// Writes the whole `image`, resized so that its shorter side is `side`, to `into` as `[height, width,
    /// channels]`: returns width and height.
    pub fn whole(
        &mut self,
        image: &ImageInfo,
        pixels: &[u8],
        (channels, side): (usize, usize),
        into: &mut Vec<u8>,
    ) -> Result<[usize; 2], String> {
        let [width, height] = resize(image.upright(), side);
        if width.max(height) > MOST_WHOLE || (width * height).saturating_mul(channels) > MOST_WHOLE_BYTES {
            return Err(format!(
                "expected an image of at most {MOST_WHOLE_BYTES} bytes and sides of at most {MOST_WHOLE} once its shorter side is resized, found {width}x{height}"
            ));
        }
        let frame =
            Frame { shape: [channels, height, width], framing: Framing::Centre { resize: Some(side) } };
        let mut planes = vec![0; channels * height * width];
        self.fit(image, pixels, &frame, &mut planes)?;
        into.clear();
        let plane = height * width;
        into.extend(
            (0..plane).flat_map(|at| (0..channels).map(move |c| c * plane + at)).map(|at| planes[at]),
        );
        Ok([width, height])
    }

    /// Runs `work` on the image, which is grey if one channel is wanted.
    fn with_grey<T>(
        &mut self,
        image: &ImageInfo,
        pixels: &[u8],
        channels: usize,
        work: impl FnOnce(&mut Fitter, &ImageInfo, &[u8]) -> Result<T, String>,
    ) -> Result<T, String> {
        if (image.channels, channels) != (3, 1) {
            return work(self, image, pixels);
        }
        let mut grey = std::mem::take(&mut self.grey);
        grey.clear();
        grey.extend(pixels.as_chunks::<3>().0.iter().map(luma));
        let done = work(self, &ImageInfo { channels: 1, ..*image }, &grey);
        if grey.capacity() <= KEPT {
            self.grey = grey;
        }
        done
    }

    /// As [`Fitter::fit`], for an image that is already grey where that is wanted.
    fn show(
        &mut self,
        image: &ImageInfo,
        pixels: &[u8],
        frame: &Frame,
        into: &mut [u8],
    ) -> Result<(), String> {
        let [channels, height, width] = frame.shape;
        let placements = frame.placements(image.upright());
        let part = height / placements.len().max(1);
        for (number, Placement { source, resized: [across, down], cut }) in placements.into_iter().enumerate()
        {
            if cut.left + cut.width > across || cut.top + cut.height > down {
                return Err(format!(
                    "expected a resized image that covers {}x{}, found {across}x{down}",
                    cut.width, cut.height
                ));
            }
            // In this order, whole numbers stay whole.
            let along = |count: usize, own: usize, resized: usize| count as f64 * own as f64 / resized as f64;
            let place = Rect {
                left: along(cut.left, source.width, across),
                top: along(cut.top, source.height, down),
                width: along(cut.width, source.width, across),
                height: along(cut.height, source.height, down),
            };
            let pixels = self.cut(image, pixels, source, place, [cut.width, cut.height])?;
            let walk = image.walk([cut.width, cut.height]);
            let plane = height * width;
            let planes = into.chunks_exact_mut(plane.max(1)).take(channels);
            let rows = number * part * width..(number + 1) * part * width;
            for (c, plane) in planes.enumerate() {
                let plane = &mut plane[rows.clone()];
                match image.channels {
                    3 => walk.copy(pixels, plane, width, |rgb: &[u8; 3]| rgb[c]),
                    _ => walk.copy(pixels, plane, width, |&[grey]: &[u8; 1]| grey),
                }
            }
        }
        Ok(())
    }

    /// `place` of the part `source` of the upright image, resized to `size`, width and height, in the order in which the
    /// image is stored.
    fn cut<'a>(
        &'a mut self,
        image: &ImageInfo,
        pixels: &'a [u8],
        source: Region,
        place: Rect,
        size: [usize; 2],
    ) -> Result<&'a [u8], String> {
        let stored = [image.width as f64, image.height as f64];
        let outer = Rect {
            left: source.left as f64,
            top: source.top as f64,
            width: source.width as f64,
            height: source.height as f64,
        };
        let inner = image.stored(place, [outer.width, outer.height]);
        let outer = image.stored(outer, image.upright().map(|side| side as f64));
        // A sum of roundings may end beyond the image.
        let inner = Rect {
            width: inner.width.min(outer.width - inner.left),
            height: inner.height.min(outer.height - inner.top),
            ..inner
        };
        let [width, height] = if image.is_turned() { [size[1], size[0]] } else { size };
        let is_whole = [inner.left, inner.top, inner.width, inner.height]
            == [0.0, 0.0, width as f64, height as f64]
            && [outer.width, outer.height] == stored
            && stored == [width as f64, height as f64];
        if is_whole {
            return Ok(pixels);
        }
        // Only the pixels within reach of the filter are read.
        let [columns, rows] = [
            reached([inner.left, inner.width], width, outer.width),
            reached([inner.top, inner.height], height, outer.height),
        ];
        let near = Rect { left: inner.left - columns[0], top: inner.top - rows[0], ..inner };
        let region = Region {
            left: (outer.left + columns[0]) as usize,
            top: (outer.top + rows[0]) as usize,
            width: columns[1] as usize,
            height: rows[1] as usize,
        };
        let options = bilinear().crop(near.left, near.top, near.width, near.height);
        let reduction = (inner.width / width as f64).min(inner.height / height as f64);
        if reduction >= AVERAGED || region.width * region.height * image.channels > MOST_DEEP {
            self.shallow(image, pixels, region, [width, height], &options)?;
        } else {
            self.deep(image, pixels, region, [width, height], &options)?;
        }
        Ok(&self.resized)
    }

    /// Resizes `region` of the stored image with 16 bits between the passes across and down. Pillow rounds to 8 bits after
    /// the first one, whichever that is in its version: it is less than 1 from the exact value, and this is half of one, so
    /// that they are never more than 1 apart.
    fn deep(
        &mut self,
        image: &ImageInfo,
        pixels: &[u8],
        region: Region,
        [width, height]: [usize; 2],
        options: &ResizeOptions,
    ) -> Result<(), String> {
        let kind = if image.channels == 1 { PixelType::U16 } else { PixelType::U16x3 };
        let (row, used) = (image.width * image.channels, region.width * image.channels);
        self.wide.clear();
        let first = region.top * row + region.left * image.channels;
        for line in pixels[first..].chunks(row).take(region.height) {
            self.wide.extend(line[..used].iter().map(|&value| u16::from(value) * DEEP));
        }
        self.deep.clear();
        self.deep.resize(width * height * image.channels, 0);
        let source = bytemuck::cast_slice(&self.wide);
        let source = ImageRef::new(region.width as u32, region.height as u32, source, kind)
            .map_err(|error| wrong(&error))?;
        let target = bytemuck::cast_slice_mut(&mut self.deep);
        let mut target =
            Image::from_slice_u8(width as u32, height as u32, target, kind).map_err(|error| wrong(&error))?;
        self.resizer.resize(&source, &mut target, options).map_err(|error| wrong(&error))?;
        self.give_back();
        self.resized.clear();
        self.resized
            .extend(self.deep.iter().map(|&value| ((u32::from(value) + 128) / u32::from(DEEP)) as u8));
        Ok(())
    }

    /// As [`Fitter::deep`], with 8 bits between the passes, in a third less time: where an image becomes smaller, or where there
    /// would not be the memory for 16 bits.
    fn shallow(
        &mut self,
        image: &ImageInfo,
        pixels: &[u8],
        region: Region,
        size: [usize; 2],
        options: &ResizeOptions,
    ) -> Result<(), String> {
        let kind = image.kind();
        let whole = ImageRef::new(image.width as u32, image.height as u32, pixels, kind)
            .map_err(|error| wrong(&error))?;
        let [left, top, width, height] =
            [region.left, region.top, region.width, region.height].map(|side| side as u32);
        let part = CroppedImage::new(&whole, left, top, width, height).map_err(|error| wrong(&error))?;
        self.resize_as(&part, (image.channels, kind), size, options)
    }

    pub(super) fn resize_as(
        &mut self,
        source: &impl IntoImageView,
        (channels, kind): (usize, PixelType),
        [width, height]: [usize; 2],
        options: &ResizeOptions,
    ) -> Result<(), String> {
        self.resized.resize(width * height * channels, 0);
        let mut target = Image::from_slice_u8(width as u32, height as u32, &mut self.resized, kind)
            .map_err(|error| wrong(&error))?;
        let resized = self.resizer.resize(source, &mut target, options).map_err(|error| wrong(&error));
        self.give_back();
        resized
    }

    /// Gives the resizer's memory back, if it is much.
    fn give_back(&mut self) {
        if self.resizer.size_of_internal_buffers() > KEPT {
            self.resizer.reset_internal_buffers();
        }
    }
}

/// The whole pixels of a side of `own` pixels that the filter reads for `place`, start and length, when that becomes `count`
/// pixels: first and number.
fn reached([start, length]: [f64; 2], count: usize, own: f64) -> [f64; 2] {
    let reach = (length / count as f64).max(1.0);
    let first = (start - reach).floor().max(0.0);
    [first, (start + length + reach).ceil().min(own) - first]
}

pub(super) fn bilinear() -> ResizeOptions {
    ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear))
}

pub(super) fn wrong(error: &dyn std::fmt::Display) -> String {
    format!("cannot be resized: {error}")
}

/// Grey as Pillow's `convert("L")` makes it: ITU-R BT.601 in 1/65536, rounded.
fn luma(rgb: &[u8; 3]) -> u8 {
    let [r, g, b] = rgb.map(u32::from);
    ((19595 * r + 38470 * g + 7471 * b + 0x8000) >> 16) as u8
}
