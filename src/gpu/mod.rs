//! The GPU executor: a program as wgpu dispatches.
//!
//! [`adapters`] lists what a machine offers, [`Gpu::open`] takes one of them, and [`Executor`] runs a program on
//! it, as its [`Schedule`] says: which steps run together, where tensors lie, which dispatches there are. One pipeline
//! per distinct (shader, constants), one bind group per dispatch, all made once. Everything that waits is `async`
//! inside; the blocking functions are thin wrappers.

mod adapter;
mod device;
mod executor;
mod fault;
mod fuse;
pub mod kernels;
mod layout;
mod pipeline;
mod profile;
mod schedule;
mod transfer;
mod trusted;

pub use adapter::{AdapterInfo, Choice, Kind, adapters};
pub use device::{Gpu, Restriction};
pub use executor::Executor;
pub use layout::{Memory, Place};
pub use schedule::{Launch, Part, Schedule, Task};
