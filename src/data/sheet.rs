//! Many small pictures as one PNG file.

use crate::error::{Error, Result};
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};
use std::io::Write;

/// Black pixels between two pictures.
const GAP: usize = 2;

/// Pictures of one size in rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sheet {
    /// Channels (1 or 3), height and width of every picture.
    pub shape: [usize; 3],
    /// Pictures of a row.
    pub columns: usize,
    /// `[pictures, channels, height, width]`.
    pub pixels: Vec<u8>,
}

impl Sheet {
    /// Number of pictures.
    pub fn pictures(&self) -> usize {
        self.pixels.len().checked_div(self.shape.iter().product()).unwrap_or(0)
    }

    /// Writes the sheet as PNG.
    ///
    /// An error for channels other than 1 and 3, or without a picture.
    pub fn write(&self, out: &mut dyn Write) -> Result<()> {
        let ([channels, height, width], columns) = (self.shape, self.columns.max(1));
        let picture = channels * height * width;
        let colour = match channels {
            1 => ExtendedColorType::L8,
            3 => ExtendedColorType::Rgb8,
            _ => return Err(Error::Usage(format!("expected pictures of 1 or 3 channels, found {channels}"))),
        };
        let rows = self.pictures().div_ceil(columns);
        if rows == 0 {
            return Err(Error::Usage("expected pictures to show, found none".into()));
        }
        let (across, down) = (columns * (width + GAP) - GAP, rows * (height + GAP) - GAP);
        let mut sheet = vec![0; across * down * channels];
        for (number, pixels) in self.pixels.chunks_exact(picture).enumerate() {
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
