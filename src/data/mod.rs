//! Data sets and batches: readers of data set formats, the split into training and validation samples, and the loader whose
//! threads prepare batches.
//!
//! [`open`] reads a data set into host memory, or leaves it in its files (`packed`, `image_folder`) and reads it image by
//! image. A [`Loader`] yields the batches of one epoch: stored images, each with the [`crate::view::View`] through which the
//! device sees it, or network input. Everything random here is a function of the seed, the epoch and the sample, so the number
//! of threads never changes a batch.

mod annotations;
mod augment;
mod bad_files;
mod batch;
mod bmp;
mod cifar;
mod columns;
mod contain;
pub mod corrupt;
mod covered;
mod csv;
mod dataset;
mod decode;
mod decoders;
mod delimited;
mod diagnostics;
mod directory;
mod division;
mod draws;
mod fit;
mod folder_index;
mod framing;
mod gif;
mod idx;
mod image_files;
mod image_folder;
mod image_source;
mod jpeg;
mod kind;
mod layout;
mod level;
mod limits;
mod list;
mod listed;
mod loader;
mod locate;
mod npz;
mod numbers;
mod occupied;
mod open;
mod order;
mod origin;
mod packed;
#[cfg(feature = "parquet")]
mod parquet;
mod parts;
mod pixels;
mod png;
mod range;
mod raw;
mod read_at;
mod request;
mod resized;
mod rows;
mod scan;
mod shards;
mod sheet;
mod signature;
mod split;
mod splits;
mod statistics;
mod stl10;
mod stratify;
mod survey;
mod synthetic;
mod tar_shards;
mod tensors;
mod tiff;
mod transform;
mod transpose;
mod walk;
mod webp;
mod wrappers;

pub use augment::Augmenter;
pub use bad_files::{BadFiles, OnBadFile};
pub use batch::{Batch, BatchInput, InputTransform, ViewFn};
pub use dataset::{Dataset, Images, Labels, Store, Stored};
pub use decode::Decoder;
pub use diagnostics::{Diagnostics, SkippedFiles};
pub use division::Division;
pub use draws::Draws;
pub use framing::{Fit, Frame, Framing, Placement, Region};
pub use image_files::{image_files, images_in_folder};
pub use image_folder::ImageFolder;
pub use kind::Kind;
pub use loader::{Loader, LoaderOptions, Workers};
pub use locate::{Location, built_in, find, user_data};
pub use open::{open, open_with, open_with_diagnostics};
pub use order::Sampler;
pub use origin::{Fingerprint, Origin, Provenance};
pub use packed::{PackSummary, pack};
pub use range::InputRange;
pub use request::{ModelShape, Request, VAL_SPLIT};
pub use scan::ScanObserver;
pub use sheet::Sheet;
pub use split::Pool;
pub use splits::Splits;
pub use statistics::{Pca, Statistics};
pub use survey::{Copies, Pair, Survey, survey};
pub use transform::Transform;
