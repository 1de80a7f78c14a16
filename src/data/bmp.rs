//! BMP files as pixels: palettes, 16, 24 and 32 bits, bit fields, run lengths (RLE4 and RLE8).
//!
//! The fourth byte of 32 bits is passed over unless the header gives it to alpha. Pixels that run-length coded data skip are
//! black, as in Windows' viewers; Pillow gives them the first colour of the palette, which nearly always is black.

use super::fit::ImageInfo;
use super::limits::{Decoded, Turn, check_memory, check_size, wait_for_turn};
use super::pixels::lay_on_white;
use image::codecs::bmp::BmpDecoder;
use image::metadata::Orientation;
use image::{ColorType, ImageDecoder, ImageError};
use std::error::Error as _;
use std::io::{Cursor, ErrorKind};

/// Most pixels that a byte of run-length coded data stands for: two bytes are a run of 255.
const RUN_LENGTH_EXPANSION: u64 = 128;

/// Length of the file header, behind which the other header begins.
const FILE_HEADER: usize = 14;

fn wrong(error: ImageError) -> String {
    let cause = match error {
        ImageError::Unsupported(error) => return format!("expected another kind of BMP: {error}"),
        ImageError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => {
            return "not a whole BMP: expected more bytes than there are".into();
        }
        error => error.source().map_or_else(|| error.to_string(), ToString::to_string),
    };
    format!("not a whole BMP: {}", cause.trim())
}

/// Decodes the BMP `file` into `pixels`.
pub(super) fn decode(file: &[u8], pixels: &mut Vec<u8>, turn: &mut Turn) -> Decoded<ImageInfo> {
    let number = |at: usize| file.get(at..)?.first_chunk().map(|&four| u32::from_le_bytes(four));
    let (Some(start), Some(header)) = (number(10), number(FILE_HEADER)) else {
        return Err("not a whole BMP: the header is missing".into());
    };
    // `image` would take bytes of the header for pixels.
    if u64::from(start) < FILE_HEADER as u64 + u64::from(header) {
        return Err(format!("not a whole BMP: the pixels begin at byte {start}, in the header"));
    }
    let decoder = BmpDecoder::new(Cursor::new(file)).map_err(wrong)?;
    let (width, height) = decoder.dimensions();
    let colours = decoder.color_type();
    check_size(width.into(), height.into(), possible(file))?;
    check_memory(width.into(), height.into(), colours.bytes_per_pixel().into())?;
    wait_for_turn(u64::from(width) * u64::from(height), turn);
    pixels.clear();
    pixels.resize(decoder.total_bytes() as usize, 0);
    decoder.read_image(pixels).map_err(wrong)?;
    let channels = match colours {
        ColorType::Rgb8 => 3,
        ColorType::Rgba8 => lay_on_white::<4>(pixels),
        other => return Err(format!("expected 8 bits per channel, found {other:?}")),
    };
    let orientation = Orientation::NoTransforms;
    Ok(ImageInfo { width: width as usize, height: height as usize, channels, orientation })
}

/// Most pixels that a file of this length holds.
fn possible(file: &[u8]) -> u64 {
    let length = file.len() as u64;
    let half = |at: usize| {
        file.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |&two| u16::from_le_bytes(two))
    };
    // OS/2's first header has 12 bytes, no compression, and sides of two bytes.
    let (bits, compression) = if half(FILE_HEADER) == 12 { (half(24), 0) } else { (half(28), half(30)) };
    match compression {
        1 | 2 => length.saturating_mul(RUN_LENGTH_EXPANSION),
        _ => 8 * length / u64::from(bits.max(1)),
    }
}
