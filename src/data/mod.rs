//! From files to batches: readers of data sets, the split into training and validation samples, and the
//! loader whose threads turn pixels into network input.
//!
//! `open` reads a whole data set into host memory, as bytes where the file has bytes; a packed one (`packed`) and
//! folders of pictures (`image_folder`, `decode`) are read picture by picture. A `Loader` then yields one epoch of it in
//! batches. Everything random here is a function of the seed, the epoch and the sample, so the number of threads never
//! changes a batch.

mod cifar;
pub mod corrupt;
mod csv;
mod dataset;
mod decode;
mod fit;
mod idx;
mod image_folder;
mod kind;
mod loader;
mod locate;
mod packed;
mod scan;
mod source;
mod statistics;
mod synthetic;
mod tensors;
mod transform;

pub use dataset::{Dataset, Images, Labels, Store, Stored};
pub use decode::Decoder;
pub use image_folder::ImageFolder;
pub use kind::Kind;
pub use loader::{Batch, Loader, LoaderOptions};
pub use packed::{Summary as PackSummary, pack};
pub use source::{Request, Splits, Wanted, open};
pub use statistics::{Pca, Statistics};
pub use transform::Transform;
