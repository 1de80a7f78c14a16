//! Image files as bytes of a given size: JPEG, PNG, TIFF, BMP, WebP and GIF, recognised by their first bytes, not by their
//! names (`signature.rs`). Each type has a file of its own, which says what is read of it.
//!
//! Every file becomes 8-bit grey or RGB: palettes are looked up, 16 bits are rounded to 8, CMYK and YCCK
//! are converted (in JPEG inverted, as Adobe's programs write them), transparent pixels are laid on white. Colour profiles
//! and gamma are not applied; of a file with several pages or frames the first counts, and a warning says so once. PIL's `convert("RGB")` (13.0) instead drops alpha and
//! transparent colours, cuts 16 bits of grey off at 255, and takes the upper byte of 16 bits of colour. The image is turned the
//! way its EXIF orientation says, resized and cut as the caller's `Frame` says (`framing.rs`, `fit.rs`).
//!
//! An image counts only if it is whole. A JPEG that ends early, or whose data break a rule of the format, is an
//! error, where many programs show the rest in grey, also with an end marker behind it (`jpeg/structure.rs`); so is a PNG with a
//! wrong checksum in its pixels, and a file of another type that ends before its pixels do. An index beyond the palette of a PNG is black, as in PIL. A JPEG has no
//! checksum: bytes that are wrong and break no rule cannot be noticed.

use super::contain::contained;
use super::fit::{Fitter, ImageInfo};
use super::framing::{Frame, Framing};
use super::image_source::ImageSource;
use super::limits::{Decoded, Turn};
use super::signature::{ImageKind, READ, described};
use super::{bmp, gif, jpeg, png, tiff, webp};
use crate::error::{Result, printable};
use image::metadata::Orientation;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// Buffers larger than this are given back after the image that needed them.
const KEPT: usize = 64 << 20;

/// Decodes one image after another in the same memory. Each thread has its own.
#[derive(Debug, Default)]
pub struct Decoder {
    file: Vec<u8>,
    pixels: Vec<u8>,
    fitter: Fitter,
    ignore_exif: bool,
    /// Whether the file holds more images than the one that was decoded.
    has_more: bool,
    /// Whether the warning about such files was given, by this decoder or another one of the data set.
    several: Arc<OnceLock<()>>,
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

    /// The same, but of all decoders with this `several` only one warns of a file with more than one page or frame.
    pub(super) fn warning_once(self, several: Arc<OnceLock<()>>) -> Decoder {
        Decoder { several, ..self }
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
    /// 256 MiB, over 100,000,000 pixels or 400 MiB of them (16 bits, progressive JPEG), not an image of a type that is read, damaged, or an error of the system. Memory is bounded before
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

    /// Channels (1 where all colours of every pixel are equal, else 3), height and width of the upright image at `source`.
    pub(super) fn size_of(&mut self, source: &dyn ImageSource) -> Result<[usize; 3]> {
        self.contain(source, |decoder, turn| {
            let image = decoder.pixels(turn)?;
            let [width, height] = image.upright();
            let mut pixels = decoder.pixels.chunks_exact(image.channels.max(1));
            let is_colour =
                image.channels >= 3 && pixels.any(|pixel| pixel[1..3].iter().any(|&value| value != pixel[0]));
            Ok([if is_colour { 3 } else { 1 }, height, width])
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
        if decoded.is_ok() && self.has_more {
            self.several.get_or_init(|| {
                let what = "has more than one page or frame; the first of such files is read";
                log::warn!("{}", source.wrong(what));
            });
        }
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
        let (file, pixels) = (&mut self.file, &mut self.pixels);
        let (image, has_more) = match ImageKind::of(file) {
            Some(ImageKind::Jpeg) => (jpeg::decode(file, pixels, turn)?, false),
            Some(ImageKind::Png) => (png::decode(file, pixels, turn)?, false),
            Some(ImageKind::Bmp) => (bmp::decode(file, pixels, turn)?, false),
            Some(ImageKind::Tiff) => tiff::decode(file, pixels, turn)?,
            Some(ImageKind::WebP) => webp::decode(file, pixels, turn)?,
            Some(ImageKind::Gif) => gif::decode(file, pixels, turn)?,
            None => return Err(format!("expected a {READ} image, found {}", described(file))),
        };
        self.has_more = has_more;
        Ok(image)
    }
}
