//! A data set of pictures in one file that is read picture by picture: a safetensors file, so that other programs
//! can open it too, and so laid out that it is written in one pass and never wholly held in memory.
//!
//! | tensor | type, shape | what it is |
//! |---|---|---|
//! | `train.images` | U8 `[n, channels, height, width]` | pixels, in the order of what was packed |
//! | `val.images` | the same | if there is a validation part |
//! | `padding` | U8 | up to 7 zeros, so that what follows is aligned |
//! | `train.hashes`, `val.hashes` | U64 `[n]` | XXH3-64 of each picture's bytes |
//! | `checksum` | U64 `[1]` | XXH3-64 of all bytes of the file but the pictures and itself |
//! | `train.labels`, `val.labels` | I32 `[n]` | classes |
//!
//! The metadata begins with `format = "striate-packed"`, by which such a file is known, and has `version`, `name`,
//! `classes` (a JSON list of names), and of the training pixels (0..1) `mean`, `std`, `pca_eigenvalues`,
//! `pca_eigenvectors` ([`Statistics`]), JSON too.

mod reader;
mod writer;

pub(super) use reader::{is_packed, open};
pub use writer::{Summary, pack};

use super::statistics::Statistics;
use safetensors::tensor::{Dtype, TensorInfo};
use serde::Serialize;
use std::collections::BTreeMap;

const FORMAT: &str = "striate-packed";
const VERSION: &str = "1";

/// The names of the two parts.
const PARTS: [&str; 2] = ["train", "val"];

/// How many bytes a header has before its own begin: its length.
const LENGTH: usize = 8;

/// Longest header, in bytes: the names of a hundred thousand classes.
const HEADER_LIMIT: u64 = 8 << 20;

/// Where everything lies, decided by the size of a picture and the number of pictures in each part.
#[derive(Clone, Copy, Debug)]
struct Layout {
    picture: [usize; 3],
    counts: [usize; 2],
}

impl Layout {
    fn picture_len(&self) -> usize {
        self.picture.iter().product()
    }

    /// The tensors in the order of the file; none if their size cannot be counted.
    fn tensors(&self) -> Option<Vec<(String, TensorInfo)>> {
        let [c, h, w] = self.picture;
        let mut tensors = Vec::new();
        let mut start = 0usize;
        let mut push = |name: String, dtype: Dtype, shape: Vec<usize>| {
            let elements = shape.iter().try_fold(1usize, |product, &side| product.checked_mul(side))?;
            let end = start.checked_add(elements.checked_mul(dtype.bitsize() / 8)?)?;
            tensors.push((name, TensorInfo { dtype, shape, data_offsets: (start, end) }));
            start = end;
            Some(end)
        };
        let parts = || PARTS.iter().zip(self.counts).filter(|(_, count)| *count > 0);
        let mut end = 0;
        for (part, count) in parts() {
            end = push(format!("{part}.images"), Dtype::U8, vec![count, c, h, w])?;
        }
        if end % 8 > 0 {
            push("padding".into(), Dtype::U8, vec![8 - end % 8])?;
        }
        for (part, count) in parts() {
            push(format!("{part}.hashes"), Dtype::U64, vec![count])?;
        }
        push("checksum".into(), Dtype::U64, vec![1])?;
        for (part, count) in parts() {
            push(format!("{part}.labels"), Dtype::I32, vec![count])?;
        }
        Some(tensors)
    }
}

/// The header as JSON; metadata come first, and `format` is the first of them.
#[derive(Serialize)]
struct Header<'a> {
    __metadata__: Metadata<'a>,
    #[serde(flatten)]
    tensors: BTreeMap<String, TensorInfo>,
}

#[derive(Serialize)]
struct Metadata<'a> {
    format: &'a str,
    version: &'a str,
    name: &'a str,
    classes: String,
    mean: String,
    std: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pca_eigenvalues: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pca_eigenvectors: Option<String>,
}

/// The text of the header.
fn header(
    layout: Layout,
    name: &str,
    classes: &[String],
    statistics: &Statistics,
) -> Result<Vec<u8>, serde_json::Error> {
    let pca = statistics.pca.as_ref();
    let metadata = Metadata {
        format: FORMAT,
        version: VERSION,
        name,
        classes: serde_json::to_string(classes)?,
        mean: serde_json::to_string(&statistics.mean)?,
        std: serde_json::to_string(&statistics.std)?,
        pca_eigenvalues: pca.map(|pca| serde_json::to_string(&pca.values)).transpose()?,
        pca_eigenvectors: pca.map(|pca| serde_json::to_string(&pca.vectors)).transpose()?,
    };
    let tensors = layout.tensors().unwrap_or_default().into_iter().collect();
    serde_json::to_vec(&Header { __metadata__: metadata, tensors })
}
