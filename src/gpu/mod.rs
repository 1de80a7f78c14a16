//! The GPU executor: a program as wgpu dispatches.
//!
//! [`adapters`] lists what a machine offers, [`Gpu::open`] takes one of them, and [`Executor`] runs a program on
//! it: one `wgpu::Buffer` per memory slot, one pipeline per distinct (shader, constants), one bind group per
//! dispatch, all made once. Everything that waits is `async` inside; the blocking functions are thin wrappers.

mod adapter;
mod device;
mod executor;
mod experimental;
mod fault;
mod half;
pub mod kernels;
mod pipeline;
mod profile;
mod transfer;
mod trusted;

pub use adapter::{AdapterInfo, Choice, Kind, adapters};
pub use device::{Gpu, Restriction};
pub use executor::Executor;
