//! Handling of panics. A panic is a bug in this program. It is reported in one line with its location and exit code 1, in
//! place of Rust's own report and exit code. The files that a run has saved are not affected.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook};
use std::sync::{Mutex, PoisonError};

/// The first panic of any thread, since later ones are usually its consequences.
static FIRST: Mutex<Option<String>> = Mutex::new(None);

/// The exit code of a bug.
const BUG: u8 = 1;

/// Runs `work` and returns its exit code, or the exit code and line that [`super::verdict`] assigns to its error. A panic of
/// this or another thread is an error, too.
///
/// Replaces the panic hook of the process. With `RUST_BACKTRACE=1` a backtrace goes to stderr.
pub fn guarded(work: impl FnOnce() -> anyhow::Result<u8>) -> (u8, Option<String>) {
    set_hook(Box::new(record));
    let ended = catch_unwind(AssertUnwindSafe(work));
    let panic = FIRST.lock().unwrap_or_else(PoisonError::into_inner).take();
    match (ended, panic) {
        (Ok(Ok(code)), None) => (code, None),
        (Ok(Err(error)), None) => super::verdict(&error),
        (Ok(_) | Err(_), panic) => {
            let place = panic.unwrap_or_else(|| "unknown location".into());
            (BUG, Some(format!("error: a bug in striate, please report it: {place}")))
        }
    }
}

fn record(info: &PanicHookInfo<'_>) {
    let payload = info.payload();
    let text = payload.downcast_ref::<&str>().copied();
    let what = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
    let place = info.location().map(|place| format!(" ({}:{})", place.file(), place.line()));
    let text = format!("{}{}", crate::error::printable(what), place.unwrap_or_default());
    FIRST.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(text);
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        eprintln!("{backtrace}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    // A single test, because the hook belongs to the process.
    #[test]
    fn a_panic_in_any_thread_is_one_line_with_its_location() {
        let none: [u8; 0] = [];
        let index = std::hint::black_box(1);
        let (code, line) = guarded(|| Ok(none[index]));
        let line = line.unwrap();
        assert_eq!((code, line.lines().count()), (1, 1));
        assert!(line.starts_with("error: a bug in striate, please report it: index out of bounds"), "{line}");
        assert!(line.contains("guard.rs:"), "{line}");
        // A panic of another thread, and the error that follows from it.
        let (code, line) = guarded(|| {
            let _ = std::thread::spawn(|| panic!("first\nof all")).join();
            Err(Error::Internal("the thread has ended".into()).into())
        });
        assert_eq!(code, 1);
        assert!(
            line.as_deref().is_some_and(|line| line.contains(r"please report it: first\nof all (")),
            "{line:?}"
        );
        // The record is cleared afterwards.
        assert_eq!(guarded(|| Ok(3)), (3, None));
        let (code, line) = guarded(|| Err(Error::Model("no layers".into()).into()));
        assert_eq!((code, line.as_deref()), (4, Some("error: no layers")));
        let _ = std::panic::take_hook();
    }
}
