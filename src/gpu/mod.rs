//! The GPU executor: a program as wgpu dispatches.
//!
//! [`adapters`] lists the adapters of a machine, [`Gpu::open`] opens one of them, and [`Executor`] runs a program on it
//! as its [`Schedule`] says: which steps run together, where tensors lie, and which dispatches there are. There is one
//! pipeline per distinct (shader, constants) and one bind group per dispatch, all made once. Everything that waits is
//! `async` inside; the blocking functions are thin wrappers. Compiled shaders and the fastest kernel of each product are
//! kept between runs in a [`CacheStore`].

mod adapter;
mod binaries;
mod cache_store;
mod device;
mod executor;
mod experimental;
mod fault;
mod fuse;
mod half;
pub mod kernels;
mod layout;
mod options;
mod pipeline;
mod probe;
mod profile;
mod progress;
mod schedule;
#[cfg(not(target_arch = "wasm32"))]
mod threads;
mod transfer;
mod trial;
mod trusted;
mod tune;

pub use adapter::{AdapterInfo, AdapterSelector, Kind, adapters};
pub use cache_store::{CacheStore, NoCache};
pub use device::Gpu;
pub use executor::Executor;
pub use fault::is_caught;
pub use layout::{Memory, Place};
pub use options::{DeviceOptions, LimitOverrides};
pub use probe::Probe;
pub use progress::{Progress, ProgressListener};
pub use schedule::{BoundDispatch, MemoryRange, Schedule, ScheduledStep};
pub use tune::Tuning;
