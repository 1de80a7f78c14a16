//! JPEG files as pixels.
//!
//! zune-jpeg 0.5.15 decodes the frames that nearly all files have, and fast; what it gets wrong it does not notice. So the
//! segments are read first (`structure.rs`, ITU-T T.81), and only frames that zune-jpeg is known to decode rightly go to it:
//!
//! * grey, with a horizontal sampling factor of 1, 2 or 4;
//! * three or four components of which the first has the largest sampling factors, 1 or 2 (4:4:4, 4:2:2, 4:4:0, 4:2:0, and
//!   mixtures), in one sequential scan or as a progressive frame, quantisation tables before the first scan.
//!
//! Everything else goes to jpeg-decoder 0.3.2, which is slower by a third or a half. What zune-jpeg 0.5.15 gets wrong,
//! without an error, or panics at:
//!
//! * sequential frames of several scans with subsampled components, restart intervals, or tables sent between the scans;
//! * frames whose first component does not have the largest sampling factors;
//! * some progressive and multi-scan frames with a factor of 4, and all ratios that are not whole numbers (3:2);
//! * a component that no scan has, scans that complete a progressive frame missing, restart markers missing: it decodes them
//!   to other colours. These are damaged files, which are refused;
//! * entropy-coded data that end too early with a marker behind them: it fills up with zeros. So does jpeg-decoder. Therefore
//!   ones are put behind all entropy-coded data before it is decoded: no code consists of ones alone (T.81, C.2), so a
//!   decoder that needs more than there is meets an error.
//!
//! jpeg-decoder 0.3.2 miscounts the blocks of a component in a separate scan, if its sampling factor is neither 1 nor the
//! largest and the width or height leaves blocks that only pad; those are refused, as are ratios that are not whole numbers,
//! which it does not read (libjpeg-turbo does not either). `tests/data/jpegs` writes all of these; if the first test there fails
//! because a new zune-jpeg reads a kind rightly, `is_plain` may let it through.
//!
//! Subsampled colour is interpolated by both as by libjpeg-turbo ("fancy" upsampling); no setting of zune-jpeg brings it
//! nearer. Photographs in 4:2:0 and 4:2:2 differ from libjpeg-turbo 3.2 by 4 of 255 at most, 0.36 on average (4:4:4: 3 and 0.02,
//! the rounding of the transform), in the last column and row by up to 10: there zune-jpeg mixes in what an encoder
//! padded the image with. Where that shows more than so, jpeg-decoder decodes the image (`edge.rs`). libjpeg-turbo does not
//! interpolate colour planes of one or two columns, so images that narrow differ by up to 94.
//!
//! Surplus bytes behind the last block of a scan are passed over, as libjpeg-turbo does with a warning.

mod edge;
mod means;
mod structure;

pub(super) use structure::Colours;

use super::fit::ImageInfo;
use super::limits::{Decoded, Turn, check_memory, check_size, wait_for_turn};
use super::pixels::lay_inks;
use image::metadata::Orientation;
use jpeg_decoder::ColorTransform;
use std::fmt::Display;
use structure::{Structure, unread};
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

/// Most pixels that one byte of a JPEG can stand for: each block of 8x8 pixels takes a bit at least.
const JPEG_EXPANSION: u64 = 8 * 64;

/// Most pixels of an image that is decoded twice, both in memory at once.
const MOST_TWICE: usize = 16_000_000;

/// Ones as entropy-coded data, for the end of a scan of a progressive frame: among them are bits without a code, many at a
/// time.
const ONES: [u8; 2048] = {
    let mut ones = [0; 2048];
    let mut at = 0;
    while at < ones.len() {
        ones[at] = 0xff;
        at += 2;
    }
    ones
};

/// Elsewhere, six bytes of them: what a decoder may still want for a value (30 bits), and a code (16 at most). After seven,
/// jpeg-decoder would not see a restart marker behind them.
const FEW_ONES: usize = 12;

fn wrong(error: &dyn Display) -> String {
    let text = error.to_string();
    format!("not a whole JPEG: {}", text.trim().trim_matches('"').trim_start_matches("[strict-mode]: "))
}

/// Decodes the JPEG `file` into `pixels`. The file is cut behind its end marker, and ones are put before that.
pub(super) fn decode(file: &mut Vec<u8>, pixels: &mut Vec<u8>, turn: &mut Turn) -> Decoded<ImageInfo> {
    decode_as(file, pixels, turn, None)
}

