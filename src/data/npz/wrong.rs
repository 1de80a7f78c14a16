//! Why an array of an NPZ file cannot be read.

use crate::error::Error;
use crate::npy::HeaderError;
use std::io;
use std::path::Path;

/// The reason why an array cannot be read.
pub(super) enum Wrong {
    Io(io::Error),
    /// Of the temporary file.
    Temporary(io::Error),
    Value(String),
}

impl From<io::Error> for Wrong {
    fn from(error: io::Error) -> Wrong {
        Wrong::Io(error)
    }
}

impl From<HeaderError> for Wrong {
    fn from(error: HeaderError) -> Wrong {
        match error {
            HeaderError::Io(error) => Wrong::Io(error),
            HeaderError::Value(message) => Wrong::Value(message),
        }
    }
}

impl Wrong {
    /// The error of the array `name` in the file at `path`.
    pub(super) fn at(self, path: &Path, name: &str) -> Error {
        match self {
            Wrong::Io(error) if error.raw_os_error().is_some() => Error::io(path, error),
            Wrong::Io(error) => Error::data(path, format!("{name}: {error}")),
            Wrong::Temporary(error) => Error::io(std::env::temp_dir(), error),
            Wrong::Value(message) => Error::data(path, format!("{name}: {message}")),
        }
    }
}
