//! JPEG files as pixels.

use super::decode::{Decoded, Turn, check_memory, check_size, wait_for_turn};
use super::fit::Picture;
use image::metadata::Orientation;
use std::fmt::Display;
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

/// Most pixels that one byte of a JPEG can stand for: each block of 8x8 pixels takes a bit at least.
const JPEG_EXPANSION: u64 = 8 * 64;

/// Decodes the JPEG `file` into `pixels`.
pub(super) fn decode(file: &[u8], pixels: &mut Vec<u8>, turn: &mut Turn) -> Decoded<Picture> {
    let wrong = |error: &dyn Display| {
        let text = error.to_string();
        format!("not a whole JPEG: {}", text.trim().trim_matches('"').trim_start_matches("[strict-mode]: "))
    };
    let options =
        DecoderOptions::default().set_strict_mode(true).set_max_width(usize::MAX).set_max_height(usize::MAX);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(file), options);
    decoder.decode_headers().map_err(|error| wrong(&error))?;
    let (Some((width, height)), Some(colours)) = (decoder.dimensions(), decoder.input_colorspace()) else {
        return Err(wrong(&"no header"));
    };
    check_size(width as u64, height as u64, file.len() as u64 * JPEG_EXPANSION)?;
    let coefficients = if is_progressive(file) { 2 * colours.num_components() as u64 } else { 0 };
    let (channels, colours) =
        if colours == ColorSpace::Luma { (1, ColorSpace::Luma) } else { (3, ColorSpace::RGB) };
    check_memory(width as u64, height as u64, channels as u64 + coefficients)?;
    wait_for_turn(width as u64 * height as u64, turn);
    decoder.set_options(options.jpeg_set_out_colorspace(colours));
    pixels.clear();
    pixels.resize(width * height * channels, 0);
    decoder.decode_into(pixels).map_err(|error| wrong(&error))?;
    if !has_end(file) {
        return Err(wrong(&"the end marker is missing"));
    }
    let orientation = decoder.exif().and_then(|exif| Orientation::from_exif_chunk(exif));
    let orientation = orientation.unwrap_or(Orientation::NoTransforms);
    Ok(Picture { width, height, channels, orientation })
}

/// Where the first scan of the JPEG `file` begins, and whether its frame is progressive.
fn first_scan(file: &[u8]) -> (usize, bool) {
    let (mut at, mut progressive) = (2, false);
    while let Some(&[0xff, marker, high, low]) = file.get(at..).and_then(|rest| rest.first_chunk()) {
        progressive |= marker == 0xc2;
        match marker {
            // The scan, or nothing that we know.
            0xda | 0 => break,
            0xff => at += 1,
            _ => at += 2 + usize::from(u16::from_be_bytes([high, low])),
        }
    }
    (at, progressive)
}

/// Whether the JPEG `file` is decoded scan by scan; where its segments are not clear, whether it may be.
fn is_progressive(file: &[u8]) -> bool {
    let (at, progressive) = first_scan(file);
    let is_clear = file.get(at + 1) == Some(&0xda);
    progressive || (!is_clear && file.windows(2).any(|pair| pair == [0xff, 0xc2]))
}

/// Whether the JPEG `file` has an end marker: the decoder does not miss the last few rows.
fn has_end(file: &[u8]) -> bool {
    // Over the segments to the first scan, for a preview in one of them has an end of its own. Within a scan no byte
    // looks like a marker.
    let (at, _) = first_scan(file);
    file.get(at..).is_none_or(|rest| rest.windows(2).rev().any(|pair| pair == [0xff, 0xd9]))
}