/// As [`decode`], but the samples, one or three of a pixel, are `colours` if given, whatever the file's markers say.
pub(super) fn decode_as(
    file: &mut Vec<u8>,
    pixels: &mut Vec<u8>,
    turn: &mut Turn,
    colours: Option<Colours>,
) -> Decoded<ImageInfo> {
    let possible = file.len() as u64 * JPEG_EXPANSION;
    let structure = Structure::read(file, |width, height| check_size(width as u64, height as u64, possible))?;
    let colours = match (colours, structure.components.len()) {
        (None, _) => structure.colours()?,
        (Some(Colours::Grey), 1) => Colours::Grey,
        (Some(colours @ (Colours::YCbCr | Colours::Rgb)), 3) => colours,
        (Some(_), count) => {
            return Err(wrong(&format!("it has {count} components, where others are declared")));
        }
    };
    let count = structure.width as u64 * structure.height as u64;
    wait_for_turn(count, turn);
    let sealed = seal(file, &structure);
    let bytes = sealed.as_deref().unwrap_or(file);
    if is_plain(&structure)
        && (colours == Colours::YCbCr || !structure.has_padding())
        && let Some(image) = plain(bytes, &structure, colours, ColorSpace::RGB, pixels)?
        && (!structure.has_padding() || is_clean(bytes, &structure, pixels)?)
    {
        return Ok(image);
    }
    other(bytes, &structure, colours, pixels)
}

/// Whether padding behind the edge does not show in `pixels`, which zune-jpeg has decoded. Where red, green and blue leave a
/// doubt, colours at their limits above all, the file is decoded once more, to what it holds.
fn is_clean(file: &[u8], structure: &Structure, pixels: &[u8]) -> Decoded<bool> {
    if !structure.shows_padding(pixels, edge::of_rgb) {
        return Ok(true);
    }
    if structure.width * structure.height > MOST_TWICE {
        return Ok(false);
    }
    let mut samples = Vec::new();
    let again = plain(file, structure, Colours::YCbCr, ColorSpace::YCbCr, &mut samples)?;
    Ok(again.is_some() && !structure.shows_padding(&samples, edge::of_samples))
}

/// Whether zune-jpeg decodes it rightly.
fn is_plain(structure: &Structure) -> bool {
    let first = &structure.components[0];
    let sampling = match structure.components.len() {
        1 => matches!(first.h, 1 | 2 | 4),
        _ => [first.h, first.v] == structure.most && structure.most.iter().all(|factor| *factor <= 2),
    };
    sampling && !structure.tables_change && (structure.is_progressive || structure.scans == 1)
}

/// Puts ones behind every stretch of entropy-coded data: in place if there is one, else in a copy.
fn seal(file: &mut Vec<u8>, structure: &Structure) -> Option<Vec<u8>> {
    if let [end] = structure.ends[..] {
        file.truncate(end);
        file.extend([&ONES[..FEW_ONES], &[0xff, 0xd9]].concat());
        return None;
    }
    let mut sealed =
        Vec::with_capacity(file.len() + structure.ends.len() * FEW_ONES + structure.scans * ONES.len());
    let mut from = 0;
    for (number, &end) in structure.ends.iter().enumerate() {
        sealed.extend_from_slice(&file[from..end]);
        // zune-jpeg has to see the marker behind the first scan of a progressive frame without looking for it.
        if !structure.is_progressive || number != structure.first_scan {
            let marker = file[end..].iter().find(|&&byte| byte != 0xff);
            let is_restart = marker.is_some_and(|marker| (0xd0..=0xd7).contains(marker));
            let count = if structure.is_progressive && !is_restart { ONES.len() } else { FEW_ONES };
            sealed.extend_from_slice(&ONES[..count]);
        }
        from = end;
    }
    sealed.extend_from_slice(&file[from..structure.end + 2]);
    Some(sealed)
}

