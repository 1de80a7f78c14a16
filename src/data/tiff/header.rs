//! What the first directory of a TIFF says of its pixels (TIFF 6.0), and which of that is read.

use super::directory::{Directory, Numbers};
use super::{REMEDY, damaged, unread};
use crate::data::limits::{Decoded, check_memory, check_size};

/// Tags (TIFF 6.0, appendix A).
const NEW_SUBFILE_TYPE: u16 = 254;
const WIDTH: u16 = 256;
const HEIGHT: u16 = 257;
const BITS: u16 = 258;
const COMPRESSION: u16 = 259;
const PHOTOMETRIC: u16 = 262;
const FILL_ORDER: u16 = 266;
const STRIPS: [u16; 2] = [273, 279];
const ORIENTATION: u16 = 274;
const SAMPLES: u16 = 277;
const ROWS_PER_STRIP: u16 = 278;
const PLANAR: u16 = 284;
const PREDICTOR: u16 = 317;
const PALETTE: u16 = 320;
const TILE_WIDTH: u16 = 322;
const TILE_HEIGHT: u16 = 323;
const TILES: [u16; 2] = [324, 325];
const SUB_DIRECTORIES: u16 = 330;
const INK_SET: u16 = 332;
const EXTRA_SAMPLES: u16 = 338;
const SAMPLE_FORMAT: u16 = 339;
const JPEG_TABLES: u16 = 347;
const YCBCR_COEFFICIENTS: u16 = 529;
const YCBCR_SUBSAMPLING: u16 = 530;
const REFERENCE_BLACK_WHITE: u16 = 532;

/// Most bytes of the tables that JPEG strips share; a file has some hundreds.
const MOST_TABLES: usize = 1 << 16;

/// Length of the shortest header of a file.
const FILE_HEADER: usize = 8;

/// Values of `PhotometricInterpretation`.
const WHITE_IS_ZERO: u64 = 0;
const BLACK_IS_ZERO: u64 = 1;
const RGB: u64 = 2;
const INDEXED: u64 = 3;
const CMYK: u64 = 5;
const YCBCR: u64 = 6;

/// How pixels are stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Compression {
    None,
    Fax4,
    Lzw,
    Jpeg,
    PackBits,
    Deflate,
}

/// What the sample behind the colours is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Alpha {
    /// Colours are multiplied by it.
    Associated,
    Unassociated,
    Meaningless,
}

/// What the samples of a pixel are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Colours {
    Grey(Option<Alpha>),
    Rgb(Option<Alpha>),
    Palette(Option<Alpha>),
    Cmyk,
    YCbCr,
}

/// A strip or tile.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chunk {
    pub start: usize,
    pub length: usize,
}

/// The strips or tiles of an image, of each plane one after the other.
#[derive(Clone, Copy)]
pub(super) struct Chunks<'a> {
    starts: Numbers<'a>,
    lengths: Numbers<'a>,
    count: usize,
}

impl<'a> Chunks<'a> {
    pub fn iter(self) -> impl Iterator<Item = Chunk> + 'a {
        let chunk = |(start, length): (u64, u64)| Chunk { start: start as usize, length: length as usize };
        self.starts.iter().zip(self.lengths.iter()).take(self.count).map(chunk)
    }
}

pub(super) struct Header<'a> {
    pub width: usize,
    pub height: usize,
    pub compression: Compression,
    pub colours: Colours,
    /// Whether 0 is white, in grey.
    pub is_inverted: bool,
    pub bits: usize,
    pub samples: usize,
    /// Whether each sample has strips or tiles of its own.
    pub is_planar: bool,
    /// Whether samples are differences to those on their left.
    pub is_predicted: bool,
    /// Whether the lowest bit of a byte comes first.
    pub is_mirrored: bool,
    pub is_little: bool,
    /// Width and height of a strip or tile.
    pub chunk: [usize; 2],
    pub chunks: Option<Chunks<'a>>,
    /// Red, green and blue of each index.
    pub palette: Vec<[u8; 3]>,
    /// The tables that JPEG strips share.
    pub tables: Option<&'a [u8]>,
    pub orientation: u64,
}

