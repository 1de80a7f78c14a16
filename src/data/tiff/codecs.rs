//! Strips and tiles without their compression.

use super::header::{Chunk, Colours, Compression, Header};
use super::{damaged, unread};
use crate::data::jpeg;
use crate::data::limits::{Decoded, Turn};
use fax::decoder::{DecodeStatus, Group4Decoder};
use flate2::read::ZlibDecoder;
use std::convert::Infallible;
use std::io::Read;
use weezl::BitOrder;
use weezl::decode::Configuration;

/// A strip without its compression, with memory that is used again.
#[derive(Default)]
pub(super) struct Unpacker {
    /// The strip as stored, where that has to be put together or turned round first.
    stored: Vec<u8>,
    pub bytes: Vec<u8>,
}

impl Unpacker {
    /// Unpacks `rows` rows of strip or tile `chunk` into `self.bytes`. Those of a JPEG strip are grey, or red, green and blue.
    pub fn unpack(
        &mut self,
        file: &[u8],
        header: &Header,
        chunk: Chunk,
        rows: usize,
        turn: &mut Turn,
    ) -> Decoded<()> {
        let samples = if header.is_planar { 1 } else { header.samples };
        let length = rows * (header.chunk[0] * samples * header.bits).div_ceil(8);
        // The lengths of what is not compressed are often written wrongly, and not needed.
        let stored = if header.compression == Compression::None { length } else { chunk.length };
        let Some(stored) = file.get(chunk.start..chunk.start.saturating_add(stored)) else {
            return damaged("a strip or tile ends behind the end of the file");
        };
        if header.compression == Compression::Jpeg {
            return self.jpeg(stored, header, rows, turn);
        }
        let stored = if header.is_mirrored {
            self.stored.clear();
            self.stored.extend(stored.iter().map(|byte| byte.reverse_bits()));
            &self.stored[..]
        } else {
            stored
        };
        self.bytes.clear();
        self.bytes.resize(length, 0);
        let is_whole = match header.compression {
            Compression::PackBits => pack_bits(stored, &mut self.bytes),
            Compression::Lzw
                if stored.starts_with(&[0]) && stored.get(1).is_some_and(|byte| byte & 1 == 1) =>
            {
                return unread("LZW as of version 6.0", "the old kind");
            }
            Compression::Lzw => lzw(stored, &mut self.bytes),
            Compression::Deflate => ZlibDecoder::new(stored).read_exact(&mut self.bytes).is_ok(),
            Compression::Fax4 => fax4(stored, header.chunk[0], &mut self.bytes),
            _ => {
                self.bytes.copy_from_slice(stored);
                true
            }
        };
        if is_whole { Ok(()) } else { damaged("a strip or tile is damaged, or ends before its pixels do") }
    }

    /// A JPEG file, but for the tables that strips share (Adobe Photoshop TIFF Technical Notes, 2002).
    fn jpeg(&mut self, strip: &[u8], header: &Header, rows: usize, turn: &mut Turn) -> Decoded<()> {
        // What the directory says counts, whatever markers the strips have, as in libtiff.
        let colours = match header.colours {
            Colours::Grey(_) => jpeg::Colours::Grey,
            Colours::Rgb(_) => jpeg::Colours::Rgb,
            _ => jpeg::Colours::YCbCr,
        };
        let (Some(strip), Some(tables)) = (
            strip.strip_prefix(b"\xff\xd8"),
            header.tables.unwrap_or(b"\xff\xd8\xff\xd9").strip_suffix(b"\xff\xd9"),
        ) else {
            return damaged("a strip or tile, or the tables of all, are no JPEG");
        };
        self.stored.clear();
        self.stored.extend_from_slice(tables);
        self.stored.extend_from_slice(strip);
        let image = jpeg::decode_as(&mut self.stored, &mut self.bytes, turn, Some(colours))?;
        if image.width != header.chunk[0] || image.height < rows || image.channels != header.samples {
            let [width, height] = header.chunk;
            let found = format!("one of {}x{}", image.width, image.height);
            return unread(&format!("JPEG strips or tiles of {width}x{height}"), found);
        }
        Ok(())
    }
}

/// Unpacks Apple's PackBits (TIFF 6.0, section 9). Returns whether `into` was filled.
fn pack_bits(mut packed: &[u8], into: &mut [u8]) -> bool {
    let mut filled = 0;
    while filled < into.len() {
        let Some((&header, rest)) = packed.split_first() else { return false };
        packed = rest;
        let count = match header {
            128 => continue,
            0..128 => usize::from(header) + 1,
            _ => 257 - usize::from(header),
        };
        let needed = if header < 128 { count } else { 1 };
        let Some((run, rest)) = packed.split_at_checked(needed) else { return false };
        packed = rest;
        // What is too much is left out.
        let count = count.min(into.len() - filled);
        match run {
            &[value] => into[filled..filled + count].fill(value),
            run => into[filled..filled + count].copy_from_slice(&run[..count]),
        }
        filled += count;
    }
    true
}

/// Unpacks LZW (TIFF 6.0, section 13). Returns whether `into` was filled.
fn lzw(mut packed: &[u8], into: &mut [u8]) -> bool {
    let configuration = Configuration::with_tiff_size_switch(BitOrder::Msb, 8);
    let mut decoder = configuration.with_yield_on_full_buffer(true).build();
    let mut filled = 0;
    while filled < into.len() {
        let done = decoder.decode_bytes(packed, &mut into[filled..]);
        // Its status may be that there was no progress where there was some.
        if done.status.is_err() || done.consumed_in + done.consumed_out == 0 {
            return false;
        }
        packed = &packed[done.consumed_in..];
        filled += done.consumed_out;
    }
    true
}

/// Unpacks rows of `width` black and white pixels, black as 1 (ITU-T T.6). Returns whether all rows of `into` are there.
fn fax4(packed: &[u8], width: usize, into: &mut [u8]) -> bool {
    let Ok(pixels) = u16::try_from(width) else { return false };
    let bytes = packed.iter().map(|&byte| Ok::<u8, Infallible>(byte));
    let Ok(mut decoder) = Group4Decoder::new(bytes, pixels);
    into.chunks_mut(width.div_ceil(8)).all(|row| {
        let is_row = matches!(decoder.advance(), Ok(DecodeStatus::Incomplete));
        // Where colours change, from white on: every second stretch is black.
        for stretch in decoder.transition().chunks(2) {
            let end = stretch.get(1).map_or(width, |&end| usize::from(end).min(width));
            (usize::from(stretch[0])..end).for_each(|x| row[x / 8] |= 0x80 >> (x % 8));
        }
        is_row
    })
}
