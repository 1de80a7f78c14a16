//! Files that are exchanged with other programs: safetensors, NPZ and ONNX.

mod exchange_fixtures;
mod npz;
mod onnx_import;
mod onnx_nodes;
mod safetensors;
