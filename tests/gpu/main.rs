//! The GPU executor: its shaders, its schedule, its limits and its tuning, on the adapter of this machine.

mod cooperative;
#[path = "../support/dispatch.rs"]
mod dispatch;
mod elementary;
mod executor;
mod fusion;
#[path = "../support/gpu_device.rs"]
mod gpu_device;
mod half;
mod inner_loop;
mod kernels;
mod loops;
#[path = "../support/oracle.rs"]
#[allow(dead_code, reason = "the reference executor is for tests/verify")]
mod oracle;
mod profile;
mod shaders;
mod slices;
mod tuning;
