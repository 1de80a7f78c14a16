//! IDX, the format of MNIST and Fashion-MNIST (<http://yann.lecun.com/exdb/mnist/>): two zero bytes, a type byte
//! (8: unsigned byte), the number of dimensions, each dimension as a big-endian 32-bit number, then the data.
//! Files may be compressed with gzip.

use super::dataset::{Dataset, Images, Labels};
use super::source::{Found, Part};
use crate::error::{Error, Result, printable_path};
use flate2::bufread::MultiGzDecoder;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

/// Type byte of unsigned bytes, the only type that images and labels use.
const UNSIGNED_BYTE: u8 = 8;

/// Deflate never expands a byte to more than this many (zlib's technical details), which bounds what a
/// compressed file can truthfully claim.
const MAX_EXPANSION: u64 = 1032;

/// Most bytes reserved for compressed data before any of it was seen.
const FIRST_RESERVE: u64 = 1 << 20;

/// Whether `folder`, or `raw` in it, holds the training or test images under one of the known names.
pub(super) fn is_in(folder: &Path) -> bool {
    ["train", "t10k"].iter().any(|part| locate(folder, part, "images", 3).is_some())
}

/// Reads the training files of `folder` and, where they are, the test files (`t10k-*`).
pub(super) fn open(folder: &Path, name: &str) -> Result<Found> {
    let (train, val) = rayon::join(|| read_part(folder, name, "train"), || read_part(folder, name, "t10k"));
    let train = train?.ok_or_else(|| {
        Error::data(folder, "expected train-images-idx3-ubyte (or .gz), here or in raw/, found no such file")
    })?;
    Ok(Found { train, val: val? })
}

/// The file `<part>-<what>-idx<dimensions>-ubyte`, also spelt with a dot, gzipped, or in `raw/`.
fn locate(folder: &Path, part: &str, what: &str, dimensions: u8) -> Option<PathBuf> {
    let stems = ['-', '.'].map(|separator| format!("{part}-{what}{separator}idx{dimensions}-ubyte"));
    let folders = [folder.to_path_buf(), folder.join("raw")];
    let candidates = folders.iter().flat_map(|folder| {
        stems.iter().flat_map(move |stem| [folder.join(stem), folder.join(format!("{stem}.gz"))])
    });
    candidates.into_iter().find(|path| path.is_file())
}

fn read_part(folder: &Path, name: &str, part: &str) -> Result<Option<Part>> {
    let Some(images_path) = locate(folder, part, "images", 3) else { return Ok(None) };
    let labels_path = locate(folder, part, "labels", 1).ok_or_else(|| {
        Error::data(
            folder,
            format!("expected {part}-labels-idx1-ubyte (or .gz) beside the images, found no such file"),
        )
    })?;
    let ([count, height, width], images) = read::<3>(&images_path)?;
    let ([labels_count], labels) = read::<1>(&labels_path)?;
    if count != labels_count {
        return Err(Error::data(
            &labels_path,
            format!(
                "expected {count} labels, one per image of {}, found {labels_count}",
                printable_path(&images_path)
            ),
        ));
    }
    let dataset = Dataset {
        name: name.to_string(),
        shape: [1, height, width],
        classes: 0,
        class_names: Vec::new(),
        images: Images::U8(images),
        labels: Labels::Classes(labels.into_iter().map(u32::from).collect()),
    };
    Ok(Some(Part { dataset, images_path, labels_path }))
}

