//! The largest single allocation that a test program has asked for, and the most that one thread held at once, so that a
//! test can show that a file which claims to be huge does not get the memory it claims.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes held by all threads, and the most that were.
static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static LARGEST_HERE: Cell<usize> = const { Cell::new(0) };
    /// Bytes held, and the most that were.
    static HELD_HERE: Cell<[isize; 2]> = const { Cell::new([0; 2]) };
}

fn hold(bytes: isize) {
    let [held, most] = HELD_HERE.get();
    HELD_HERE.set([held + bytes, most.max(held + bytes)]);
    let live = LIVE.fetch_add(bytes as usize, Ordering::Relaxed).wrapping_add(bytes as usize);
    if bytes > 0 {
        PEAK.fetch_max(live, Ordering::Relaxed);
    }
}

fn note(size: usize) {
    LARGEST_HERE.set(LARGEST_HERE.get().max(size));
}

struct Watched;

// SAFETY: every call is passed on to the system allocator unchanged; only a counter is kept beside it.
unsafe impl GlobalAlloc for Watched {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        hold(layout.size() as isize);
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        hold(-(layout.size() as isize));
        unsafe { System.dealloc(pointer, layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        hold(layout.size() as isize);
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size);
        // Old and new may be there at once.
        hold(size as isize);
        hold(-(layout.size() as isize));
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Watched = Watched;

/// Bytes of the largest single allocation that this thread asks for in `work`.
#[allow(dead_code, reason = "not every test program that shares this file asks")]
pub fn largest_during(work: impl FnOnce()) -> usize {
    LARGEST_HERE.set(0);
    work();
    LARGEST_HERE.get()
}

/// The most bytes that this thread held at once in `work`, above what it held before.
#[allow(dead_code, reason = "not every test program that shares this file asks")]
pub fn peak_during(work: impl FnOnce()) -> usize {
    let [before, _] = HELD_HERE.get();
    HELD_HERE.set([before, before]);
    work();
    let [_, most] = HELD_HERE.get();
    usize::try_from(most - before).unwrap_or(0)
}

/// The most bytes that all threads of this process held at once in `work`, above what they held before, and its result. Other
/// tests of the same process would be counted too.
#[allow(dead_code, reason = "not every test program that shares this file asks")]
pub fn peak_of_all_threads<T>(work: impl FnOnce() -> T) -> (usize, T) {
    let before = LIVE.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let result = work();
    (PEAK.load(Ordering::Relaxed) - before, result)
}