impl Compression {
    fn of(value: u64) -> Decoded<Compression> {
        Ok(match value {
            1 => Compression::None,
            4 => Compression::Fax4,
            5 => Compression::Lzw,
            7 => Compression::Jpeg,
            8 | 0x80b2 => Compression::Deflate,
            0x8005 => Compression::PackBits,
            other => {
                let name = match other {
                    2 => "modified Huffman",
                    3 => "Group 3 fax",
                    6 => "the old kind of JPEG",
                    34_925 => "LZMA",
                    50_000 => "Zstandard",
                    50_001 => "WebP",
                    50_002 => "JPEG XL",
                    _ => "another",
                };
                return Err(format!(
                    "expected a TIFF without compression or with LZW, Deflate, PackBits, JPEG or Group 4 fax, found {name} \
                     (compression {other}); {REMEDY}"
                ));
            }
        })
    }

    /// Most bits of samples that a bit stands for; a row of a fax has `row` bits.
    fn expansion(self, bits: u64, row: u64) -> u64 {
        match self {
            Compression::None => 1,
            // Two bytes stand for 128.
            Compression::PackBits => 64,
            // A code of 12 bits stands for less than 4096 bytes.
            Compression::Lzw => 4096 * 8 / 12,
            // zlib's technical details.
            Compression::Deflate => 1032,
            // A bit is a block of 8x8 pixels, or a row.
            Compression::Jpeg => 64 * bits,
            Compression::Fax4 => row,
        }
    }
}

impl Colours {
    /// What an extra sample is where its entry is missing is as in Pillow 13.0 (`TiffImagePlugin.OPEN_INFO`).
    fn of(photometric: u64, samples: u64, extra: Option<Numbers>) -> Decoded<Colours> {
        let colours = match photometric {
            WHITE_IS_ZERO | BLACK_IS_ZERO | INDEXED => 1,
            RGB | YCBCR => 3,
            CMYK => 4,
            other => {
                return unread(
                    "grey, RGB, CMYK, YCbCr or a palette",
                    format!("photometric interpretation {other}"),
                );
            }
        };
        let alpha = match samples.checked_sub(colours) {
            None => return damaged(format!("{samples} samples for {colours} colours")),
            Some(0) => None,
            Some(1) => Some(match extra.map(|extra| (extra.len(), extra.first())) {
                Some((1, 1)) => Alpha::Associated,
                // Corel Draw writes 999.
                Some((1, 2 | 999)) => Alpha::Unassociated,
                None if photometric == RGB => Alpha::Unassociated,
                None | Some((1, 0)) => Alpha::Meaningless,
                Some(_) => return unread("alpha as the sample behind the colours", "another kind"),
            }),
            Some(more) => return unread("at most one sample behind the colours", more.to_string()),
        };
        match (photometric, alpha) {
            (BLACK_IS_ZERO, _) | (WHITE_IS_ZERO, None) => Ok(Colours::Grey(alpha)),
            (RGB, _) => Ok(Colours::Rgb(alpha)),
            (INDEXED, _) => Ok(Colours::Palette(alpha)),
            (CMYK, None) => Ok(Colours::Cmyk),
            (YCBCR, None) => Ok(Colours::YCbCr),
            _ => unread("alpha only behind grey from black up, RGB or a palette", "it behind others"),
        }
    }
}

