//! Safetensors, the format of weights and checkpoints: an 8-byte little-endian length, a JSON header of that
//! length, then the tensors, row-major and little-endian.
//!
//! Files are written with `metadata.format = "pt"`, which PyTorch's and Hugging Face's loaders require, and with
//! header and tensors in name order, so that the same content gives the same bytes. The header is validated by the
//! reference implementation (`safetensors::tensor::Metadata`: offsets without holes or overlaps, sizes without
//! overflow) and against the file's length before any tensor is allocated.

use super::file::{File, little_endian, sorted_by_name};
use super::numbers::{NumberError, convert, exact_integer, f16_to_f32};
use crate::atomic::{self, NewFile};
use crate::error::{Error, Result};
use crate::json;
use crate::tensor::Tensor;
use safetensors::tensor::{Dtype, Metadata, TensorInfo};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

/// Longest accepted header in bytes, enough for tens of thousands of tensors. The reference implementation allows
/// 100 MB, which takes gigabytes of memory to parse.
const HEADER_LIMIT: u64 = 8 << 20;

/// Writes `tensors` as `f32` with `metadata` to `path`, in one step (see `atomic::write`). `format` is "pt"
/// unless `metadata` says otherwise. Names must be unique.
pub fn write(
    path: impl AsRef<Path>,
    tensors: &[(String, Tensor)],
    metadata: &BTreeMap<String, String>,
) -> Result<()> {
    stage(path, tensors, metadata)?.commit()
}

/// Like [`write()`], but leaves the file under a temporary name until it is committed.
pub fn stage(
    path: impl AsRef<Path>,
    tensors: &[(String, Tensor)],
    metadata: &BTreeMap<String, String>,
) -> Result<NewFile> {
    let path = path.as_ref();
    let sorted = sorted_by_name(path, tensors)?;
    let header = header(&sorted, metadata)
        .map_err(|error| Error::Internal(format!("header of {}: {error}", path.display())))?;
    atomic::stage(path, |out| {
        out.write_all(&(header.len() as u64).to_le_bytes())?;
        out.write_all(&header)?;
        sorted.iter().try_for_each(|(_, tensor)| out.write_all(&little_endian(tensor.data())))
    })
}

fn header(sorted: &[&(String, Tensor)], metadata: &BTreeMap<String, String>) -> serde_json::Result<Vec<u8>> {
    let mut metadata = metadata.clone();
    metadata.entry("format".into()).or_insert_with(|| "pt".into());
    let mut entries = BTreeMap::new();
    entries.insert("__metadata__", serde_json::to_value(metadata)?);
    let mut offset = 0;
    for (name, tensor) in sorted {
        let end = offset + tensor.data().len() * 4;
        let info = TensorInfo {
            dtype: Dtype::F32,
            shape: tensor.shape().dims().to_vec(),
            data_offsets: (offset, end),
        };
        entries.insert(name, serde_json::to_value(info)?);
        offset = end;
    }
    let mut text = serde_json::to_vec(&entries)?;
    // The format requires the tensors to start at a multiple of 8.
    text.resize(text.len().next_multiple_of(8), b' ');
    Ok(text)
}

/// Reads every tensor of the file as `f32`. `F32`, `F16` and `BF16` convert exactly, `F64` is rounded to nearest, and
/// `I64`, `I32` and `U8` (PyTorch's counters) are accepted if the value is exact in `f32`.
///
/// # Errors
///
/// One line that names the defect of the file. A damaged file never costs more memory than a few times its length.
pub fn read(path: impl AsRef<Path>) -> Result<File> {
    let path = path.as_ref();
    let metadata = std::fs::metadata(path).map_err(|error| Error::io(path, error))?;
    // Checked before opening, because opening a pipe would block.
    if !metadata.is_file() {
        return Err(Error::data(path, "expected a safetensors file, found a folder, a pipe or a device"));
    }
    let mut file = std::fs::File::open(path).map_err(|error| Error::io(path, error))?;
    let length = file.metadata().map_err(|error| Error::io(path, error))?.len();
    let header = read_header(path, &mut file, length)?;
    let mut tensors = BTreeMap::new();
    // In file order, so that reading is one sequential pass.
    for name in header.offset_keys() {
        let info = header
            .info(&name)
            .ok_or_else(|| Error::Internal(format!("tensor {name} vanished from its own header")))?;
        let tensor = read_tensor(&mut file, info)
            .map_err(|error| match error {
                NumberError::Io(source) => Error::io(path, source),
                NumberError::Value(message) => Error::data(path, format!("tensor {name}: {message}")),
            })
            .and_then(|data| Tensor::new(info.shape.clone(), data))?;
        tensors.insert(name, tensor);
    }
    let metadata = header.metadata().clone().unwrap_or_default().into_iter().collect();
    Ok(File { path: path.to_path_buf(), tensors, metadata, notes: Vec::new() })
}

fn read_header(path: &Path, file: &mut std::fs::File, length: u64) -> Result<Metadata> {
    let bad = |message: String| Error::data(path, message);
    if length < 8 {
        return Err(bad(format!("expected a safetensors file (8 bytes at least), found {length} bytes")));
    }
    let mut prefix = [0; 8];
    file.read_exact(&mut prefix).map_err(|error| Error::io(path, error))?;
    let claimed = u64::from_le_bytes(prefix);
    let room = length - 8;
    if claimed > room {
        return Err(bad(format!("the header claims {claimed} bytes, found {room} bytes after its length")));
    }
    if claimed > HEADER_LIMIT {
        return Err(bad(format!("expected a header of at most {HEADER_LIMIT} bytes, found {claimed}")));
    }
    let mut text = vec![0; claimed as usize];
    file.read_exact(&mut text).map_err(|error| Error::io(path, error))?;
    let header: Metadata = json::check_keys(&text)
        .and_then(|()| serde_json::from_slice(&text))
        .map_err(|error| bad(format!("the safetensors header: {error}")))?;
    let data = room - claimed;
    if header.data_len() as u64 != data {
        return Err(bad(format!(
            "the header describes {} bytes of tensors, found {data} bytes",
            header.data_len()
        )));
    }
    Ok(header)
}

/// Reads the tensor at the file's current position. Its size has already been checked against the file's length.
fn read_tensor(file: &mut std::fs::File, info: &TensorInfo) -> Result<Vec<f32>, NumberError> {
    let count = info.shape.iter().product();
    match info.dtype {
        Dtype::F32 => convert(file, count, count, |b: [u8; 4]| Ok(f32::from_le_bytes(b))),
        Dtype::F16 => convert(file, count, count, |b| Ok(f16_to_f32(u16::from_le_bytes(b)))),
        Dtype::BF16 => {
            convert(file, count, count, |b| Ok(f32::from_bits(u32::from(u16::from_le_bytes(b)) << 16)))
        }
        Dtype::F64 => convert(file, count, count, |b| Ok(f64::from_le_bytes(b) as f32)),
        Dtype::I64 => convert(file, count, count, |b| exact_integer(i64::from_le_bytes(b))),
        Dtype::I32 => convert(file, count, count, |b| exact_integer(i64::from(i32::from_le_bytes(b)))),
        Dtype::U8 => convert(file, count, count, |b: [u8; 1]| Ok(f32::from(b[0]))),
        other => {
            Err(NumberError::Value(format!("expected F32, F16, BF16, F64, I64, I32 or U8, found {other}")))
        }
    }
}
