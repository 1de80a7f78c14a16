//! NPZ, NumPy's archive of arrays: a zip file with one `<name>.npy` per tensor, and the metadata as JSON in
//! `__metadata__.npy`, an array of bytes.
//!
//! Files are written uncompressed, as `numpy.savez` does; the same content gives the same bytes. The reader accepts the
//! numeric arrays that `numpy.savez` and `numpy.savez_compressed` write.

use super::archive::{self, failed};
use super::file::{File, little_endian, sorted_by_name};
use super::numbers::{NumberError, Places, convert, exact_integer, f16_to_f32};
use crate::atomic::NewFile;
use crate::error::{Error, Result};
use crate::npy::{self as header, HeaderError, NpyHeader, NpyType};
use crate::tensor::Tensor;
use std::collections::BTreeMap;
use std::io::{Read, Seek, Write};
use std::path::Path;
use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

/// The array that holds the metadata.
const METADATA: &str = "__metadata__";

/// Longest accepted metadata, in bytes.
const LONGEST_METADATA: usize = 8 << 20;

/// Arrays larger than this, in bytes, are written with 64-bit sizes (Zip64).
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
    let metadata = serde_json::to_vec(metadata)
        .map_err(|error| Error::Internal(format!("metadata of {}: {error}", path.display())))?;
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
    put(&mut archive, METADATA, &header::bytes("|u1", &[metadata.len()]), &metadata).map_err(failed)?;
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

/// Reads every array of the archive as `f32`, in either byte order and in C or Fortran order. `f4` and `f2` convert
/// exactly, `f8` is rounded to nearest, and `i8`, `i4` and `u1` are accepted if the value is exact in `f32`.
///
/// # Errors
///
/// One line that names the defect of the file. The uncompressed size is bounded by the file's length, and memory is
/// allocated as numbers arrive.
pub fn read(path: impl AsRef<Path>) -> Result<File> {
    let path = path.as_ref();
    let bad = |message: String| Error::data(path, message);
    let failed = |error| failed(path, error);
    let (mut archive, length) = archive::open(path)?;
    archive::check(&archive, length).map_err(bad)?;
    let mut tensors = BTreeMap::new();
    let mut metadata = BTreeMap::new();
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(failed)?;
        let name = entry.name().map_err(failed)?.into_owned();
        let wrong = |error: NumberError| match error {
            NumberError::Io(source) if source.raw_os_error().is_some() => Error::io(path, source),
            NumberError::Io(source) => bad(archive::damaged_entry(&name, &source)),
            NumberError::Value(message) => bad(format!("{name}: {message}")),
        };
        let Some(stem) = name.strip_suffix(".npy") else {
            return Err(bad(format!("expected arrays (.npy) in the archive, found {name}")));
        };
        // The stored size cannot exceed the file's length, so memory for it may be reserved.
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
    Ok(File { path: path.to_path_buf(), tensors, metadata, notes: Vec::new() })
}

/// Reads the array in `entry`, which has `size` bytes uncompressed, of which at least `trusted` are known to exist.
fn read_array(entry: &mut impl Read, size: u64, trusted: usize) -> Result<Tensor, NumberError> {
    let header = header::read(entry)?;
    let values = read_numbers(entry, &header, size, trusted)?;
    let values = if header.fortran_order { row_major(&values, &header.shape) } else { values };
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
    // The zip reader verifies an entry's checksum only at its end.
    if entry.read(&mut [0])? > 0 {
        return Err(NumberError::Value("expected no bytes after the array".into()));
    }
    Ok(values)
}

impl From<HeaderError> for NumberError {
    fn from(error: HeaderError) -> Self {
        match error {
            HeaderError::Io(error) => NumberError::Io(error),
            HeaderError::Value(message) => NumberError::Value(message),
        }
    }
}

/// Converts the bytes of a number to little-endian order.
fn little<const N: usize>(mut bytes: [u8; N], big_endian: bool) -> [u8; N] {
    if big_endian {
        bytes.reverse();
    }
    bytes
}

/// Reorders `values` from Fortran order (the first axis varies fastest) to C order (the last axis does).
fn row_major(values: &[f32], shape: &[usize]) -> Vec<f32> {
    let strides: Vec<usize> = shape
        .iter()
        .scan(1, |next, &extent| {
            let stride = *next;
            *next *= extent;
            Some(stride)
        })
        .collect();
    Places::new(shape, &strides).map(|place| values[place]).collect()
}

/// Reads the metadata: a JSON object of strings, stored as bytes.
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
    serde_json::from_slice(&text)
        .map_err(|error| NumberError::Value(format!("the metadata as JSON: {error}")))
}
