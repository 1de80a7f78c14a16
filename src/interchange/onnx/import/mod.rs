//! From an ONNX graph to a model file and weights that can be trained on.

mod external;
mod limits;
mod tensor;

use crate::error::{Error, Result};
use crate::interchange::File;
use crate::model::Spec;
use crate::tensor::Tensor;
use std::collections::BTreeMap;
use std::path::Path;

/// How a file is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// Whether weights may lie in other files, which must be in the folder of the ONNX file or below it.
    pub external_data: bool,
    /// Channels, height and width of the input, where the file leaves them open.
    pub input: Option<[usize; 3]>,
}

/// A network with its weights.
#[derive(Clone, Debug)]
pub struct Imported {
    /// Its `source` is a complete model file.
    pub spec: Spec,
    /// Parameters and running statistics by name, as a program built from `spec` wants them.
    pub tensors: Vec<(String, Tensor)>,
    /// The file's `metadata_props`.
    pub metadata: BTreeMap<String, String>,
    /// What the user should know, a line each.
    pub notes: Vec<String>,
}

impl Imported {
    /// As a file of weights that carries its network.
    pub fn into_file(self, path: &Path) -> File {
        let mut metadata = self.metadata;
        metadata.insert("model".into(), self.spec.source);
        File { path: path.to_path_buf(), tensors: self.tensors.into_iter().collect(), metadata }
    }
}

/// Reads the ONNX file at `path`.
pub fn read(path: impl AsRef<Path>, _options: &ImportOptions) -> Result<Imported> {
    Err(Error::data(path, "ONNX cannot be read yet"))
}

/// Reads an ONNX file's bytes; `path` is what to call it, and where external data is looked for.
pub fn decode(_bytes: Vec<u8>, path: &Path, _options: &ImportOptions) -> Result<Imported> {
    Err(Error::data(path, "ONNX cannot be read yet"))
}
