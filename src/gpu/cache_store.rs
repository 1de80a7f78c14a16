//! Where a device keeps small files between runs. `gpu` does not access the file system: the caller supplies a
//! [`CacheStore`].

use std::fmt;

/// A place for small files that can be made again.
pub trait CacheStore: fmt::Debug + Send + Sync {
    /// The content of the file `name`; `None` if there is none, or none that can be read.
    fn load(&self, name: &str) -> Option<Vec<u8>>;

    /// Stores `content` as the file `name`. A failure is no error of the device: the store reports it itself.
    fn save(&self, name: &str, content: &[u8]);
}

/// Stores nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoCache;

impl CacheStore for NoCache {
    fn load(&self, _name: &str) -> Option<Vec<u8>> {
        None
    }
    fn save(&self, _name: &str, _content: &[u8]) {}
}
