//! Files that other programs read and write too: host tensors by name, never a device.
//!
//! `safetensors` is the format of weights and checkpoints. `atomic` is how every file of ours reaches the
//! disk: whole, or not at all.

pub mod atomic;
pub mod safetensors;
