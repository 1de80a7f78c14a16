//! Image files as bytes of a given size: JPEG and PNG, recognised by their first bytes, not by their names.
//!
//! Every file becomes 8-bit grey or RGB: palettes are looked up, 16 bits are rounded to 8, CMYK and YCCK
//! are converted (inverted, as Adobe's programs write them), transparent pixels are laid on white. Colour profiles
//! and gamma are not applied; of an animated PNG the default image counts. PIL's `convert("RGB")` (13.0) instead drops alpha and
//! transparent colours, cuts 16 bits of grey off at 255, and takes the upper byte of 16 bits of colour. The image is turned the
//! way its EXIF orientation says, resized and cut as the caller's `Frame` says (`framing.rs`, `fit.rs`).
//!
//! An image counts only if it is whole. A JPEG that ends early, or whose data break a rule of the format, is an
//! error, where many programs show the rest in grey, also with an end marker behind it (`jpeg/structure.rs`); so is a PNG with a
//! wrong checksum in its pixels. An index beyond the palette of a PNG is black, as in PIL. A JPEG has no
//! checksum: bytes that are wrong and break no rule cannot be noticed.

use super::contain::contained;
use super::fit::{Fitter, ImageInfo};
use super::framing::{Frame, Framing};
use super::image_source::ImageSource;
use super::jpeg;
use super::limits::{Decoded, Turn, check_memory, check_size, wait_for_turn};
use crate::error::{Result, printable};
use image::codecs::png::PngDecoder;
use image::metadata::Orientation;
use image::{ColorType, ImageDecoder, ImageError, Limits};
use std::error::Error as _;
use std::io::Cursor;
use std::panic::AssertUnwindSafe;
use std::path::Path;

/// Most bytes that chunks beside the pixels (profiles, texts) and rows in progress of a PNG may take.
const MAX_CHUNKS: u64 = 64 << 20;

/// Most bytes of pixels that one byte of a PNG can stand for: Deflate expands a byte to at most 1032 (zlib's
/// technical details), and a bit of palette index to red, green, blue and alpha.
const PNG_EXPANSION: u64 = 1032 * 32;

/// Buffers larger than this are given back after the image that needed them.
const KEPT: usize = 64 << 20;

/// Decodes one image after another in the same memory. Each thread has its own.
#[derive(Debug, Default)]
pub struct Decoder {
    file: Vec<u8>,
    pixels: Vec<u8>,
    fitter: Fitter,
    ignore_exif: bool,
}

impl Decoder {
    /// A decoder without memory yet.
    pub fn new() -> Decoder {
        Decoder::default()
    }

    /// The same, but images stay as they are stored if `ignore_exif`, and the orientation in their metadata is ignored.
    pub fn ignoring_exif(self, ignore_exif: bool) -> Decoder {
        Decoder { ignore_exif, ..self }
    }

    /// Reads the middle of the image file `path` as `shape`, [channels, height, width] with 1 or 3 channels, resized to
    /// the least size that covers it: its bytes, plane by plane, go to `into`, which has as many elements. Errors as for
    /// [`Decoder::read_framed`].
    pub fn read(&mut self, path: &Path, shape: [usize; 3], into: &mut [u8]) -> Result<()> {
        self.read_framed(path, &Frame::covering(shape), into)
    }

    /// Reads what `frame` shows of the image file `path`: its bytes, plane by plane, go to `into`, which has as many
    /// elements as the frame's shape, of 1 or 3 channels.
    ///
    /// Only a regular file is opened, so nothing blocks. Errors, each one line that names the file: not a file, over
    /// 256 MiB, over 100,000,000 pixels or 400 MiB of them (16 bits, progressive JPEG), not a JPEG or PNG, damaged, or an error of the system. Memory is bounded before
    /// anything is allocated: a header that claims more pixels than the file can hold is refused.
    pub fn read_framed(&mut self, path: &Path, frame: &Frame, into: &mut [u8]) -> Result<()> {
        self.read_framed_from(&path, frame, into)
    }

    /// As [`Decoder::read_framed`], of an image wherever it is stored.
    pub(super) fn read_framed_from(
        &mut self,
        source: &dyn ImageSource,
        frame: &Frame,
        into: &mut [u8],
    ) -> Result<()> {
        self.contain(source, |decoder, turn| {
            let image = decoder.pixels(turn)?;
            decoder.fitter.fit(&image, &decoder.pixels, frame, into)
        })
    }

    /// Reads the image file `path` whole, its shorter side resized to `side`, as `[height, width, channels]`: returns width
    /// and height. Errors as for [`Decoder::read_framed`], and an image of more than 64 MiB or sides over 65,536 by then.
    pub fn read_whole(
        &mut self,
        path: &Path,
        channels: usize,
        side: usize,
        into: &mut Vec<u8>,
    ) -> Result<[usize; 2]> {
        self.read_whole_from(&path, channels, side, into)
    }

