//! Files that are exchanged with other programs: safetensors, PyTorch's, NPZ and ONNX.

mod exchange_fixtures;
mod npz;
mod onnx_import;
mod onnx_nodes;
mod pth;
mod safetensors;
