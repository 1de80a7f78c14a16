//! The GPU executor: a program as wgpu dispatches.
//!
//! [`adapters`] lists what a machine offers, [`Gpu::open`] takes one of them, and [`Executor`] runs a program on
//! it, as its [`Schedule`] says: which steps run together, where tensors lie, which dispatches there are. One pipeline
//! per distinct (shader, constants), one bind group per dispatch, all made once. Everything that waits is `async`
//! inside; the blocking functions are thin wrappers. What is worth keeping between runs (compiled shaders, the fastest
//! tile of a product) goes through a [`Host`].

mod adapter;
mod binaries;
mod device;
mod executor;
mod experimental;
mod fault;
mod fuse;
mod half;
mod host;
pub mod kernels;
mod layout;
mod pipeline;
mod probe;
mod profile;
mod schedule;
#[cfg(not(target_arch = "wasm32"))]
mod threads;
mod transfer;
mod trusted;
mod tune;

pub use adapter::{AdapterInfo, Choice, Kind, adapters};
pub use device::{Gpu, Restriction, Setup};
pub use executor::Executor;
pub use fault::is_caught;
pub use host::{Host, News, NoHost};
pub use layout::{Memory, Place};
pub use probe::Probe;
pub use schedule::{Launch, Part, Schedule, Task};
pub use tune::Tuning;
