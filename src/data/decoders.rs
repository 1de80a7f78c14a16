//! Decoders of images that threads share, and what all images in files have in common.

use super::decode::Decoder;
use crate::error::{Error, Result};
use std::sync::{Mutex, PoisonError};

/// Decoders that keep their memory from one image to the next; each is used by one thread at a time.
#[derive(Debug)]
pub(super) struct Decoders {
    ignore_exif: bool,
    /// Those that no thread is using.
    free: Mutex<Vec<Decoder>>,
}

impl Decoders {
    /// Decoders that turn images upright unless `ignore_exif`.
    pub fn new(ignore_exif: bool) -> Decoders {
        Decoders { ignore_exif, free: Mutex::default() }
    }

    /// Calls `decode` with a decoder that no other thread is using.
    pub fn with<T>(&self, decode: impl FnOnce(&mut Decoder) -> T) -> T {
        let free = || self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut decoder = free().pop().unwrap_or_else(|| Decoder::new().ignoring_exif(self.ignore_exif));
        let decoded = decode(&mut decoder);
        free().push(decoder);
        decoded
    }
}

/// A usage error unless images of `shape`, `[channels, height, width]`, are grey or colour.
pub(super) fn check_channels(shape: [usize; 3]) -> Result<()> {
    match shape[0] {
        1 | 3 => Ok(()),
        channels => Err(Error::Usage(format!(
            "image files are grey or colour (1 or 3 channels), the model takes {channels} channels"
        ))),
    }
}
