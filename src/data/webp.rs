//! WebP files as pixels: lossy and lossless, with alpha; of an animation the first frame, on its canvas.
//!
//! The chunks are read first (RFC 9649, 2): a file that ends before its length says is damaged, where other programs show
//! what is there; and image-webp 0.2.4 allocates for the size in a frame's own header before it compares that with the
//! canvas. Around the first frame of an animation the canvas is transparent, or black if the file declares no alpha, as in
//! Pillow.

use super::fit::ImageInfo;
use super::limits::{Decoded, Turn, check_memory, check_size, wait_for_turn};
use super::pixels::lay_on_white;
use image::metadata::Orientation;
use image_webp::{DecodingError, WebPDecoder};
use std::io::Cursor;

/// Bytes for each pixel while it is decoded: lossy planes, colours and alpha; of an animation also a canvas.
const STILL: u64 = 11;
const ANIMATED: u64 = 16;

/// Flags of the chunk `VP8X`, and where they are in a file.
const ANIMATION: u8 = 2;
const ALPHA: u8 = 16;
const FLAGS: usize = 20;

/// Length of the header of a frame in an animation, before its chunks.
const FRAME_HEADER: usize = 16;

fn damaged<T>(what: &str) -> Decoded<T> {
    Err(format!("not a whole WebP: {what}"))
}

fn wrong(error: &DecodingError) -> String {
    format!("not a whole WebP: {}", error.to_string().trim())
}

/// A part of a file.
struct Chunk<'a> {
    name: &'a [u8],
    content: &'a [u8],
}

