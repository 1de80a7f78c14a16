//! Both executors against the f64 reference and against PyTorch, and the reference and the comparison themselves.

mod augment;
mod cpu_operators;
mod end_to_end;
#[path = "../support/gpu_device.rs"]
mod gpu_device;
mod gradients;
mod operators;
#[path = "../support/oracle.rs"]
mod oracle;
mod pytorch;
mod tolerance;
