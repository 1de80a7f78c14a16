//! What went wrong on the device, wherever it was noticed. wgpu reports some errors to callbacks, on whatever
//! thread polls; the first one is kept here, and every later call of the executor answers with it.

use crate::error::{Error, Result};
use std::sync::{Mutex, PoisonError};

#[derive(Clone, Debug)]
enum Cause {
    Memory(String),
    Other(String),
}

/// The first error of a device.
#[derive(Debug, Default)]
pub(super) struct Fault(Mutex<Option<Cause>>);

impl Fault {
    fn record(&self, cause: Cause) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(cause);
    }

    /// Keeps an error that no scope caught.
    pub fn uncaptured(&self, error: wgpu::Error) {
        self.record(match &error {
            wgpu::Error::OutOfMemory { .. } => Cause::Memory("the device ran out of memory".into()),
            other => Cause::Other(one_line(&other.to_string())),
        });
    }

    /// Keeps the loss of the device. Its end by our own hand is no loss.
    pub fn lost(&self, reason: wgpu::DeviceLostReason, message: &str) {
        if reason != wgpu::DeviceLostReason::Destroyed {
            self.record(Cause::Other(format!("the device was lost: {}", one_line(message))));
        }
    }

    /// The first error, if there was one.
    pub fn check(&self) -> Result<()> {
        match self.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            None => Ok(()),
            Some(Cause::Memory(text)) => Err(Error::Memory(text.clone())),
            Some(Cause::Other(text)) => Err(Error::Device(text.clone())),
        }
    }
}

/// A message of wgpu, which may have many lines, on one.
pub(super) fn one_line(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|l| !l.is_empty() && *l != "Caused by:");
    lines.collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_error_stays() {
        let fault = Fault::default();
        assert!(fault.check().is_ok());
        fault.lost(wgpu::DeviceLostReason::Destroyed, "our own doing");
        assert!(fault.check().is_ok());
        fault.lost(wgpu::DeviceLostReason::Unknown, "fell off\n  the bus");
        fault.uncaptured(wgpu::Error::OutOfMemory { source: "later".into() });
        let error = fault.check().unwrap_err();
        assert!(matches!(&error, Error::Device(text) if text == "the device was lost: fell off: the bus"));
        assert!(fault.check().is_err(), "an error is not forgotten");
    }

    #[test]
    fn messages_are_one_line() {
        assert_eq!(one_line("Validation Error\n\nCaused by:\n  In a\n    b\n"), "Validation Error: In a: b");
    }
}
