//! Weights files independent of their format: named tensors and metadata, how they are matched to a network, and
//! their fingerprint.

use super::{archive, npz, onnx, pth, safetensors};
use crate::error::{Error, Result};
use crate::tensor::{Shape, Tensor};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::Xxh3;

/// A format of weights files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    Safetensors,
    Npz,
    Onnx,
    /// What `torch.save` writes (`.pth`, `.pt`). It is read and not written.
    PyTorch,
}

impl Format {
    /// Every format that is written, with its name, which is also the extension of its files.
    pub const ALL: [(&'static str, Format); 3] =
        [("safetensors", Format::Safetensors), ("npz", Format::Npz), ("onnx", Format::Onnx)];
}

/// Extensions of PyTorch's files.
const PYTORCH: [&str; 2] = ["pth", "pt"];

/// Detects the format of the file at `path` from its first bytes, and only where they are inconclusive from its extension.
pub fn format(path: impl AsRef<Path>) -> Result<Format> {
    let path = path.as_ref();
    let metadata = std::fs::metadata(path).map_err(|error| Error::io(path, error))?;
    // Checked before opening: opening a pipe would block, and bytes read from it could not be read again.
    if !metadata.is_file() && !metadata.is_dir() {
        return Err(Error::data(path, "expected a weights file, found a pipe or a device"));
    }
    let file = std::fs::File::open(path).map_err(|error| Error::io(path, error))?;
    let mut start = Vec::new();
    file.take(9).read_to_end(&mut start).map_err(|error| Error::io(path, error))?;
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let is_named = |name: &&str| extension.eq_ignore_ascii_case(name);
    let named = match PYTORCH.iter().any(is_named) {
        true => Some(Format::PyTorch),
        false => Format::ALL.iter().find(|(name, _)| is_named(name)).map(|(_, format)| *format),
    };
    match start.as_slice() {
        [b'P', b'K', 3 | 5 | 7, ..] => Ok(match archive::open(path) {
            Ok((archive, _)) if archive::is_pytorch(&archive) => Format::PyTorch,
            Err(_) if named == Some(Format::PyTorch) => Format::PyTorch,
            _ => Format::Npz,
        }),
        // An 8-byte little-endian length (small, so the upper bytes are 0), then the opening brace of the JSON header.
        [_, _, _, _, _, 0, 0, 0, b'{'] => Ok(Format::Safetensors),
        // A bare pickle, which `torch.save` wrote before it switched to zip archives.
        [0x80, 2..=5, ..] => Ok(Format::PyTorch),
        // Field 1 of an ONNX file is the IR version, a small number.
        [8, 1..=31, ..] if named.is_none() => Ok(Format::Onnx),
        // A damaged file with a known extension gets the more precise message of that format's reader.
        _ => named.ok_or_else(|| {
            Error::data(
                path,
                "expected safetensors, PyTorch (.pth), NPZ or ONNX, found a file of another kind",
            )
        }),
    }
}

/// Reads the weights in `path`: safetensors, PyTorch, NPZ or ONNX (see [`format()`]). From an ONNX file the network is imported
/// too, as the metadata entry `model`.
pub fn read(path: impl AsRef<Path>) -> Result<File> {
    let path = path.as_ref();
    match format(path)? {
        Format::Npz => npz::read(path),
        Format::PyTorch => pth::read(path),
        Format::Safetensors => safetensors::read(path),
        Format::Onnx => {
            onnx::read(path, &onnx::ImportOptions::default()).map(|imported| imported.into_file(path))
        }
    }
}

/// The contents of a weights file, every tensor as `f32`.
#[derive(Clone, Debug)]
pub struct File {
    /// The path it was read from.
    pub path: PathBuf,
    pub tensors: BTreeMap<String, Tensor>,
    pub metadata: BTreeMap<String, String>,
    /// Remarks for the user on what was read, one line each.
    pub notes: Vec<String>,
}

/// Prefixes that PyTorch's wrappers (`DataParallel`, `DistributedDataParallel`, `torch.compile`) add to every parameter name,
/// and those of classes that keep a network in a field, as Lightning's modules do.
pub(super) const HOLDERS: [&str; 4] = ["module.", "_orig_mod.", "model.", "net."];

/// The longest sequence of `prefixes` that all `names` share; empty if there is none.
pub(super) fn common_prefix<'n>(prefixes: &[&str], names: impl Iterator<Item = &'n str> + Clone) -> &'n str {
    let Some(first) = names.clone().next() else { return "" };
    let mut length = 0;
    while let Some(wrapper) = prefixes.iter().find(|prefix| first[length..].starts_with(**prefix)) {
        let longer = length + wrapper.len();
        if !names.clone().all(|name| name.starts_with(&first[..longer])) {
            break;
        }
        length = longer;
    }
    &first[..length]
}

