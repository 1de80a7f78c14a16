//! NPZ, NumPy's archive of arrays: one `<name>.npy` for each tensor, and the notes as JSON in `__metadata__.npy`.

use super::file::File;
use crate::error::{Error, Result};
use crate::tensor::Tensor;
use std::collections::BTreeMap;
use std::path::Path;

/// Reads every array of the archive as `f32`.
pub fn read(path: impl AsRef<Path>) -> Result<File> {
    Err(Error::data(path, "NPZ cannot be read yet"))
}

/// Writes `tensors` as `f32` with `metadata` to `path`, in one step.
pub fn write(
    path: impl AsRef<Path>,
    _tensors: &[(String, Tensor)],
    _metadata: &BTreeMap<String, String>,
) -> Result<()> {
    Err(Error::data(path, "NPZ cannot be written yet"))
}
