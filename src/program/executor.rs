//! The interface between a program and the device that runs it. It does not grow with operators.

use super::{BufferId, Profile, Span};
use crate::error::{Error, Result};

/// A read in progress; [`Executor::finish_read`] delivers it.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "finish_read delivers the values and frees the staging buffer"]
pub struct Pending(pub u64);

/// Runs a program on one device. Results are a pure function of the written buffers and the executed spans.
pub trait Executor {
    /// Replaces the content of `buffer`; `data` has its number of elements, in NCHW order.
    fn write(&mut self, buffer: BufferId, data: &[f32]) -> Result<()>;

    /// Starts reading the content that `buffer` has after everything run so far, without waiting for it.
    fn start_read(&mut self, buffer: BufferId) -> Result<Pending>;

    /// Waits for a read and delivers its values.
    fn finish_read(&mut self, pending: Pending) -> Result<Vec<f32>>;

    /// Runs the steps of `span` in order. May return before a device has finished.
    fn run(&mut self, span: Span) -> Result<()>;

    /// Runs as [`Executor::run`] does, with the same results, but waits and measures the time of each step.
    ///
    /// # Errors
    /// `Error::Device` if the device has no clock.
    fn profile(&mut self, span: Span) -> Result<Profile> {
        let _ = span;
        Err(Error::Device("steps cannot be timed on this device".into()))
    }

    /// Waits until everything run so far is done; reports errors of the device.
    fn wait(&mut self) -> Result<()>;

    /// The content of `buffer`, waiting for it.
    fn read(&mut self, buffer: BufferId) -> Result<Vec<f32>> {
        let pending = self.start_read(buffer)?;
        self.finish_read(pending)
    }
}