impl<'a> Chunk<'a> {
    /// The chunks that `bytes` consist of.
    fn all(mut bytes: &'a [u8]) -> Decoded<Vec<Chunk<'a>>> {
        let mut chunks = Vec::new();
        // A byte that is left over pads.
        while bytes.len() > 1 {
            let Some((name, rest)) = bytes.split_at_checked(4) else {
                return damaged("a chunk's header ends behind the file");
            };
            let Some((length, rest)) = rest.split_first_chunk() else {
                return damaged("a chunk's header ends behind the file");
            };
            let length = u32::from_le_bytes(*length) as usize;
            let Some((content, rest)) = rest.split_at_checked(length) else {
                return damaged("a chunk ends behind the file");
            };
            chunks.push(Chunk { name, content });
            bytes = rest.get(length % 2..).unwrap_or_default();
        }
        Ok(chunks)
    }

    /// Width and height of the image in it, if it has one.
    fn size(&self) -> Option<[u32; 2]> {
        match (self.name, self.content) {
            // RFC 6386, 9.1.
            (b"VP8 ", &[_, _, _, 0x9d, 0x01, 0x2a, w0, w1, h0, h1, ..]) => {
                Some([[w0, w1], [h0, h1]].map(|side| u32::from(u16::from_le_bytes(side)) & 0x3fff))
            }
            // RFC 9649, 3.4.
            (b"VP8L", &[0x2f, b0, b1, b2, b3, ..]) => {
                let bits = u32::from_le_bytes([b0, b1, b2, b3]);
                Some([bits, bits >> 14].map(|side| (side & 0x3fff) + 1))
            }
            _ => None,
        }
    }
}

/// Width and height, each three bytes and one less than it is.
fn sides(bytes: &[u8]) -> Option<[u32; 2]> {
    let &[w0, w1, w2, h0, h1, h2] = bytes.first_chunk()?;
    Some([[w0, w1, w2], [h0, h1, h2]].map(|[a, b, c]| u32::from_le_bytes([a, b, c, 0]) + 1))
}

/// What the chunks say.
struct Structure {
    /// Width and height of the canvas.
    size: [u32; 2],
    frames: usize,
    is_animated: bool,
    /// Whether alpha is declared and there is none.
    lacks_alpha: bool,
    orientation: Orientation,
}

impl Structure {
    fn read(file: &[u8]) -> Decoded<Structure> {
        let chunks = Chunk::all(file.get(12..).unwrap_or_default())?;
        let orientation = chunks.iter().find(|chunk| chunk.name == b"EXIF").and_then(|chunk| {
            // Some programs put before it what stands before it in a JPEG.
            let exif = chunk.content.strip_prefix(b"Exif\0\0").unwrap_or(chunk.content);
            Orientation::from_exif_chunk(exif)
        });
        let mut structure = Structure {
            size: [0; 2],
            frames: 1,
            is_animated: false,
            lacks_alpha: false,
            orientation: orientation.unwrap_or(Orientation::NoTransforms),
        };
        let Some(first) = chunks.first() else { return damaged("it holds nothing") };
        if first.name != b"VP8X" {
            let Some(size) = first.size() else { return damaged("its first chunk is no image") };
            return Ok(Structure { size, ..structure });
        }
        let (Some(&flags), Some(size)) = (first.content.first(), first.content.get(4..).and_then(sides))
        else {
            return damaged("its header is too short");
        };
        structure.size = size;
        structure.is_animated = flags & ANIMATION != 0;
        let (inner, frame) = if structure.is_animated {
            let frames: Vec<_> = chunks.iter().filter(|chunk| chunk.name == b"ANMF").collect();
            structure.frames = frames.len();
            let Some(frame) = frames.first() else { return damaged("an animation without frames") };
            let (Some(frame_size), Some(inner)) =
                (frame.content.get(6..).and_then(sides), frame.content.get(FRAME_HEADER..))
            else {
                return damaged("a frame's header is too short");
            };
            if frame_size[0] > size[0] || frame_size[1] > size[1] {
                return damaged("a frame is larger than the canvas");
            }
            (Chunk::all(inner)?, frame_size)
        } else {
            (chunks, size)
        };
        let Some((image, stored)) = inner.iter().find_map(|chunk| Some((chunk, chunk.size()?))) else {
            return damaged("there is no image in it");
        };
        if stored != frame {
            let [[own_width, own_height], [width, height]] = [stored, frame];
            return damaged(&format!(
                "an image of {own_width}x{own_height} where the header says {width}x{height}"
            ));
        }
        structure.lacks_alpha = flags & ALPHA != 0
            && !structure.is_animated
            && image.name == b"VP8 "
            && !inner.iter().any(|chunk| chunk.name == b"ALPH");
        Ok(structure)
    }
}

/// Decodes the WebP `file` into `pixels`; the file is cut behind its last chunk. Returns whether there are more frames.
pub(super) fn decode(
    file: &mut Vec<u8>,
    pixels: &mut Vec<u8>,
    turn: &mut Turn,
) -> Decoded<(ImageInfo, bool)> {
    let length =
        file.get(4..).and_then(|rest| rest.first_chunk()).map_or(0, |&four| u32::from_le_bytes(four));
    let end = 8 + length as usize;
    // The last chunk's padding may be missing.
    if end > file.len() + 1 {
        return damaged(&format!("expected {end} bytes, found {}", file.len()));
    }
    file.truncate(end);
    let structure = Structure::read(file)?;
    if structure.lacks_alpha {
        // image-webp refuses it; every pixel is opaque.
        file[FLAGS] &= !ALPHA;
    }
    let [width, height] = structure.size.map(u64::from);
    check_size(width, height, u64::MAX)?;
    check_memory(width, height, if structure.is_animated { ANIMATED } else { STILL })?;
    wait_for_turn(width * height, turn);
    let mut decoder = WebPDecoder::new(Cursor::new(&file[..])).map_err(|error| wrong(&error))?;
    if decoder.dimensions() != (structure.size[0], structure.size[1]) {
        return damaged("its decoder finds another size");
    }
    pixels.clear();
    pixels.resize(decoder.output_buffer_size().unwrap_or(0), 0);
    decoder.read_image(pixels).map_err(|error| wrong(&error))?;
    let channels = if decoder.has_alpha() { lay_on_white::<4>(pixels) } else { 3 };
    let [width, height] = structure.size.map(|side| side as usize);
    Ok((ImageInfo { width, height, channels, orientation: structure.orientation }, structure.frames > 1))
}
