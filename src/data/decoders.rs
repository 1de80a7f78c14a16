//! Decoders of images that threads share, and what all images in files have in common.

use super::decode::Decoder;
use crate::error::{Error, Result};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Decoders that keep their memory from one image to the next; each is used by one thread at a time.
#[derive(Debug)]
pub(super) struct Decoders {
    ignore_exif: bool,
    /// Whether one of them has warned of a file with more than one page or frame.
    several: Arc<OnceLock<()>>,
    /// Those that no thread is using.
    free: Mutex<Vec<Decoder>>,
}

impl Decoders {
    /// Decoders that turn images upright unless `ignore_exif`.
    pub fn new(ignore_exif: bool) -> Decoders {
        Decoders { ignore_exif, several: Arc::default(), free: Mutex::default() }
    }

    /// Calls `decode` with a decoder that no other thread is using.
    pub fn with<T>(&self, decode: impl FnOnce(&mut Decoder) -> T) -> T {
        let free = || self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let another =
            || Decoder::new().ignoring_exif(self.ignore_exif).warning_once(Arc::clone(&self.several));
        let mut decoder = free().pop().unwrap_or_else(another);
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn each_data_set_warns_once_of_files_with_several_pages() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/pictures/kinds/rgb-pages.tif");
        let read = |decoder: &mut Decoder| decoder.read(Path::new(path), [3, 8, 8], &mut [0; 192]).unwrap();
        let (first, second) = (Decoders::new(false), Decoders::new(false));
        // Two decoders at the same time.
        first.with(|one| first.with(|other| (read(one), read(other))));
        assert!(first.several.get().is_some() && second.several.get().is_none());
        second.with(read);
        assert!(second.several.get().is_some());
    }
}
