//! ONNX export (`export`) and import (`import`, `embedded`) of networks with their weights, through a subset of the
//! published schema.

mod averaging;
mod embedded;
mod export;
mod import;
mod operators;
mod schema;

pub use export::{Export, encode};
pub use import::{ImportOptions, Imported, decode, read};