impl<'a> Header<'a> {
    /// Reads what is said of a file of `length` bytes, and checks it before anything is allocated.
    pub fn read(directory: &Directory<'a>, length: usize) -> Decoded<Header<'a>> {
        let number = |tag, default| directory.number(tag, default);
        let photometric = number(PHOTOMETRIC, u64::MAX)?;
        if [WIDTH, HEIGHT, PHOTOMETRIC].iter().any(|tag| !directory.has(*tag)) {
            return damaged("its width, height or photometric interpretation is missing");
        }
        if number(NEW_SUBFILE_TYPE, 0)? & 1 == 1 && (directory.has_next || directory.has(SUB_DIRECTORIES)) {
            return unread("the image as its first page", "a reduced copy of it, as in raw photographs");
        }
        let [width, height] = [number(WIDTH, 0)?, number(HEIGHT, 0)?].map(|side| side.min(u32::MAX.into()));
        let (compression, samples) = (Compression::of(number(COMPRESSION, 1)?)?, number(SAMPLES, 1)?);
        let colours = Colours::of(photometric, samples, directory.numbers(EXTRA_SAMPLES)?)?;
        // Values for more samples than there are mean nothing.
        let are_all = |tag, wanted: u64| -> Decoded<bool> {
            let numbers = directory.numbers(tag)?;
            Ok(numbers
                .is_none_or(|numbers| numbers.iter().take(samples as usize).all(|value| value == wanted)))
        };
        let bits = number(BITS, 1)?;
        let (is_whole, is_even) = (are_all(SAMPLE_FORMAT, 1)?, are_all(BITS, bits)?);
        if !is_whole || !is_even || !matches!(bits, 1 | 2 | 4 | 8 | 16) {
            return unread("whole numbers of 1, 2, 4, 8 or 16 bits, one of them for all samples", "others");
        }
        let (is_tiled, is_planar) = (directory.has(TILE_WIDTH), samples > 1 && number(PLANAR, 1)? == 2);
        let chunk = match is_tiled {
            true => [number(TILE_WIDTH, 0)?, number(TILE_HEIGHT, 0)?],
            // All rows in one strip are often written as 2^32 - 1.
            false => [width, number(ROWS_PER_STRIP, height)?.min(height)],
        };
        // Sizes of the image, and of what lies over its edge.
        let bits_each = bits * samples;
        let row = if compression == Compression::Fax4 { width } else { 1 };
        let possible = (8 * length as u64).saturating_mul(compression.expansion(bits_each, row)) / bits_each;
        check_size(width, height, possible)?;
        let chunk = chunk.map(|side| side.min(u32::MAX.into()));
        check_size(chunk[0], chunk[1], u64::MAX)?;
        let coloured = if matches!(colours, Colours::Palette(_)) { 4 } else { 0 };
        check_memory(width, height, samples + coloured)?;
        check_memory(chunk[0], chunk[1], bits_each.div_ceil(8))?;
        let header = Header {
            width: width as usize,
            height: height as usize,
            compression,
            colours,
            is_inverted: photometric == WHITE_IS_ZERO,
            bits: bits as usize,
            samples: samples as usize,
            is_planar,
            is_predicted: match number(PREDICTOR, 1)? {
                1 => false,
                2 => matches!(compression, Compression::Lzw | Compression::Deflate),
                other => return unread("no predictor or the horizontal one", format!("predictor {other}")),
            },
            is_mirrored: number(FILL_ORDER, 1)? == 2,
            is_little: directory.is_little,
            chunk: chunk.map(|side| side as usize),
            chunks: None,
            palette: Vec::new(),
            tables: directory.bytes(JPEG_TABLES),
            orientation: number(ORIENTATION, 1)?,
        };
        header.check(directory)?;
        if let Some(tables) = header.tables.filter(|tables| tables.len() > MOST_TABLES) {
            return damaged(format!("tables of JPEG strips of {} bytes", tables.len()));
        }
        let chunks = header.chunks(directory, if is_tiled { TILES } else { STRIPS }, length)?;
        let palette = match colours {
            Colours::Palette(_) => palette(directory, 1 << bits)?,
            _ => Vec::new(),
        };
        Ok(Header { chunks: Some(chunks), palette, ..header })
    }

    /// Checks what does not go together.
    fn check(&self, directory: &Directory) -> Decoded<()> {
        let bits = self.bits;
        let is_allowed = match self.colours {
            Colours::Grey(None) => true,
            Colours::Palette(None) => bits <= 8,
            Colours::Palette(Some(_)) | Colours::YCbCr => bits == 8,
            Colours::Grey(Some(_)) | Colours::Rgb(_) | Colours::Cmyk => bits >= 8,
        };
        if !is_allowed {
            return unread("8 bits for each sample of such pixels", bits.to_string());
        }
        if self.is_predicted && bits < 8 {
            return unread("no predictor for samples of less than 8 bits", "one");
        }
        if self.colours == Colours::Cmyk && directory.number(INK_SET, 1)? != 1 {
            return unread("cyan, magenta, yellow and black", "other inks");
        }
        match self.compression {
            Compression::Fax4 if (bits, self.samples) != (1, 1) => {
                damaged("a fax of other than black and white pixels")
            }
            Compression::Jpeg => {
                let is_read =
                    matches!(self.colours, Colours::Grey(None) | Colours::Rgb(None) | Colours::YCbCr);
                match is_read && bits == 8 && !self.is_planar {
                    true => Ok(()),
                    false => unread("grey, RGB or YCbCr of 8 bits in JPEG strips", "others"),
                }
            }
            _ if self.colours == Colours::YCbCr => {
                let subsampling = directory.numbers(YCBCR_SUBSAMPLING)?;
                if !subsampling.is_some_and(|subsampling| subsampling.are(&[1, 1])) {
                    return unread("YCbCr that is not subsampled, but for JPEG", "subsampled colours");
                }
                let full = [0.0, 255.0, 128.0, 255.0, 128.0, 255.0];
                match directory.has_usual(YCBCR_COEFFICIENTS, &[0.299, 0.587, 0.114])
                    && directory.has_usual(REFERENCE_BLACK_WHITE, &full)
                {
                    true => Ok(()),
                    false => unread("the usual coefficients of YCbCr", "others"),
                }
            }
            _ => Ok(()),
        }
    }

    /// How many strips or tiles are across and down.
    pub fn grid(&self) -> [usize; 2] {
        [self.width.div_ceil(self.chunk[0]), self.height.div_ceil(self.chunk[1])]
    }

    /// Strips or tiles, of each plane one after the other. Compressed ones lie in the file and are together no longer than it, so
    /// that going over them is bounded.
    fn chunks(&self, directory: &Directory<'a>, tags: [u16; 2], length: usize) -> Decoded<Chunks<'a>> {
        let [Some(starts), Some(lengths)] = [directory.numbers(tags[0])?, directory.numbers(tags[1])?] else {
            return damaged("the places or lengths of its strips or tiles are missing");
        };
        let [across, down] = self.grid();
        let needed = across * down * if self.is_planar { self.samples } else { 1 };
        if starts.len() < needed || lengths.len() < needed {
            let found = starts.len().min(lengths.len());
            return damaged(format!("expected {needed} strips or tiles, found {found}"));
        }
        let chunks = Chunks { starts, lengths, count: needed };
        // Some writers leave a place at 0 (Pillow 13.0 in a BigTIFF with the most significant byte first).
        if let Some(number) = chunks.iter().position(|chunk| chunk.start < FILE_HEADER) {
            return damaged(format!("strip or tile {number} begins in the header of the file"));
        }
        if self.compression != Compression::None {
            let is_inside = |chunk: &Chunk| chunk.start.saturating_add(chunk.length) <= length;
            if let Some(number) = chunks.iter().position(|chunk| !is_inside(&chunk)) {
                return damaged(format!("strip or tile {number} ends behind the end of the file"));
            }
            // Each is shorter than the file, so that this many do not exceed the number.
            if chunks.iter().map(|chunk| chunk.length as u64).sum::<u64>() > length as u64 {
                return damaged("its strips or tiles overlap");
            }
        }
        Ok(chunks)
    }
}

/// Red, green and blue of `count` indices. Colours have 16 bits; in files that give them 8, all are below 256, as libtiff
/// has it.
fn palette(directory: &Directory, count: usize) -> Decoded<Vec<[u8; 3]>> {
    let found = directory.numbers(PALETTE)?;
    let length = found.map_or(0, |values| values.len());
    if length != 3 * count {
        return damaged(format!("expected a palette of {count} colours, found {length} values"));
    }
    let values: Vec<u64> = found.into_iter().flat_map(Numbers::iter).collect();
    let shift = if values.iter().all(|&value| value < 256) { 0 } else { 8 };
    Ok((0..count).map(|at| [0, 1, 2].map(|c| (values[c * count + at] >> shift) as u8)).collect())
}
