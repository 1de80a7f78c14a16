//! Weights that `torch.save` wrote (`.pth`, `.pt`), read without running anything: a pickle of dictionaries, whose tensors
//! refer to storages beside it, as a zip archive (PyTorch 1.6 and later) or as the pickles and storages in a row that earlier
//! versions wrote.
//!
//! `globals` has the names that a pickle may hold, `content` finds the weights in a checkpoint, `element` and `view` say what a
//! tensor is, `storages` reads the numbers, and `zipped` and `legacy` know the two forms.

mod content;
mod element;
mod globals;
mod legacy;
mod storages;
mod view;
mod zipped;

use super::file::{File, HOLDERS, common_prefix};
use super::numbers::NumberError;
use crate::error::{Error, Result, printable, printable_path};
use crate::tensor::Tensor;
use content::Content;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

/// Longest accepted pickle in bytes. That of a network of a thousand tensors with its optimiser's state has half a megabyte.
const LONGEST_PICKLE: u64 = 8 << 20;

/// Memory for the values of a pickle in bytes, in addition to as much as the file has.
const PICKLE_MEMORY: u64 = 16 << 20;

/// What to do about a file that holds more than tensors and plain values.
const ADVICE: &str = "in Python, save only the weights: torch.save(model.state_dict(), \"weights.pth\")";

/// Reads the weights in the file at `path`: a dictionary of tensors, such as `model.state_dict()`, or the one dictionary of
/// tensors in a checkpoint. Float32, float16, bfloat16, float64 (rounded to nearest) and int64 (if the value is exact) are
/// converted to `f32`. Counters of batch norms (`num_batches_tracked`) and values that are no tensors are left out.
///
/// # Errors
///
/// One line that names the defect of the file, or what it holds beyond tensors and plain values, and what to do. Sizes are
/// checked against the file before memory is allocated.
pub fn read(path: impl AsRef<Path>) -> Result<File> {
    let path = path.as_ref();
    let mut start = Vec::new();
    let file = std::fs::File::open(path).map_err(|error| Error::io(path, error))?;
    file.take(4).read_to_end(&mut start).map_err(|error| Error::io(path, error))?;
    let (tensors, notes) = match start.as_slice() {
        [b'P', b'K', ..] => zipped::read(path)?,
        [0x80, ..] => legacy::read(path)?,
        _ => {
            let what = "expected a file that torch.save wrote (a zip archive or a pickle), found other bytes";
            return Err(Error::data(path, what));
        }
    };
    let prefix = common_prefix(&HOLDERS, tensors.keys().map(String::as_str));
    let named = printable_path(path);
    let mut notes: Vec<String> =
        notes.into_iter().map(|note| format!("{named}: {}", printable(&note))).collect();
    if !prefix.is_empty() {
        notes.push(format!(
            "{named}: every name begins with \"{prefix}\", which is ignored unless the network's names do, too"
        ));
    }
    Ok(File { path: path.to_path_buf(), tensors, metadata: BTreeMap::new(), notes })
}

/// Tensors by name, and notes without the file's name.
type Weights = (BTreeMap<String, Tensor>, Vec<String>);

/// Memory for the values of a pickle in a file of `length` bytes.
fn pickle_memory(length: u64) -> usize {
    usize::try_from(PICKLE_MEMORY.saturating_add(length)).unwrap_or(usize::MAX)
}

/// The start of a name that may have any length.
fn shortened(name: &str) -> &str {
    name.char_indices().nth(100).map_or(name, |(at, _)| &name[..at])
}

/// The error in the file at `path` for `error`.
fn failed(path: &Path, error: NumberError) -> Error {
    match error {
        NumberError::Io(source) if source.raw_os_error().is_some() => Error::io(path, source),
        NumberError::Io(source) => {
            Error::data(path, format!("expected undamaged data, found an error: {source}"))
        }
        NumberError::Value(message) => Error::data(path, message),
    }
}
