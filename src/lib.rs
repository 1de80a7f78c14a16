//! Striate trains convolutional networks on the GPU of whatever machine it finds itself on.
#![deny(unsafe_code)]
pub mod cli;
pub mod cpu;
pub mod data;
pub mod error;
pub mod gpu;
pub mod interchange;
pub mod model;
pub mod ops;
pub mod program;
pub mod random;
pub mod tensor;
pub mod train;
pub mod verify;
pub use error::{Error, Result};
