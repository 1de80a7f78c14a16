//! Files that are exchanged with other programs: safetensors, NPZ and ONNX.

#[path = "../support/allocations.rs"]
mod allocations;
mod exchange_fixtures;
mod npz;
mod onnx_import;
mod onnx_nodes;
mod safetensors;
