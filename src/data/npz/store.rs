//! Images of one size as bytes in one or more files, read one by one.

use crate::data::dataset::Store;
use crate::data::read_at::read_at;
use crate::error::{Error, Result};
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// The images of one part: an array `[count, height, width, channels]` of bytes from `start` of `file` on.
#[derive(Clone, Debug)]
pub(super) struct StoredPart {
    /// The name of the array.
    pub name: String,
    pub file: Arc<File>,
    pub start: u64,
    pub count: usize,
}

/// The images of all parts of a data set.
#[derive(Debug)]
pub(super) struct ArrayStore {
    shards: [PathBuf; 1],
    /// Channels, height and width.
    shape: [usize; 3],
    parts: Vec<StoredPart>,
}

impl ArrayStore {
    pub fn new(path: PathBuf, shape: [usize; 3], parts: Vec<StoredPart>) -> ArrayStore {
        ArrayStore { shards: [path], shape, parts }
    }

    /// The part of image `index`, and its number there.
    fn find(&self, index: usize) -> Option<(&StoredPart, usize)> {
        let mut first = 0;
        self.parts.iter().find_map(|part| {
            let number = index.checked_sub(first)?;
            first += part.count;
            (number < part.count).then_some((part, number))
        })
    }
}

impl Store for ArrayStore {
    fn read(&self, index: usize, into: &mut [u8]) -> Result<()> {
        let length: usize = self.shape.iter().product();
        let found = self.find(index).filter(|_| into.len() == length);
        let (part, number) =
            found.ok_or_else(|| Error::Internal(format!("image {index} in {} bytes", into.len())))?;
        let at = part.start + number as u64 * length as u64;
        let wrong = |error: io::Error| match error.kind() {
            // It was cut while it was open.
            io::ErrorKind::UnexpectedEof => {
                let what = format!(
                    "{}, image {number}: expected {length} bytes, found the end of the file",
                    part.name
                );
                Error::data(&self.shards[0], what)
            }
            _ => Error::io(&self.shards[0], error),
        };
        let [channels, height, width] = self.shape;
        if channels == 1 {
            return read_at(&part.file, into, at).map_err(wrong);
        }
        let mut bytes = vec![0; length];
        read_at(&part.file, &mut bytes, at).map_err(wrong)?;
        for (channel, plane) in into.chunks_exact_mut(height * width).enumerate() {
            let values = bytes.iter().skip(channel).step_by(channels);
            plane.iter_mut().zip(values).for_each(|(to, &value)| *to = value);
        }
        Ok(())
    }

    fn name(&self, index: usize) -> Option<String> {
        self.find(index).map(|(part, number)| format!("{}, image {number}", part.name))
    }

    fn shards(&self) -> &[PathBuf] {
        &self.shards
    }
}