    /// As [`Decoder::read_whole`], of an image wherever it is stored.
    pub(super) fn read_whole_from(
        &mut self,
        source: &dyn ImageSource,
        channels: usize,
        side: usize,
        into: &mut Vec<u8>,
    ) -> Result<[usize; 2]> {
        self.contain(source, |decoder, turn| {
            let image = decoder.pixels(turn)?;
            decoder.fitter.whole(&image, &decoder.pixels, (channels, side), into)
        })
    }

    /// Reads the image file `path` whole, in colour, as large as it can be within `side` x `side`: width and height, and
    /// the bytes as `[height, width, 3]`. Errors as for [`Decoder::read_framed`].
    pub fn read_within(&mut self, path: &Path, side: usize) -> Result<([usize; 2], Vec<u8>)> {
        self.contain(&path, |decoder, turn| {
            let image = decoder.pixels(turn)?;
            let [width, height] = image.upright();
            let length = |own: usize| (own * side).div_ceil(width.max(height)).clamp(1, side.max(1));
            let (width, height) = (length(width), length(height));
            let mut planes = vec![0; 3 * height * width];
            let frame = Frame { shape: [3, height, width], framing: Framing::Covered };
            decoder.fitter.fit(&image, &decoder.pixels, &frame, &mut planes)?;
            let plane = height * width;
            let pixels = (0..plane).flat_map(|at| [0, 1, 2].map(|c| planes[c * plane + at])).collect();
            Ok(([width, height], pixels))
        })
    }

    /// Loads the image at `source` and runs `decode` on it; the memory that a large image took is given back.
    fn contain<T>(
        &mut self,
        source: &dyn ImageSource,
        decode: impl FnOnce(&mut Decoder, &mut Turn) -> Decoded<T>,
    ) -> Result<T> {
        source.load(&mut self.file)?;
        // The buffers hold only bytes: anything that a panic leaves in them is written over.
        let mut turn = None;
        let decoded = contained(AssertUnwindSafe(|| decode(self, &mut turn)))
            .unwrap_or_else(|| Err("not a whole image: its bytes break the decoder".into()));
        for buffer in [&mut self.file, &mut self.pixels] {
            if buffer.capacity() > KEPT {
                *buffer = Vec::new();
            }
        }
        drop(turn);
        decoded.map_err(|message| source.wrong(&printable(&message)))
    }

    /// The pixels of the file in memory, not yet turned.
    fn pixels(&mut self, turn: &mut Turn) -> Decoded<ImageInfo> {
        let image = self.stored_pixels(turn)?;
        if self.ignore_exif {
            return Ok(ImageInfo { orientation: Orientation::NoTransforms, ..image });
        }
        Ok(image)
    }

    fn stored_pixels(&mut self, turn: &mut Turn) -> Decoded<ImageInfo> {
        if self.file.starts_with(b"\xff\xd8\xff") {
            jpeg::decode(&mut self.file, &mut self.pixels, turn)
        } else if self.file.starts_with(b"\x89PNG\r\n\x1a\n") {
            png(&self.file, &mut self.pixels, turn)
        } else {
            Err(format!("expected a JPEG or PNG image, found {}", described(&self.file)))
        }
    }
}

/// What a file that is no JPEG or PNG is, by its first bytes: images of other types are often named .jpg.
fn described(file: &[u8]) -> String {
    let at = |from: usize, text: &[u8]| file.get(from..).is_some_and(|rest| rest.starts_with(text));
    let kind = match file {
        _ if at(0, b"RIFF") && at(8, b"WEBP") => "a WebP image",
        _ if at(0, b"GIF8") => "a GIF image",
        _ if at(0, b"BM") => "a BMP image",
        _ if at(0, b"II*\0") || at(0, b"MM\0*") => "a TIFF image",
        _ if at(4, b"ftypavif") => "an AVIF image",
        _ if at(4, b"ftyphei") || at(4, b"ftypmif1") => "a HEIF image",
        _ if at(0, b"<") => "a text in HTML or XML",
        _ => {
            let start: Vec<_> = file.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
            return format!("a file that begins {}", start.join(" "));
        }
    };
    kind.into()
}

fn png(file: &[u8], pixels: &mut Vec<u8>, turn: &mut Turn) -> Decoded<ImageInfo> {
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

/// Rounds 16 bits (in the machine's byte order) to the nearest 8: 65535 becomes 255.
fn to_8_bits(pixels: &mut Vec<u8>) {
    let count = pixels.len() / 2;
    for index in 0..count {
        let value = u32::from(u16::from_ne_bytes([pixels[2 * index], pixels[2 * index + 1]]));
        pixels[index] = ((value + 128) / 257) as u8;
    }
    pixels.truncate(count);
}

/// Drops the last of `N` channels, alpha: colour x alpha + white x (1 - alpha). Returns the channels left.
fn lay_on_white<const N: usize>(pixels: &mut Vec<u8>) -> usize {
    let count = pixels.len() / N;
    for index in 0..count {
        let alpha = u32::from(pixels[index * N + N - 1]);
        for channel in 0..N - 1 {
            let colour = u32::from(pixels[index * N + channel]);
            pixels[index * (N - 1) + channel] = ((colour * alpha + 255 * (255 - alpha) + 127) / 255) as u8;
        }
    }
    pixels.truncate(count * (N - 1));
    N - 1
}
