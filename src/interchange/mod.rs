//! File formats shared with other programs. Everything here works on named host tensors, never on a device.
//!
//! `file` is the format-independent view of a weights file, `numbers` converts other number types to `f32`,
//! `safetensors` is the format of weights and checkpoints, `npz` is NumPy's archive, `pth` reads what `torch.save` writes,
//! and `onnx` exports and imports networks with their weights. `archive` opens zip files, which two of them are.

mod archive;
mod file;
pub mod npz;
mod numbers;
pub mod onnx;
pub mod pth;
pub mod safetensors;

pub use file::{File, Format, format, match_tensors, read, weights_sha256, xxh3};
