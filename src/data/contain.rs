//! Panics of libraries that read what users hand in. A decoder of images can meet bytes that its authors did not
//! think of (png 0.18 indexes past a palette of one byte); that must cost the image, not the run.

use std::cell::Cell;
use std::panic::{self, UnwindSafe};
use std::sync::Once;

thread_local! {
    /// Whether this thread is in `contained`, where panics are not reported.
    static CONTAINED: Cell<bool> = const { Cell::new(false) };
}

/// Changes the process's panic hook once: a contained panic is reported by the error, not on stderr.
static QUIET: Once = Once::new();

/// What `work` returns, or `None` if it panicked.
pub(super) fn contained<T>(work: impl FnOnce() -> T + UnwindSafe) -> Option<T> {
    QUIET.call_once(|| {
        let report = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !CONTAINED.get() {
                report(info);
            }
        }));
    });
    let outer = CONTAINED.replace(true);
    let result = panic::catch_unwind(work);
    CONTAINED.set(outer);
    result.ok()
}

#[cfg(test)]
mod tests {
    use super::contained;

    #[test]
    fn a_panic_ends_the_work_and_nothing_else() {
        assert_eq!(contained(|| 3), Some(3));
        let none: [u8; 0] = [];
        assert_eq!(contained(|| none[std::hint::black_box(1)]), None);
        assert_eq!(contained(|| contained(|| 4)), Some(Some(4)));
    }
}