/// Decodes by zune-jpeg, to grey or to `space`; `None` if it takes the samples for other colours than they are.
fn plain(
    file: &[u8],
    structure: &Structure,
    colours: Colours,
    space: ColorSpace,
    pixels: &mut Vec<u8>,
) -> Decoded<Option<ImageInfo>> {
    let options =
        DecoderOptions::default().set_strict_mode(true).set_max_width(usize::MAX).set_max_height(usize::MAX);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(file), options);
    decoder.decode_headers().map_err(|error| wrong(&error))?;
    // With three components it finds out about these later.
    let taken = match (decoder.input_colorspace(), structure.components.len()) {
        (Some(ColorSpace::Luma), 1) => Colours::Grey,
        (Some(ColorSpace::YCbCr | ColorSpace::YCCK), 3) => Colours::YCbCr,
        (Some(ColorSpace::RGB | ColorSpace::CMYK), 3) => Colours::Rgb,
        (Some(ColorSpace::CMYK), 4) => Colours::Cmyk,
        (Some(ColorSpace::YCCK), 4) => Colours::Ycck,
        _ => return Ok(None),
    };
    if taken != colours {
        return Ok(None);
    }
    let (width, height) = (structure.width, structure.height);
    let coefficients = if structure.is_progressive { 2 * structure.components.len() as u64 } else { 0 };
    let (channels, space) = if colours == Colours::Grey { (1, ColorSpace::Luma) } else { (3, space) };
    check_memory(width as u64, height as u64, channels as u64 + coefficients)?;
    decoder.set_options(options.jpeg_set_out_colorspace(space));
    pixels.clear();
    pixels.resize(width * height * channels, 0);
    decoder.decode_into(pixels).map_err(|error| wrong(&error))?;
    let orientation = orientation(decoder.exif().map(Vec::as_slice));
    Ok(Some(ImageInfo { width, height, channels, orientation }))
}

fn orientation(exif: Option<&[u8]>) -> Orientation {
    exif.and_then(Orientation::from_exif_chunk).unwrap_or(Orientation::NoTransforms)
}

/// Decodes by jpeg-decoder, if it does so rightly.
fn other(file: &[u8], structure: &Structure, colours: Colours, pixels: &mut Vec<u8>) -> Decoded<ImageInfo> {
    let [h_most, v_most] = structure.most;
    if structure.components.iter().any(|part| h_most % part.h != 0 || v_most % part.v != 0) {
        return unread("sampling factors that divide the largest", "others (such as 3:2)");
    }
    let blocks = [structure.width.div_ceil(8 * h_most), structure.height.div_ceil(8 * v_most)];
    for part in structure.components.iter().filter(|part| part.is_alone) {
        // What it decodes, and what there is.
        let counted = [
            (blocks[0] * part.h).min(structure.width.div_ceil(8)),
            (blocks[1] * part.v).min(structure.height.div_ceil(8)),
        ];
        if counted != part.size.map(|side| side.div_ceil(8)) {
            let found = format!("a scan of one component sampled {}x{} of {h_most}x{v_most}", part.h, part.v);
            return unread("interleaved scans or factors of 1 and the largest", &found);
        }
    }
    if structure.is_progressive && structure.tables_change {
        return unread("all quantisation tables before the first scan", "more behind it");
    }
    // The planes, rows on their way, and for a progressive frame the coefficients.
    let samples: u64 =
        structure.components.iter().map(|part| (64 * part.h * part.v * blocks[0] * blocks[1]) as u64).sum();
    let channels = structure.components.len() as u64;
    let pixel_count = structure.width as u64 * structure.height as u64;
    let needed = samples * if structure.is_progressive { 5 } else { 2 } + channels * pixel_count;
    check_memory(structure.width as u64, structure.height as u64, needed.div_ceil(pixel_count))?;
    *pixels = Vec::new();
    let mut decoder = jpeg_decoder::Decoder::new(file);
    decoder.set_color_transform(match colours {
        Colours::Grey => ColorTransform::Grayscale,
        Colours::YCbCr => ColorTransform::YCbCr,
        Colours::Rgb => ColorTransform::RGB,
        Colours::Cmyk => ColorTransform::CMYK,
        Colours::Ycck => ColorTransform::YCCK,
    });
    *pixels = decoder.decode().map_err(|error| wrong(&error))?;
    let mut channels = structure.components.len();
    if channels == 4 {
        channels = lay_inks(pixels);
    }
    if pixels.len() != structure.width * structure.height * channels {
        return Err(wrong(&"its decoder returns another size"));
    }
    let orientation = orientation(decoder.exif_data());
    Ok(ImageInfo { width: structure.width, height: structure.height, channels, orientation })
}