/// The `N` dimensions and the bytes of an IDX file. Nothing is allocated for data that the file cannot hold.
fn read<const N: usize>(path: &Path) -> Result<([usize; N], Vec<u8>)> {
    let file = File::open(path).map_err(|error| Error::io(path, error))?;
    let length = file.metadata().map_err(|error| Error::io(path, error))?.len();
    let file = BufReader::with_capacity(1 << 16, file);
    if path.extension().is_some_and(|extension| extension == "gz") {
        let mut stream = Stream { path, reader: MultiGzDecoder::new(file) };
        let (dimensions, count) = read_header(&mut stream)?;
        let possible = length.saturating_mul(MAX_EXPANSION);
        if count > possible {
            return Err(Error::data(
                path,
                format!("the header claims {count} bytes, {length} compressed bytes hold at most {possible}"),
            ));
        }
        Ok((dimensions, read_data(stream, count, count.min(FIRST_RESERVE))?))
    } else {
        let mut stream = Stream { path, reader: file };
        let (dimensions, count) = read_header(&mut stream)?;
        let found = length.saturating_sub(header_len(N));
        if count != found {
            return Err(Error::data(path, format!("the header claims {count} bytes of data, found {found}")));
        }
        Ok((dimensions, read_data(stream, count, count)?))
    }
}

const fn header_len(dimensions: usize) -> u64 {
    4 + 4 * dimensions as u64
}

/// A reader that knows the file it reads, for the errors.
struct Stream<'a, R> {
    path: &'a Path,
    reader: R,
}

impl<R: Read> Stream<'_, R> {
    fn error(&self, error: io::Error) -> Error {
        match error.kind() {
            // What flate2 answers to a damaged stream.
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
                Error::data(self.path, format!("the gzip stream is damaged or cut short: {error}"))
            }
            _ => Error::io(self.path, error),
        }
    }

    /// Up to `limit` bytes, fewer if the data end.
    fn up_to(&mut self, limit: u64, reserve: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(reserve as usize);
        match self.reader.by_ref().take(limit).read_to_end(&mut bytes) {
            Ok(_) => Ok(bytes),
            Err(error) => Err(self.error(error)),
        }
    }
}

fn read_header<const N: usize>(stream: &mut Stream<impl Read>) -> Result<([usize; N], u64)> {
    let path = stream.path;
    let header = stream.up_to(header_len(N), header_len(N))?;
    let (words, _) = header.as_chunks::<4>();
    let (&[zero, zero_too, kind, dimensions], sizes) = match words.split_first() {
        Some((magic, sizes)) if sizes.len() == N => (magic, sizes),
        _ => {
            return Err(Error::data(
                path,
                format!("expected an IDX header of {} bytes, found {} bytes", header_len(N), header.len()),
            ));
        }
    };
    if (zero, zero_too) != (0, 0) {
        return Err(Error::data(
            path,
            format!("expected an IDX file (first bytes 00 00), found {zero:02x} {zero_too:02x}"),
        ));
    }
    if kind != UNSIGNED_BYTE {
        return Err(Error::data(
            path,
            format!("expected IDX type 08 (unsigned bytes), found type {kind:02x}"),
        ));
    }
    if usize::from(dimensions) != N {
        return Err(Error::data(path, format!("expected {N} dimensions, found {dimensions}")));
    }
    let mut shape = [0; N];
    for (size, &bytes) in shape.iter_mut().zip(sizes) {
        *size = u32::from_be_bytes(bytes) as usize;
    }
    let count = shape.iter().try_fold(1u64, |count, &size| count.checked_mul(size as u64));
    match count {
        None => Err(Error::data(path, format!("the header claims the impossible size {shape:?}"))),
        Some(0) => Err(Error::data(path, format!("expected sizes above 0, found {shape:?}"))),
        Some(count) => Ok((shape, count)),
    }
}

fn read_data(mut stream: Stream<impl Read>, count: u64, reserve: u64) -> Result<Vec<u8>> {
    let data = stream.up_to(count, reserve)?;
    if (data.len() as u64) < count {
        return Err(Error::data(
            stream.path,
            format!("the header claims {count} bytes of data, found {}", data.len()),
        ));
    }
    // Reading past the end also has the decoder verify gzip's checksum.
    if !stream.up_to(1, 1)?.is_empty() {
        return Err(Error::data(stream.path, format!("the header claims {count} bytes of data, found more")));
    }
    Ok(data)
}
