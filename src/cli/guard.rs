//! Panics. None is meant to happen; one that does all the same is a fault of ours, and is told as one line with the place,
//! exit code 1, instead of Rust's two with a code of its own. What a run has saved stays as it is.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook};
use std::sync::{Mutex, PoisonError};

/// The first panic of any thread: what follows from it says less.
static FIRST: Mutex<Option<String>> = Mutex::new(None);

/// The exit code of a fault of ours.
const FAULT: u8 = 1;

/// What `work` returns: an exit code, or an error with the code and the line that [`super::verdict`] gives it. A panic, of
/// this thread or of one that it needed, is an error too.
///
/// Replaces the panic hook of the process. With `RUST_BACKTRACE=1` the way to the panic goes to stderr.
pub fn guarded(work: impl FnOnce() -> anyhow::Result<u8>) -> (u8, Option<String>) {
    set_hook(Box::new(note));
    let ended = catch_unwind(AssertUnwindSafe(work));
    let panic = FIRST.lock().unwrap_or_else(PoisonError::into_inner).take();
    match (ended, panic) {
        (Ok(Ok(code)), None) => (code, None),
        (Ok(Err(error)), None) => super::verdict(&error),
        (Ok(_) | Err(_), panic) => {
            let place = panic.unwrap_or_else(|| "unknown place".into());
            (FAULT, Some(format!("error: a fault in striate, please report it: {place}")))
        }
    }
}

fn note(info: &PanicHookInfo<'_>) {
    let payload = info.payload();
    let text = payload.downcast_ref::<&str>().copied();
    let what = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
    let place = info.location().map(|place| format!(" ({}:{})", place.file(), place.line()));
    let text = format!("{}{}", crate::error::printable(what), place.unwrap_or_default());
    FIRST.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(text);
    let way = Backtrace::capture();
    if way.status() == BacktraceStatus::Captured {
        eprintln!("{way}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    // One test: the hook is the process's.
    #[test]
    fn a_panic_anywhere_is_one_line_with_its_place() {
        let none: [u8; 0] = [];
        let index = std::hint::black_box(1);
        let (code, line) = guarded(|| Ok(none[index]));
        let line = line.unwrap();
        assert_eq!((code, line.lines().count()), (1, 1));
        assert!(
            line.starts_with("error: a fault in striate, please report it: index out of bounds"),
            "{line}"
        );
        assert!(line.contains("guard.rs:"), "{line}");
        // A thread that nobody waits for, and the error that follows from its end.
        let (code, line) = guarded(|| {
            let _ = std::thread::spawn(|| panic!("first\nof all")).join();
            Err(Error::Internal("the thread has ended".into()).into())
        });
        assert_eq!(code, 1);
        assert!(
            line.as_deref().is_some_and(|line| line.contains(r"please report it: first\nof all (")),
            "{line:?}"
        );
        // It does not stay.
        assert_eq!(guarded(|| Ok(3)), (3, None));
        let (code, line) = guarded(|| Err(Error::Model("no layers".into()).into()));
        assert_eq!((code, line.as_deref()), (4, Some("error: no layers")));
        let _ = std::panic::take_hook();
    }
}
