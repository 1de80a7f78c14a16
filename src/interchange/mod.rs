//! Files that other programs read and write too: host tensors by name, never a device.
//!
//! `file` is what all formats of weights have in common, `numbers` reads other types of numbers, `safetensors` the format of weights and checkpoints, `npz` NumPy's, `onnx` networks with their
//! weights, out and in.

mod file;
pub mod npz;
mod numbers;
pub mod onnx;
pub mod safetensors;

pub use file::{File, Format, format, match_tensors, read, weights_sha256, xxh3};
