//! The first error of a device, wherever it was noticed. wgpu reports some errors to callbacks, on the
//! thread that polls; the first one is kept here, and every later call of the executor answers with it.

use crate::error::{Error, Result};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

#[derive(Clone, Debug)]
enum Cause {
    /// The device is gone. All later errors follow from that.
    Lost(String),
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
            self.lose(&one_line(message));
        }
    }

    /// Keeps the loss of the device for the reason `why`.
    pub fn lose(&self, why: &str) {
        self.record(Cause::Lost(format!("the device was lost: {why}")));
    }

    /// The error to return where `error` was found: on a lost device nothing that is made is valid, and the loss is why.
    pub fn blame(&self, error: Error) -> Error {
        match self.check() {
            Err(lost @ Error::Lost(_)) => lost,
            _ => error,
        }
    }

    /// The first error, if there was one.
    pub fn check(&self) -> Result<()> {
        match self.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            None => Ok(()),
            Some(Cause::Lost(text)) => Err(Error::Lost(text.clone())),
            Some(Cause::Memory(text)) => Err(Error::Memory(text.clone())),
            Some(Cause::Other(text)) => Err(Error::Device(text.clone())),
        }
    }
}

thread_local! {
    /// Whether a panic on this thread would be caught below.
    static CAUGHT: Cell<bool> = const { Cell::new(false) };
}

/// Whether a panic on this thread is caught and becomes an error, so that it is not reported.
pub fn is_caught() -> bool {
    CAUGHT.get()
}

/// The result of `work`, `None` if it panicked: wgpu 30 panics where waiting for a device finds that it is gone.
pub(super) fn caught<T>(work: impl FnOnce() -> T) -> Option<T> {
    let before = CAUGHT.replace(true);
    let result = catch_unwind(AssertUnwindSafe(work));
    CAUGHT.set(before);
    result.ok()
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
        assert!(matches!(&error, Error::Lost(text) if text == "the device was lost: fell off: the bus"));
        assert!(fault.check().is_err(), "an error is not forgotten");
        assert!(matches!(fault.blame(Error::Device("invalid".into())), Error::Lost(_)));
    }

    #[test]
    fn an_error_that_is_no_loss_is_not_taken_for_one() {
        let fault = Fault::default();
        assert!(matches!(fault.blame(Error::Device("invalid".into())), Error::Device(_)));
        fault.uncaptured(wgpu::Error::OutOfMemory { source: "full".into() });
        assert!(matches!(fault.check(), Err(Error::Memory(_))));
        assert!(matches!(fault.blame(Error::Device("invalid".into())), Error::Device(_)));
    }

    #[test]
    fn a_panic_is_caught_where_one_is_expected() {
        assert_eq!((caught(is_caught), is_caught()), (Some(true), false));
        // Said on stderr by the hook of the test program, which does not ask.
        assert_eq!(caught(|| -> u32 { panic!("expected by this test") }), None);
        assert!(!is_caught());
    }

    #[test]
    fn messages_are_one_line() {
        assert_eq!(one_line("Validation Error\n\nCaused by:\n  In a\n    b\n"), "Validation Error: In a: b");
    }
}
