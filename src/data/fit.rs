//! A decoded picture of any size as planes of a given size: resized to cover it, cut around the centre, turned the
//! right way up, in grey or in colour.

use crate::view::LUMA;
use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::metadata::Orientation;

/// Resizing memory larger than this, in bytes, is given back after the picture that needed it.
const KEPT: usize = 64 << 20;

/// What there is to know of decoded pixels: `[height, width, channels]`, 1 or 3 channels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Picture {
    pub width: usize,
    pub height: usize,
    pub channels: usize,
    /// How the pixels have to be turned to be upright.
    pub orientation: Orientation,
}

impl Picture {
    /// Whether width and height change places when it is turned upright.
    fn is_turned(&self) -> bool {
        matches!(
            self.orientation,
            Orientation::Rotate90
                | Orientation::Rotate270
                | Orientation::Rotate90FlipH
                | Orientation::Rotate270FlipH
        )
    }

    /// Width and height of the upright picture.
    pub fn upright(&self) -> [usize; 2] {
        if self.is_turned() { [self.height, self.width] } else { [self.width, self.height] }
    }
}

/// Brings pictures to size, with memory that is used again.
#[derive(Debug, Default)]
pub(super) struct Fitter {
    resizer: Resizer,
    resized: Vec<u8>,
}

/// Where an upright picture's pixels lie in one stored otherwise: pixel (y, x) is at `first + y * down + x * right`.
struct Walk {
    first: isize,
    down: isize,
    right: isize,
}

impl Fitter {
    /// Writes `picture`, whose pixels are `pixels`, to `into` as `[channels, height, width]`.
    ///
    /// Resizing is bilinear, over an area that grows with the reduction, so that nothing is skipped (as in PIL, and
    /// in torchvision with antialiasing). The error is one line.
    pub fn fit(
        &mut self,
        picture: &Picture,
        pixels: &[u8],
        [channels, height, width]: [usize; 3],
        into: &mut [u8],
    ) -> Result<(), String> {
        let turned = picture.is_turned();
        // Turning comes last, when there are fewer pixels to turn.
        let (stored_width, stored_height) = if turned { (height, width) } else { (width, height) };
        let pixels = if (picture.width, picture.height) == (stored_width, stored_height) {
            pixels
        } else {
            self.resize(picture, pixels, stored_width, stored_height)?;
            &self.resized
        };
        let walk = Walk::new(picture.orientation, stored_width as isize, stored_height as isize);
        let planes = into.chunks_exact_mut((height * width).max(1)).enumerate().take(channels);
        match (picture.channels, channels) {
            (3, 1) => planes.for_each(|(_, plane)| walk.copy(pixels, plane, width, luma)),
            (3, _) => planes.for_each(|(c, plane)| walk.copy(pixels, plane, width, |rgb: &[u8; 3]| rgb[c])),
            _ => planes.for_each(|(_, plane)| walk.copy(pixels, plane, width, |&[grey]: &[u8; 1]| grey)),
        }
        Ok(())
    }

    fn resize(
        &mut self,
        picture: &Picture,
        pixels: &[u8],
        width: usize,
        height: usize,
    ) -> Result<(), String> {
        let kind = if picture.channels == 1 { PixelType::U8 } else { PixelType::U8x3 };
        let options = ResizeOptions::new()
            .resize_alg(ResizeAlg::Convolution(FilterType::Bilinear))
            .fit_into_destination(Some((0.5, 0.5)));
        self.resized.resize(width * height * picture.channels, 0);
        let wrong = |error: &dyn std::fmt::Display| format!("cannot be resized: {error}");
        let source = ImageRef::new(picture.width as u32, picture.height as u32, pixels, kind)
            .map_err(|error| wrong(&error))?;
        let mut target = Image::from_slice_u8(width as u32, height as u32, &mut self.resized, kind)
            .map_err(|error| wrong(&error))?;
        let resized = self.resizer.resize(&source, &mut target, &options).map_err(|error| wrong(&error));
        if self.resizer.size_of_internal_buffers() > KEPT {
            self.resizer.reset_internal_buffers();
        }
        resized
    }
}

/// Grey as in [`LUMA`], rounded.
fn luma(rgb: &[u8; 3]) -> u8 {
    let sum: f32 = rgb.iter().zip(LUMA).map(|(&value, weight)| f32::from(value) * weight).sum();
    (sum + 0.5) as u8
}

impl Walk {
    /// The walk through a stored picture of `width` x `height`.
    fn new(orientation: Orientation, width: isize, height: isize) -> Walk {
        let (top_right, bottom_left, last) = (width - 1, (height - 1) * width, height * width - 1);
        let (first, down, right) = match orientation {
            Orientation::NoTransforms => (0, width, 1),
            Orientation::FlipHorizontal => (top_right, width, -1),
            Orientation::Rotate180 => (last, -width, -1),
            Orientation::FlipVertical => (bottom_left, -width, 1),
            // The first pixel of what is seen is the last of the first stored column, then it goes up.
            Orientation::Rotate90 => (bottom_left, 1, -width),
            Orientation::Rotate90FlipH => (0, 1, width),
            Orientation::Rotate270 => (top_right, -1, width),
            Orientation::Rotate270FlipH => (last, -1, -width),
        };
        Walk { first, down, right }
    }

    /// One value per pixel, row by row of what is seen.
    fn copy<const N: usize>(
        &self,
        pixels: &[u8],
        plane: &mut [u8],
        width: usize,
        value: impl Fn(&[u8; N]) -> u8,
    ) {
        let (pixels, _) = pixels.as_chunks::<N>();
        for (y, row) in plane.chunks_exact_mut(width.max(1)).enumerate() {
            let start = self.first + y as isize * self.down;
            if self.right == 1 {
                let start = start as usize;
                for (out, pixel) in row.iter_mut().zip(&pixels[start..]) {
                    *out = value(pixel);
                }
            } else {
                for (x, out) in row.iter_mut().enumerate() {
                    *out = value(&pixels[(start + x as isize * self.right) as usize]);
                }
            }
        }
    }
}
