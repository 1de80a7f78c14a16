//! Memory that begins at a cache line: a vector that straddles two takes twice as long to load.

use bytemuck::{Pod, Zeroable};
use std::collections::TryReserveError;
use std::ops::{Deref, DerefMut};

/// Elements of a line.
const LINE: usize = 16;

#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C, align(64))]
struct Line([f32; LINE]);

/// Values in memory of their own.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    lines: Vec<Line>,
}

impl Memory {
    /// None.
    pub const fn new() -> Memory {
        Memory { lines: Vec::new() }
    }

    /// At least `len` zeros.
    pub fn zeros(len: usize) -> Result<Memory, TryReserveError> {
        let mut lines = Vec::new();
        lines.try_reserve_exact(len.div_ceil(LINE))?;
        lines.resize(len.div_ceil(LINE), Line::zeroed());
        Ok(Memory { lines })
    }

    /// The first `len` elements of the memory, which grows if it has to. Their content is undefined.
    pub fn reserve(&mut self, len: usize) -> &mut [f32] {
        let lines = len.div_ceil(LINE);
        if self.lines.len() < lines {
            self.lines.resize(lines, Line::zeroed());
        }
        &mut self[..len]
    }
}

impl Deref for Memory {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        bytemuck::cast_slice(&self.lines)
    }
}

impl DerefMut for Memory {
    fn deref_mut(&mut self) -> &mut [f32] {
        bytemuck::cast_slice_mut(&mut self.lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_begins_at_a_line_and_grows() {
        let mut memory = Memory::new();
        for len in [1, 16, 17, 100_000] {
            let slice = memory.reserve(len);
            assert_eq!((slice.len(), slice.as_ptr().addr() % 64), (len, 0));
        }
        assert!(Memory::zeros(33).unwrap().iter().all(|&value| value == 0.0));
        assert!(Memory::zeros(usize::MAX / 8).is_err());
    }
}
