//! PNG files as pixels.

use super::fit::ImageInfo;
use super::limits::{Decoded, MAX_CHUNKS, Turn, check_memory, check_size, wait_for_turn};
use super::pixels::{lay_on_white, to_8_bits};
use image::codecs::png::PngDecoder;
use image::metadata::Orientation;
use image::{ColorType, ImageDecoder, ImageError, Limits};
use std::error::Error as _;
use std::io::Cursor;

/// Most bytes of pixels that one byte of a PNG can stand for: Deflate expands a byte to at most 1032 (zlib's
/// technical details), and a bit of palette index to red, green, blue and alpha.
const PNG_EXPANSION: u64 = 1032 * 32;

/// Decodes the PNG `file` into `pixels`.
pub(super) fn decode(file: &[u8], pixels: &mut Vec<u8>, turn: &mut Turn) -> Decoded<ImageInfo> {
    let wrong = |error: ImageError| {
        // The cause alone, without "Format error decoding Png".
        let cause = error.source().map(ToString::to_string);
        format!("not a whole PNG: {}", cause.unwrap_or_else(|| error.to_string()).trim())
    };
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(MAX_CHUNKS);
    let mut decoder = PngDecoder::with_limits(Cursor::new(file), limits).map_err(wrong)?;
    let (width, height) = decoder.dimensions();
    let colours = decoder.color_type();
    let possible = file.len() as u64 * PNG_EXPANSION / u64::from(colours.bytes_per_pixel());
    check_size(width.into(), height.into(), possible)?;
    check_memory(width.into(), height.into(), colours.bytes_per_pixel().into())?;
    wait_for_turn(u64::from(width) * u64::from(height), turn);
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    pixels.clear();
    pixels.resize(decoder.total_bytes() as usize, 0);
    decoder.read_image(pixels).map_err(wrong)?;
    if matches!(colours, ColorType::L16 | ColorType::La16 | ColorType::Rgb16 | ColorType::Rgba16) {
        to_8_bits(pixels);
    }
    let channels = match colours {
        ColorType::L8 | ColorType::L16 => 1,
        ColorType::Rgb8 | ColorType::Rgb16 => 3,
        ColorType::La8 | ColorType::La16 => lay_on_white::<2>(pixels),
        ColorType::Rgba8 | ColorType::Rgba16 => lay_on_white::<4>(pixels),
        other => return Err(format!("expected 8 or 16 bits per channel, found {other:?}")),
    };
    Ok(ImageInfo { width: width as usize, height: height as usize, channels, orientation })
}
