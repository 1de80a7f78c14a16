//! Files that other programs read and write too: host tensors by name, never a device.
//!
//! `safetensors` is the format of weights and checkpoints.

pub mod safetensors;