impl File {
    /// The tensor `name`; all names of the file may have a prefix before that ([`File::unwrap_names`]).
    pub fn tensor(&self, name: &str) -> Option<&Tensor> {
        self.tensors.get(name).or_else(|| {
            let prefix = common_prefix(&HOLDERS, self.tensors.keys().map(String::as_str));
            self.tensors.get(&format!("{prefix}{name}"))
        })
    }

    /// Strips the prefixes that PyTorch's wrappers, and classes that hold a network, add to every name (`module.`, `_orig_mod.`,
    /// `model.`, `net.`). Names are kept if the file already holds a tensor that `expected` names, since a network may use such
    /// names itself.
    pub fn unwrap_names<'n>(&mut self, mut expected: impl Iterator<Item = &'n str>) {
        let length = common_prefix(&HOLDERS, self.tensors.keys().map(String::as_str)).len();
        if length > 0 && !expected.any(|name| self.tensors.contains_key(name)) {
            let tensors = std::mem::take(&mut self.tensors);
            self.tensors =
                tensors.into_iter().map(|(name, tensor)| (name[length..].to_string(), tensor)).collect();
        }
    }
}

/// Returns the tensors of `file` that `expected` (names and shapes of the network `model`) lists, in that order.
///
/// Extra tensors named `*.num_batches_tracked` (the batch counters of PyTorch's batch norm, unused here) and the prefixes
/// of PyTorch's wrappers ([`File::unwrap_names`]) are ignored.
///
/// # Errors
///
/// If a tensor is missing, has another shape, or is not expected; one line lists the first twenty of each kind.
pub fn match_tensors(mut file: File, model: &str, expected: &[(String, Shape)]) -> Result<Vec<Tensor>> {
    file.unwrap_names(expected.iter().map(|(name, _)| name.as_str()));
    let File { path, mut tensors, .. } = file;
    let (mut matched, mut missing, mut shapes) = (Vec::new(), Vec::new(), Vec::new());
    for (name, shape) in expected {
        match tensors.remove(name) {
            None => missing.push(name.clone()),
            Some(tensor) if tensor.shape() != shape => {
                shapes.push(format!("{name} expected {shape} found {}", tensor.shape()));
            }
            Some(tensor) => matched.push(tensor),
        }
    }
    let extra: Vec<_> = tensors.into_keys().filter(|name| !name.ends_with(".num_batches_tracked")).collect();
    if missing.is_empty() && shapes.is_empty() && extra.is_empty() {
        return Ok(matched);
    }
    let problems: Vec<_> =
        [("missing", &missing), ("of another shape", &shapes), ("not in the model", &extra)]
            .into_iter()
            .filter(|(_, names)| !names.is_empty())
            .map(|(what, names)| format!("{} {what}: {}", names.len(), list_names(names)))
            .collect();
    Err(Error::data(path, format!("the tensors do not fit the model {model}; {}", problems.join("; "))))
}

/// The first of `names`, joined, and the number of the remaining ones.
fn list_names(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let text = names[..names.len().min(SHOWN)].join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => text,
        others => format!("{text} and {others} more"),
    }
}

/// Returns `tensors` in name order, the order in which every format writes them. Two tensors of one name are an internal
/// error; `path`, the file to be written, is for its message.
pub(super) fn sorted_by_name<'a>(
    path: &Path,
    tensors: &'a [(String, Tensor)],
) -> Result<Vec<&'a (String, Tensor)>> {
    let mut sorted: Vec<_> = tensors.iter().collect();
    sorted.sort_by(|a, b| a.0.cmp(&b.0));
    match sorted.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        Some(pair) => Err(Error::Internal(format!("two tensors named {} for {}", pair[0].0, path.display()))),
        None => Ok(sorted),
    }
}

/// The little-endian bytes of `values`, borrowed on little-endian machines.
pub(super) fn little_endian(values: &[f32]) -> Cow<'_, [u8]> {
    if cfg!(target_endian = "little") {
        Cow::Borrowed(bytemuck::cast_slice(values))
    } else {
        Cow::Owned(values.iter().flat_map(|value| value.to_le_bytes()).collect())
    }
}

/// XXH3 (128 bits), in hexadecimal, of the shape of `tensor` and its values as little-endian `f32`. Checkpoints use it to
/// detect damage; it is not a protection against tampering.
pub fn xxh3(tensor: &Tensor) -> String {
    let mut hash = Xxh3::new();
    tensor.shape().dims().iter().for_each(|&dim| hash.update(&(dim as u64).to_le_bytes()));
    hash.update(&little_endian(tensor.data()));
    format!("{:032x}", hash.digest128())
}

/// SHA-256, in hexadecimal, of the values of all `tensors` in name order, each value as little-endian `f32`.
/// Names and shapes are not part of it. Equal weights, bit for bit, have equal hashes.
pub fn weights_sha256(tensors: &[(String, &[f32])]) -> String {
    let mut sorted: Vec<_> = tensors.iter().collect();
    sorted.sort_by(|a, b| a.0.cmp(&b.0));
    let mut hash = Sha256::new();
    for (_, values) in sorted {
        hash.update(little_endian(values));
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
