//! TIFF files as pixels, the first page: grey of 1, 2, 4, 8 and 16 bits, palettes, RGB and CMYK of 8 and 16 bits, YCbCr, with
//! alpha or without; strips and tiles; without compression or with LZW, Deflate, PackBits, Group 4 fax or JPEG. BigTIFF too.
//!
//! The layout is read here and not by the crate tiff (0.11.3), which ignores `FillOrder`, decodes RGB with a fourth sample of no
//! meaning under a predictor, and JPEG strips that end early, to other pixels without an error, refuses sound LZW tiles, and
//! knows no palettes. Compression is undone by flate2, weezl, fax, and our JPEG decoders.
//!
//! A file whose first page is a reduced copy, as in raw photographs, is refused.

mod codecs;
mod directory;
mod header;

use super::fit::ImageInfo;
use super::limits::{Decoded, Turn, wait_for_turn};
use super::pixels::{drop_last, lay_inks, lay_multiplied_on_white, lay_on_white, ycc_to_rgb};
use codecs::Unpacker;
use directory::Directory;
use header::{Alpha, Colours, Compression, Header};
use image::metadata::Orientation;

/// What can be done about a TIFF that is sound and not read.
const REMEDY: &str = "rewrite it as plain TIFF of 8 bits or as PNG";

fn damaged<T>(what: impl AsRef<str>) -> Decoded<T> {
    Err(format!("not a whole TIFF: {}", what.as_ref()))
}

/// The error for a sound TIFF that is not read.
fn unread<T>(expected: &str, found: impl AsRef<str>) -> Decoded<T> {
    Err(format!("expected a TIFF with {expected}, found {}; {REMEDY}", found.as_ref()))
}

/// Decodes the first page of the TIFF `file` into `pixels`. Returns whether there are more pages.
pub(super) fn decode(file: &[u8], pixels: &mut Vec<u8>, turn: &mut Turn) -> Decoded<(ImageInfo, bool)> {
    let directory = Directory::read(file)?;
    let header = Header::read(&directory, file.len())?;
    let (width, height) = (header.width, header.height);
    wait_for_turn((width * height) as u64, turn);
    pixels.clear();
    pixels.resize(width * height * header.samples, 0);
    let mut unpacker = Unpacker::default();
    let [across, down] = header.grid();
    for (number, chunk) in header.chunks.iter().flat_map(|chunks| chunks.iter()).enumerate() {
        let [column, row] = [number % across, number / across % down];
        let place = Place {
            plane: number / (across * down),
            left: column * header.chunk[0],
            top: row * header.chunk[1],
        };
        // Of a tile all rows are stored, of the last strip those that there are.
        let rows = header.chunk[1].min(height - place.top);
        unpacker.unpack(file, &header, chunk, rows, turn)?;
        header.put(&mut unpacker.bytes, place, rows, pixels);
    }
    let channels = header.to_colours(pixels);
    let orientation = u8::try_from(header.orientation).ok().and_then(Orientation::from_exif);
    let orientation = orientation.unwrap_or(Orientation::NoTransforms);
    Ok((ImageInfo { width, height, channels, orientation }, directory.has_next))
}

/// Where a strip or tile begins; its plane is 0 if samples have none of their own.
struct Place {
    plane: usize,
    left: usize,
    top: usize,
}

impl Header<'_> {
    /// Puts `rows` rows of a strip or tile, `stored`, into `pixels`, as samples of 8 bits.
    fn put(&self, stored: &mut [u8], place: Place, rows: usize, pixels: &mut [u8]) {
        let each = if self.is_planar { 1 } else { self.samples };
        let columns = self.chunk[0].min(self.width - place.left);
        let stride = (self.chunk[0] * each * self.bits).div_ceil(8);
        for (number, row) in stored.chunks_exact_mut(stride).take(rows).enumerate() {
            let first = (place.top + number) * self.width + place.left;
            let into = &mut pixels[first * self.samples + place.plane..];
            if self.is_predicted {
                self.undo_prediction(row, each);
            }
            match (self.bits, self.is_planar) {
                (8, false) => into[..columns * each].copy_from_slice(&row[..columns * each]),
                _ => {
                    // A sample beside the other, or one in each pixel.
                    let step = if self.is_planar { self.samples } else { 1 };
                    for at in 0..columns * each {
                        into[at * step] = self.sample(row, at);
                    }
                }
            }
        }
    }

    /// Sample `at` of a row, in 8 bits; an index of a palette as it is.
    fn sample(&self, row: &[u8], at: usize) -> u8 {
        match self.bits {
            8 => row[at],
            16 => ((u32::from(self.wide(&row[2 * at..])) + 128) / 257) as u8,
            bits => {
                let first = at * bits;
                let value = row[first / 8] >> (8 - bits - first % 8) & ((1_u16 << bits) - 1) as u8;
                let scale = if self.palette.is_empty() { 255 / ((1 << bits) - 1) } else { 1 };
                value * scale as u8
            }
        }
    }

    /// The first two bytes as a number.
    fn wide(&self, bytes: &[u8]) -> u16 {
        let two = [bytes[0], bytes[1]];
        if self.is_little { u16::from_le_bytes(two) } else { u16::from_be_bytes(two) }
    }

    /// Adds up the differences of a row of `each` samples for a pixel (TIFF 6.0, section 14).
    fn undo_prediction(&self, row: &mut [u8], each: usize) {
        if self.bits == 8 {
            for at in each..row.len() {
                row[at] = row[at].wrapping_add(row[at - each]);
            }
            return;
        }
        for at in (2 * each..row.len()).step_by(2) {
            let sum = self.wide(&row[at..]).wrapping_add(self.wide(&row[at - 2 * each..]));
            let bytes = if self.is_little { sum.to_le_bytes() } else { sum.to_be_bytes() };
            row[at..at + 2].copy_from_slice(&bytes);
        }
    }

    /// Samples of 8 bits as grey or red, green and blue. Returns the channels.
    fn to_colours(&self, pixels: &mut Vec<u8>) -> usize {
        let colour = |index: u8| self.palette.get(usize::from(index)).copied().unwrap_or_default();
        if self.is_inverted {
            pixels.iter_mut().for_each(|value| *value = 255 - *value);
        }
        match self.colours {
            Colours::Grey(None) => 1,
            Colours::Grey(Some(alpha)) => alpha.drop::<2>(pixels),
            Colours::Rgb(None) => 3,
            Colours::Rgb(Some(alpha)) => alpha.drop::<4>(pixels),
            Colours::Palette(None) => {
                *pixels = pixels.iter().flat_map(|&index| colour(index)).collect();
                3
            }
            Colours::Palette(Some(alpha)) => {
                let pairs = pixels.as_chunks::<2>().0.iter();
                let laid = pairs.map(|&[index, alpha]| (colour(index), alpha));
                *pixels = laid.flat_map(|([r, g, b], alpha)| [r, g, b, alpha]).collect();
                alpha.drop::<4>(pixels)
            }
            Colours::Cmyk => lay_inks(pixels),
            Colours::YCbCr => {
                if self.compression != Compression::Jpeg {
                    ycc_to_rgb(pixels);
                }
                3
            }
        }
    }
}

impl Alpha {
    /// Drops it, the last of `N` channels. Returns the channels left.
    fn drop<const N: usize>(self, pixels: &mut Vec<u8>) -> usize {
        match self {
            Alpha::Associated => lay_multiplied_on_white::<N>(pixels),
            Alpha::Unassociated => lay_on_white::<N>(pixels),
            Alpha::Meaningless => drop_last::<N>(pixels),
        }
    }
}
