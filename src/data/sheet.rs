//! Many small images as one PNG file.

use crate::error::{Error, Result};
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};
use std::io::Write;

/// Black pixels between two images.
const GAP: usize = 2;

/// Images of one size in rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sheet {
    /// Channels (1 or 3), height and width of every image.
    pub shape: [usize; 3],
    /// Images of a row.
    pub columns: usize,
    /// `[images, channels, height, width]`.
    pub pixels: Vec<u8>,
}

impl Sheet {
    /// Number of images.
    pub fn images(&self) -> usize {
        self.pixels.len().checked_div(self.shape.iter().product()).unwrap_or(0)
    }

    /// Writes the sheet as PNG.
    ///
    /// An error for channels other than 1 and 3, or without an image.
    pub fn write(&self, out: &mut dyn Write) -> Result<()> {
        let ([channels, height, width], columns) = (self.shape, self.columns.max(1));
        let image = channels * height * width;
        let colour = match channels {
            1 => ExtendedColorType::L8,
            3 => ExtendedColorType::Rgb8,
            _ => return Err(Error::Usage(format!("expected images of 1 or 3 channels, found {channels}"))),
        };
        let rows = self.images().div_ceil(columns);
        if rows == 0 {
            return Err(Error::Usage("expected images to show, found none".into()));
        }
        let (across, down) = (columns * (width + GAP) - GAP, rows * (height + GAP) - GAP);
        let mut sheet = vec![0; across * down * channels];
        for (number, pixels) in self.pixels.chunks_exact(image).enumerate() {
            let (top, left) = (number / columns * (height + GAP), number % columns * (width + GAP));
            for (at, &pixel) in pixels.iter().enumerate() {
                let (channel, y, x) = (at / (height * width), at / width % height, at % width);
                sheet[((top + y) * across + left + x) * channels + channel] = pixel;
            }
        }
        PngEncoder::new(out)
            .write_image(&sheet, across as u32, down as u32, colour)
            .map_err(|error| Error::Internal(format!("PNG: {error}")))
    }
}
