//! Splitting work over the threads of the rayon pool at hand, by sizes that depend on shapes only, and the scratch
//! memory that each thread keeps.

use super::memory::Memory;
use super::simd::vectorised;
use rayon::prelude::*;
use std::cell::RefCell;

/// Elements that one task of an elementwise operator treats: 64 KiB, large beside the cost of starting a task and
/// small beside a cache. A multiple of 4, so that a block of random numbers never spans two tasks.
pub const CHUNK: usize = 1 << 14;

/// How many units of `len` elements make a task of about [`CHUNK`] elements.
pub fn units_per_task(len: usize) -> usize {
    (CHUNK / len.max(1)).max(1)
}

/// y[i] = f(x[i]).
pub fn map(x: &[f32], y: &mut [f32], f: impl Fn(f32) -> f32 + Sync) {
    y.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).for_each(|(y, x)| {
        vectorised!(|| {
            for (y, &x) in y.iter_mut().zip(x) {
                *y = f(x);
            }
        });
    });
}

/// y[i] = f(a[i], b[i]).
pub fn map2(a: &[f32], b: &[f32], y: &mut [f32], f: impl Fn(f32, f32) -> f32 + Sync) {
    let inputs = a.par_chunks(CHUNK).zip(b.par_chunks(CHUNK));
    y.par_chunks_mut(CHUNK).zip(inputs).for_each(|(y, (a, b))| {
        vectorised!(|| {
            for ((y, &a), &b) in y.iter_mut().zip(a).zip(b) {
                *y = f(a, b);
            }
        });
    });
}

thread_local! {
    static SCRATCH: RefCell<Memory> = const { RefCell::new(Memory::new()) };
}

/// Calls `f` with `N` slices of the given lengths out of this thread's scratch memory. Their content is
/// undefined. The memory stays with the thread, so a loop allocates nothing after its first round.
pub fn with_scratch<const N: usize, R>(lengths: [usize; N], f: impl FnOnce([&mut [f32]; N]) -> R) -> R {
    // Taken out for the time of the call: a nested call finds an empty vector instead of a borrowed one.
    let mut memory = SCRATCH.with(RefCell::take);
    // Slices begin at multiples of a cache line of 16 elements.
    let rounded = lengths.map(|n| n.next_multiple_of(16));
    let total = rounded.iter().sum();
    let mut rest = memory.reserve(total);
    let mut index = 0;
    let slices = rounded.map(|n| {
        let (slice, tail) = std::mem::take(&mut rest).split_at_mut(n);
        rest = tail;
        index += 1;
        &mut slice[..lengths[index - 1]]
    });
    let result = f(slices);
    SCRATCH.with(|scratch| scratch.replace(memory));
    result
}
