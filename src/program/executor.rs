//! The seam between a program and what runs it. It does not grow with operators.

use super::{BufferId, Span};
use crate::error::Result;
use std::time::Duration;

/// A read that has been asked for; [`Executor::finish_read`] delivers it.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "finish_read delivers the values and frees the staging buffer"]
pub struct Pending(pub u64);

/// How long a step took, or several steps that an executor runs as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timed {
    /// Operators and layer.
    pub name: String,
    /// Floating-point operations.
    pub flops: u64,
    /// Bytes that have to cross the memory bus at least.
    pub bytes: u64,
    pub time: Duration,
}

/// Runs a program on one device. Results are a pure function of what was written and run.
pub trait Executor {
    /// Replaces the content of `buffer`; `data` has its number of elements, in NCHW order.
    fn write(&mut self, buffer: BufferId, data: &[f32]) -> Result<()>;

    /// Asks for the content that `buffer` has after everything run so far, without waiting for it.
    fn start_read(&mut self, buffer: BufferId) -> Result<Pending>;

    /// Waits for a read and delivers its values.
    fn finish_read(&mut self, pending: Pending) -> Result<Vec<f32>>;

    /// Runs the steps of `span` in order. May return before a device has finished.
    fn run(&mut self, span: Span) -> Result<()>;

    /// Waits until everything run so far is done; reports what went wrong on the device.
    fn wait(&mut self) -> Result<()>;

    /// The content of `buffer`, waiting for it.
    fn read(&mut self, buffer: BufferId) -> Result<Vec<f32>> {
        let pending = self.start_read(buffer)?;
        self.finish_read(pending)
    }
}
