//! An open packed file, from which single images are read and checked against their hashes.

use super::PARTS;
use crate::data::read_at::read_at;
use crate::error::{Error, Result};
use std::fs::File;
use std::io;
use std::path::PathBuf;
use xxhash_rust::xxh3::xxh3_64;

/// Bytes of images that are best read together.
pub(super) const BLOCK: usize = 4 << 20;

/// A packed file that is open. Images of the training part come first.
#[derive(Debug)]
pub(super) struct Packed {
    pub path: PathBuf,
    pub file: File,
    /// Where the first image begins.
    pub start: u64,
    /// Number of images of the training part.
    pub train: usize,
    pub hashes: Vec<u64>,
}

impl Packed {
    /// Fills `into` with the bytes of image `index`, which begin at `at` of the images, and holds them against their
    /// hash.
    pub fn read(&self, index: usize, at: u64, into: &mut [u8]) -> Result<()> {
        let Some(&expected) = self.hashes.get(index) else {
            return Err(Error::Internal(format!("image {index} of {}", self.path.display())));
        };
        read_at(&self.file, into, self.start + at).map_err(|error| match error.kind() {
            // It was cut while it was open.
            io::ErrorKind::UnexpectedEof => {
                self.bad(index, format!("expected {} bytes, found the end of the file", into.len()))
            }
            _ => Error::io(&self.path, error),
        })?;
        let found = xxh3_64(into);
        if found == expected {
            return Ok(());
        }
        Err(self.bad(index, format!("expected hash {expected:016x}, found {found:016x}")))
    }

    /// What is wrong with image `index`.
    pub fn bad(&self, index: usize, what: String) -> Error {
        let (part, number) =
            if index < self.train { (PARTS[0], index) } else { (PARTS[1], index - self.train) };
        Error::data(&self.path, format!("{part}.images, image {number}: {what}"))
    }
}
