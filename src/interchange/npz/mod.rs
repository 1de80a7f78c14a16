//! NPZ, NumPy's archive of arrays: a zip file with one `<name>.npy` for each tensor, and the notes as JSON in
//! `__metadata__.npy`, an array of bytes.
//!
//! Written is what `numpy.savez` writes, without compression; the same content gives the same bytes. Read is what
//! `numpy.savez` and `numpy.savez_compressed` write for numbers. Nothing is unpacked into files: names are only names.

mod header;

use super::file::{File, little_endian, sorted_by_name};
use super::numbers::{NumberError, convert, exact_integer, f16_to_f32};
use crate::atomic::NewFile;
use crate::error::{Error, Result};
use crate::tensor::Tensor;
use header::{NpyHeader, NpyType};
use std::collections::BTreeMap;
use std::io::{BufReader, Read, Seek, Write};
use std::path::Path;
use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter};

/// The array with the notes.
const METADATA: &str = "__metadata__";

/// Longest notes that are read, in bytes.
const LONGEST_METADATA: usize = 8 << 20;

/// Most bytes that an archive may hold unpacked, beyond [`MOST_PER_BYTE`] for each of its own: compression makes little
/// of weights, but much of a network that is all zeros.
const MOST_UNPACKED: u64 = 256 << 20;
const MOST_PER_BYTE: u64 = 64;

/// Arrays of more bytes than this are written with 64-bit sizes.
const LARGE: usize = 1 << 31;

/// Writes `tensors` as `f32` with `metadata` to `path`, in one step (see `atomic`). Names must be unique.
pub fn write(
    path: impl AsRef<Path>,
    tensors: &[(String, Tensor)],
    metadata: &BTreeMap<String, String>,
) -> Result<()> {
    let path = path.as_ref();
    let sorted = sorted_by_name(path, tensors)?;
    if sorted.iter().any(|(name, _)| name == METADATA) {
        return Err(Error::data(path, format!("no tensor of an NPZ file can be named {METADATA}")));
    }
    let notes = serde_json::to_vec(metadata)
        .map_err(|error| Error::Internal(format!("notes of {}: {error}", path.display())))?;
    let failed = |error: ZipError| match error {
        ZipError::Io(source) => Error::io(path, source),
        other => Error::data(path, format!("cannot be written as NPZ: {other}")),
    };
    let mut file = NewFile::create(path)?;
    let mut archive = ZipWriter::new(&mut file);
    for (name, tensor) in sorted {
        let header = header::bytes("<f4", tensor.shape().dims());
        put(&mut archive, name, &header, &little_endian(tensor.data())).map_err(failed)?;
    }
    put(&mut archive, METADATA, &header::bytes("|u1", &[notes.len()]), &notes).map_err(failed)?;
    archive.finish().map_err(failed)?;
    file.commit()
}

/// Adds the array `name`.
fn put<W: Write + Seek>(
    archive: &mut ZipWriter<W>,
    name: &str,
    header: &[u8],
    data: &[u8],
) -> Result<(), ZipError> {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(DateTime::DEFAULT)
        .unix_permissions(0o644)
        .large_file(data.len() > LARGE);
    archive.start_file(format!("{name}.npy"), options)?;
    archive.write_all(header)?;
    archive.write_all(data)?;
    Ok(())
}

/// Reads every array of the archive as `f32`: `f4` is taken as it is, `f2` exactly, `f8` rounded to nearest, `i8`, `i4` and
/// `u1` as long as the number is exact in `f32`; of either byte order and either order of the axes.
///
/// Errors say what is wrong with the file in one line. What is unpacked is bounded by the file's own length, and
/// memory is taken as the numbers arrive.
pub fn read(path: impl AsRef<Path>) -> Result<File> {
    let path = path.as_ref();
    let bad = |message: String| Error::data(path, message);
    let file = std::fs::File::open(path).map_err(|error| Error::io(path, error))?;
    let length = file.metadata().map_err(|error| Error::io(path, error))?.len();
    let failed = |error: ZipError| match error {
        ZipError::Io(source) if source.raw_os_error().is_some() => Error::io(path, source),
        other => bad(format!("the zip archive: {other}")),
    };
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(failed)?;
    check(&archive, length).map_err(bad)?;
    let mut tensors = BTreeMap::new();
    let mut metadata = BTreeMap::new();
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(failed)?;
        let name = entry.name().map_err(failed)?.into_owned();
        let wrong = |error: NumberError| match error {
            NumberError::Io(source) if source.raw_os_error().is_some() => Error::io(path, source),
            NumberError::Io(source) => bad(format!("{name}: {source}")),
            NumberError::Value(message) => bad(format!("{name}: {message}")),
        };
        let Some(stem) = name.strip_suffix(".npy") else {
            return Err(bad(format!("expected arrays (.npy) in the archive, found {name}")));
        };
        // A claim that the file's length bears out.
        let (size, trusted) = (entry.size(), entry.compressed_size().min(length) as usize);
        if stem == METADATA {
            metadata = read_metadata(&mut entry, size).map_err(wrong)?;
        } else {
            let tensor = read_array(&mut entry, size, trusted).map_err(wrong)?;
            if tensors.insert(stem.to_string(), tensor).is_some() {
                return Err(bad(format!("two arrays are named {name}")));
            }
        }
    }
    Ok(File { path: path.to_path_buf(), tensors, metadata })
}

