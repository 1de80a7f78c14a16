//! What a device asks of the program around it. `gpu` has no files and no clock of its own, so whoever opens a device
//! may hand it a [`Host`], which keeps small files between runs and hears what takes long.

use std::fmt;

/// The surroundings of a device.
pub trait Host: fmt::Debug + Send + Sync {
    /// The content of the file that was kept as `name`; `None` if there is none, or none that can be read.
    fn load(&self, name: &str) -> Option<Vec<u8>>;

    /// Keeps `content` as the file `name`. That it cannot is no error of the device: the host says so itself.
    fn save(&self, name: &str, content: &[u8]);

    /// Hears what goes on. May be called from several threads at once.
    fn hear(&self, news: News<'_>);
}

/// What takes long, or what somebody should know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News<'a> {
    /// So many of the pipelines of a program have been compiled; first with 0, last with all.
    Compiling { done: usize, all: usize },
    /// So many matrix products have been timed with every tile; first with 0, last with all.
    Tuning { done: usize, all: usize },
    /// Something is not as it should be, but the work goes on. One line.
    Warning(&'a str),
}

/// Keeps nothing and tells nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoHost;

impl Host for NoHost {
    fn load(&self, _name: &str) -> Option<Vec<u8>> {
        None
    }
    fn save(&self, _name: &str, _content: &[u8]) {}
    fn hear(&self, _news: News<'_>) {}
}
