//! The GPU executor: a program as wgpu dispatches.
pub mod kernels;