/// Whether `archive`, a file of `length` bytes, may be unpacked.
fn check<R: Read + Seek>(archive: &ZipArchive<R>, length: u64) -> Result<(), String> {
    if archive.file_names_raw().any(|name| name == b"data.pkl" || name.ends_with(b"/data.pkl")) {
        return Err(super::file::PYTORCH.into());
    }
    if archive.has_duplicate_names() {
        return Err("the zip archive: two entries of the same name".into());
    }
    let mut unpacked = 0u64;
    for index in 0..archive.len() {
        let entry = archive.by_index_data(index).map_err(|error| format!("the zip archive: {error}"))?;
        let name = String::from_utf8_lossy(entry.name_raw()).into_owned();
        if entry.encrypted() {
            return Err(format!("{name}: expected an entry that is not encrypted"));
        }
        if ![CompressionMethod::Stored, CompressionMethod::Deflated].contains(&entry.compression()) {
            return Err(format!(
                "{name}: expected an entry stored or deflated, found {}",
                entry.compression()
            ));
        }
        unpacked = unpacked.saturating_add(entry.size());
    }
    let most = length.saturating_mul(MOST_PER_BYTE).saturating_add(MOST_UNPACKED);
    if unpacked > most {
        let what = "bytes in the archive's entries together";
        return Err(format!("expected at most {most} {what} (it has {length}), found {unpacked}"));
    }
    Ok(())
}

/// The array in `entry`, which has `size` bytes unpacked; `trusted` bytes are surely there.
fn read_array(entry: &mut impl Read, size: u64, trusted: usize) -> Result<Tensor, NumberError> {
    let header = header::read(entry)?;
    let values = read_numbers(entry, &header, size, trusted)?;
    let values = if header.fortran_order { row_major(values, &header.shape) } else { values };
    Tensor::new(header.shape, values).map_err(|error| NumberError::Value(error.to_string()))
}

fn read_numbers(
    entry: &mut impl Read,
    header: &NpyHeader,
    size: u64,
    trusted: usize,
) -> Result<Vec<f32>, NumberError> {
    let claimed = header.count as u64 * header.number.size() as u64;
    let found = size.saturating_sub(header.length as u64);
    if claimed != found {
        let what = format!("the shape {:?} needs {claimed} bytes, found {found}", header.shape);
        return Err(NumberError::Value(what));
    }
    let big = header.big_endian;
    let count = header.count;
    let trusted = trusted / header.number.size();
    let values = match header.number {
        NpyType::F32 => convert(entry, count, trusted, |b| Ok(f32::from_le_bytes(little(b, big)))),
        NpyType::F16 => {
            convert(entry, count, trusted, |b| Ok(f16_to_f32(u16::from_le_bytes(little(b, big)))))
        }
        NpyType::F64 => convert(entry, count, trusted, |b| Ok(f64::from_le_bytes(little(b, big)) as f32)),
        NpyType::I64 => convert(entry, count, trusted, |b| exact_integer(i64::from_le_bytes(little(b, big)))),
        NpyType::I32 => {
            convert(entry, count, trusted, |b| exact_integer(i64::from(i32::from_le_bytes(little(b, big)))))
        }
        NpyType::U8 => convert(entry, count, trusted, |b: [u8; 1]| Ok(f32::from(b[0]))),
    }?;
    // Only at its end is the entry's checksum looked at.
    if entry.read(&mut [0])? > 0 {
        return Err(NumberError::Value("expected nothing after the numbers".into()));
    }
    Ok(values)
}

/// The bytes of a number in little-endian order.
fn little<const N: usize>(mut bytes: [u8; N], big_endian: bool) -> [u8; N] {
    if big_endian {
        bytes.reverse();
    }
    bytes
}

/// `values`, whose first axis runs fastest, with the last axis running fastest.
fn row_major(values: Vec<f32>, shape: &[usize]) -> Vec<f32> {
    let mut index = vec![0; shape.len()];
    let mut strides = Vec::with_capacity(shape.len());
    let mut stride = 1;
    for extent in shape {
        strides.push(stride);
        stride *= extent;
    }
    let mut from = 0;
    let mut turned = Vec::with_capacity(values.len());
    for _ in 0..values.len() {
        turned.push(values[from]);
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            from += strides[axis];
            if index[axis] < shape[axis] {
                break;
            }
            from -= strides[axis] * shape[axis];
            index[axis] = 0;
        }
    }
    turned
}

/// The notes: a JSON object of texts, as bytes.
fn read_metadata(entry: &mut impl Read, size: u64) -> Result<BTreeMap<String, String>, NumberError> {
    let header = header::read(entry)?;
    if header.number != NpyType::U8 || header.shape.len() != 1 || header.count > LONGEST_METADATA {
        let (number, shape) = (header.number, header.shape);
        let what = format!(
            "expected at most {LONGEST_METADATA} bytes along one axis, found {number:?} of the shape {shape:?}"
        );
        return Err(NumberError::Value(what));
    }
    // Every byte is exact in an f32.
    let text: Vec<u8> = read_numbers(entry, &header, size, 0)?.into_iter().map(|value| value as u8).collect();
    serde_json::from_slice(&text).map_err(|error| NumberError::Value(format!("the notes as JSON: {error}")))
}
