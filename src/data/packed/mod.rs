//! A data set of images in one file that is read image by image: a safetensors file, so that other programs
//! can open it too, and so laid out that it is written in one pass and never wholly held in memory.
//!
//! | tensor | type, shape | what it is |
//! |---|---|---|
//! | `train.images` | U8 `[n, channels, height, width]` | pixels, in the order of what was packed |
//! | `val.images` | the same | if there is a validation part |
//! | `padding` | U8 | up to 7 zeros, so that what follows is aligned |
//! | `train.hashes`, `val.hashes` | U64 `[n]` | XXH3-64 of each image's bytes |
//! | `checksum` | U64 `[1]` | XXH3-64 of all bytes of the file but the images and itself |
//! | `train.labels`, `val.labels` | I32 `[n]` | classes |
//!
//! That is version 1, of images of one size. Whole images that have one length of the shorter side in common are version
//! 2, which differs in that
//!
//! | tensor | type, shape | what it is |
//! |---|---|---|
//! | `train.images`, `val.images` | U8 `[pixels, channels]` | of each image `[height, width, channels]`, one after the other |
//! | `train.sizes`, `val.sizes` | I32 `[n, 2]`, at the end | height and width of each image |
//!
//! and the metadata have `size`, the shorter side.
//!
//! The metadata begins with `format = "striate-packed"`, by which such a file is known, and has `version`, `name`,
//! `classes` (a JSON list of names), and of the training pixels (0..1) `mean`, `std`, `pca_eigenvalues`,
//! `pca_eigenvectors` ([`Statistics`]), JSON too.

mod file;
mod reader;
mod whole;
mod writer;

pub(super) use reader::{is_packed, open};
pub use writer::{PackSummary, pack};

use super::statistics::Statistics;
use safetensors::tensor::{Dtype, TensorInfo};
use serde::Serialize;
use std::collections::BTreeMap;

const FORMAT: &str = "striate-packed";
/// Of images of one size, and of whole images of several.
const VERSIONS: [&str; 2] = ["1", "2"];

/// The names of the two parts.
const PARTS: [&str; 2] = ["train", "val"];

/// How many bytes a header has before its own begin: its length.
const LENGTH: usize = 8;

/// Longest header, in bytes: the names of a hundred thousand classes.
const HEADER_LIMIT: u64 = 8 << 20;

/// The images of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ImageLayout {
    /// All are `[channels, height, width]`.
    Equal([usize; 3]),
    /// `[height, width, channels]`, the shorter side `size`; the number of pixels in the training part and in the validation part.
    Whole { channels: usize, size: usize, pixels: [usize; 2] },
}

/// Where everything lies, decided by the images and their number in each part.
#[derive(Clone, Copy, Debug)]
struct PackedLayout {
    images: ImageLayout,
    counts: [usize; 2],
}

impl PackedLayout {
    fn version(&self) -> &'static str {
        match self.images {
            ImageLayout::Equal(_) => VERSIONS[0],
            ImageLayout::Whole { .. } => VERSIONS[1],
        }
    }

    /// Bytes of the images of each part. What was read is of a file that has as many.
    fn image_bytes(&self) -> [usize; 2] {
        match self.images {
            ImageLayout::Equal(image) => self.counts.map(|count| count * image.iter().product::<usize>()),
            ImageLayout::Whole { channels, pixels, .. } => pixels.map(|pixels| pixels * channels),
        }
    }

    /// The tensors in the order of the file; none if their size cannot be counted.
    fn tensors(&self) -> Option<Vec<(String, TensorInfo)>> {
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
        for (number, (part, count)) in parts().enumerate() {
            let shape = match self.images {
                ImageLayout::Equal([c, h, w]) => vec![count, c, h, w],
                ImageLayout::Whole { channels, pixels, .. } => vec![pixels[number], channels],
            };
            end = push(format!("{part}.images"), Dtype::U8, shape)?;
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
        if let ImageLayout::Whole { .. } = self.images {
            for (part, count) in parts() {
                push(format!("{part}.sizes"), Dtype::I32, vec![count, 2])?;
            }
        }
        Some(tensors)
    }
}

/// The header as JSON; metadata come first, and `format` is the first of them.
#[derive(Serialize)]
struct PackedHeader<'a> {
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
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<String>,
    mean: String,
    std: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pca_eigenvalues: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pca_eigenvectors: Option<String>,
}

/// The text of the header.
fn header(
    layout: PackedLayout,
    name: &str,
    classes: &[String],
    statistics: &Statistics,
) -> Result<Vec<u8>, serde_json::Error> {
    let pca = statistics.pca.as_ref();
    let metadata = Metadata {
        format: FORMAT,
        version: layout.version(),
        name,
        size: match layout.images {
            ImageLayout::Equal(_) => None,
            ImageLayout::Whole { size, .. } => Some(size.to_string()),
        },
        classes: serde_json::to_string(classes)?,
        mean: serde_json::to_string(&statistics.mean)?,
        std: serde_json::to_string(&statistics.std)?,
        pca_eigenvalues: pca.map(|pca| serde_json::to_string(&pca.values)).transpose()?,
        pca_eigenvectors: pca.map(|pca| serde_json::to_string(&pca.vectors)).transpose()?,
    };
    let tensors = layout.tensors().unwrap_or_default().into_iter().collect();
    serde_json::to_vec(&PackedHeader { __metadata__: metadata, tensors })
}
