//! IDX, the format of MNIST and Fashion-MNIST (<http://yann.lecun.com/exdb/mnist/>): two zero bytes, a type byte
//! (8: unsigned byte), the number of dimensions, each dimension as a big-endian 32-bit number, then the data.
//! Files may be compressed with gzip.

use super::dataset::{Dataset, Images, Labels};
use super::diagnostics::Diagnostics;
use super::raw::{RawSplit, RawSplits};
use crate::error::{Error, Result, printable, printable_path};
use flate2::bufread::MultiGzDecoder;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Type byte of unsigned bytes, the only type that images and labels use.
const UNSIGNED_BYTE: u8 = 8;

/// Deflate never expands a byte to more than this many (zlib's technical details), which bounds what a
/// compressed file can truthfully claim.
const MAX_EXPANSION: u64 = 1032;

/// Most bytes reserved for compressed data before any of it was seen.
const FIRST_RESERVE: u64 = 1 << 20;

/// A family of IDX files in a folder: MNIST's own names, or those with one beginning before them, as EMNIST has
/// (`emnist-letters-train-images-idx3-ubyte`).
#[derive(Clone, Debug, PartialEq, Eq)]
struct Family {
    folder: PathBuf,
    /// What stands before `train` or `t10k`.
    prefix: String,
}

/// Names of the part with test samples.
const TEST: [&str; 2] = ["t10k", "test"];

/// What stands before the part in the name of an IDX file, if it is one: the empty text in `t10k-images-idx3-ubyte`.
fn prefix(name: &str) -> Option<&str> {
    let name = name.strip_suffix(".gz").unwrap_or(name).strip_suffix("-ubyte")?;
    let stem = name.strip_suffix("images-idx3").or_else(|| name.strip_suffix("labels-idx1"));
    let stem =
        stem.or_else(|| name.strip_suffix("images.idx3")).or_else(|| name.strip_suffix("labels.idx1"))?;
    let before = |part: &&str| stem.strip_suffix('-')?.strip_suffix(*part);
    let found = ["train"].iter().chain(&TEST).find_map(before)?;
    (found.is_empty() || found.ends_with(['-', '_', '.'])).then_some(found)
}

