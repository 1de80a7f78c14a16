//! The places where the bytes of one encoded image may be stored: a file of its own, or a part of a larger file.

use super::limits::Decoded;
use crate::error::{Error, Result};
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

/// Longest encoded image, in bytes.
const MAX_FILE: u64 = 256 << 20;

/// The place where the bytes of one image are stored.
pub(super) trait ImageSource {
    /// Fills `into` with the bytes. An error is one line that names the place.
    fn load(&self, into: &mut Vec<u8>) -> Result<()>;

    /// The error that `message` is true of the image.
    fn wrong(&self, message: &str) -> Error;
}

impl ImageSource for &Path {
    fn load(&self, into: &mut Vec<u8>) -> Result<()> {
        let metadata = fs::metadata(self).map_err(|error| Error::io(self, error))?;
        if metadata.is_dir() {
            return Err(self.wrong("expected an image, found a folder"));
        }
        if !metadata.is_file() {
            return Err(self.wrong("expected an image, found a pipe, a socket or a device"));
        }
        into.clear();
        if metadata.len() <= MAX_FILE {
            let file = File::open(self).map_err(|error| Error::io(self, error))?;
            into.reserve(metadata.len() as usize + 1);
            file.take(MAX_FILE + 1).read_to_end(into).map_err(|error| Error::io(self, error))?;
        }
        check_length(metadata.len().max(into.len() as u64)).map_err(|message| self.wrong(&message))
    }

    fn wrong(&self, message: &str) -> Error {
        Error::data(self, message)
    }
}

/// Checks the number of bytes of an image that is about to be decoded.
pub(super) fn check_length(length: u64) -> Decoded<()> {
    match length {
        0 => Err("expected an image, found an empty file".into()),
        length if length > MAX_FILE => Err(format!("expected at most {MAX_FILE} bytes, found {length}")),
        _ => Ok(()),
    }
}
