//! ONNX: networks with their weights, out (`export`) and in (`import`, `noted`), through a subset of the published schema.

mod averaging;
mod export;
mod import;
mod noted;
mod operators;
mod schema;

pub use export::{Export, encode};
pub use import::{ImportOptions, Imported, decode, read};