/// The beginnings of the names of IDX files in `folder`, each once, in the order of their bytes.
fn prefixes(folder: &Path) -> Vec<String> {
    let names = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let mut found: Vec<String> = names.filter_map(|name| Some(prefix(name.to_str()?)?.to_string())).collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// Whether `folder`, or `raw` in it, holds the training or test images under one of the known names.
pub(super) fn is_in(folder: &Path) -> bool {
    [folder.to_path_buf(), folder.join("raw")].iter().any(|folder| !prefixes(folder).is_empty())
}

/// Whether the files of the family in `folder` that is read are EMNIST's by their names; `file` is the name of one of them.
pub(super) fn is_emnist(folder: &Path, file: Option<&str>) -> bool {
    let family = family(folder, file, &mut Diagnostics::default());
    family.is_ok_and(|family| family.prefix.to_lowercase().starts_with("emnist"))
}

/// The family that `file`, the name of one of its files, belongs to; without one, the only one of `folder`, or MNIST's own.
fn family(folder: &Path, file: Option<&str>, diagnostics: &mut Diagnostics) -> Result<Family> {
    let missing = || {
        Error::data(folder, "expected train-images-idx3-ubyte (or .gz), here or in raw/, found no such file")
    };
    if let Some(file) = file {
        let prefix = prefix(file).ok_or_else(|| {
            let what =
                "expected a name such as train-images-idx3-ubyte or t10k-labels-idx1-ubyte.gz, found another";
            Error::data(folder.join(file), what)
        })?;
        return Ok(Family { folder: folder.to_path_buf(), prefix: prefix.to_string() });
    }
    let folders = [folder.to_path_buf(), folder.join("raw")];
    let found =
        folders.into_iter().map(|folder| (prefixes(&folder), folder)).find(|(found, _)| !found.is_empty());
    let (mut found, folder) = found.ok_or_else(missing)?;
    if found.len() > 1 {
        let names = found.iter().map(|prefix| format!("{prefix}train-images-idx3-ubyte"));
        let names = names.collect::<Vec<_>>().join(", ");
        // They are in the order of their bytes.
        if !found[0].is_empty() {
            let what = format!(
                "expected the files of one data set, found {names}; name one of the files instead of the folder"
            );
            return Err(Error::data(folder, what));
        }
        diagnostics.warn(format!(
            "{}: of several data sets ({names}) train-images-idx3-ubyte is read; naming a file takes its own",
            printable_path(&folder)
        ));
    }
    Ok(Family { prefix: found.swap_remove(0), folder })
}

/// Reads the training files of a family in `folder` and, where they are, its test files (`t10k-*`, `test-*`). `file` is the
/// name of one of the family's files, if that is what was asked for.
pub(super) fn open(
    folder: &Path,
    file: Option<&str>,
    name: &str,
    diagnostics: &mut Diagnostics,
) -> Result<RawSplits> {
    let family = family(folder, file, diagnostics)?;
    // Beside others, the names of its files say more than their folder.
    let name = match family.prefix.trim_end_matches(['-', '_', '.']) {
        "" => name,
        own => &printable(own),
    };
    let test =
        TEST.iter().copied().find(|part| family.locate(part, "images", 3).is_some()).unwrap_or(TEST[0]);
    let (train, val) = rayon::join(|| read_part(&family, name, "train"), || read_part(&family, name, test));
    let train = train?.ok_or_else(|| {
        let what = format!(
            "expected {}train-images-idx3-ubyte (or .gz), here or in raw/, found no such file",
            family.prefix
        );
        Error::data(folder, what)
    })?;
    Ok(RawSplits { train, val: val? })
}

impl Family {
    /// The file `<prefix><part>-<what>-idx<dimensions>-ubyte`, also spelt with a dot, or gzipped.
    fn locate(&self, part: &str, what: &str, dimensions: u8) -> Option<PathBuf> {
        let Family { folder, prefix } = self;
        let stems =
            ['-', '.'].map(|separator| format!("{prefix}{part}-{what}{separator}idx{dimensions}-ubyte"));
        let candidates = stems.iter().flat_map(|stem| [folder.join(stem), folder.join(format!("{stem}.gz"))]);
        candidates.into_iter().find(|path| path.is_file())
    }
}

/// An error if beside `path` there is a compressed file of its name with other content.
fn check_twin(path: &Path) -> Result<()> {
    let mut twin = path.as_os_str().to_os_string();
    twin.push(".gz");
    let twin = PathBuf::from(twin);
    if path.extension().is_some_and(|extension| extension == "gz") || !twin.is_file() {
        return Ok(());
    }
    let wrong = |error| Error::io(path, error);
    // A gzip file ends with the checksum and the length of what was compressed (RFC 1952, 2.3.1).
    let mut end = [0; 8];
    let zipped = File::open(&twin).and_then(|mut file| {
        file.seek(SeekFrom::End(-8))?;
        file.read_exact(&mut end)
    });
    let mut file = BufReader::with_capacity(1 << 16, File::open(path).map_err(wrong)?);
    let mut crc = flate2::Crc::new();
    loop {
        let bytes = file.fill_buf().map_err(wrong)?;
        if bytes.is_empty() {
            break;
        }
        crc.update(bytes);
        let count = bytes.len();
        file.consume(count);
    }
    let found: Vec<u8> = [crc.sum().to_le_bytes(), crc.amount().to_le_bytes()].concat();
    if zipped.is_ok() && end[..] == found[..] {
        return Ok(());
    }
    let what = "expected the content of the compressed file beside it, found another; remove one of the two";
    Err(Error::data(path, what))
}

fn read_part(family: &Family, name: &str, part: &str) -> Result<Option<RawSplit>> {
    let Family { folder, prefix } = family;
    let Some(images_path) = family.locate(part, "images", 3) else { return Ok(None) };
    let labels_path = family.locate(part, "labels", 1).ok_or_else(|| {
        Error::data(
            folder,
            format!(
                "expected {prefix}{part}-labels-idx1-ubyte (or .gz) beside the images, found no such file"
            ),
        )
    })?;
    check_twin(&images_path)?;
    check_twin(&labels_path)?;
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
    Ok(Some(RawSplit { dataset, images_path, labels_path }))
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
