//! The one error type of the library. A message is one line that says where, what was expected and
//! what was found; the kind decides the exit code of the program (`Error::exit_code`).

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Result of every fallible function of the library.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong. Each variant's text is complete: printing it is all a caller has to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A combination of settings that cannot be meant (exit code 2).
    #[error("{0}")]
    Usage(String),
    /// A model file, or shapes that do not fit together (exit code 4).
    #[error("{0}")]
    Model(String),
    /// A data set or a weights file that is damaged or does not fit (exit code 4).
    #[error("{path}: {message}", path = path.display())]
    Data { path: PathBuf, message: String },
    /// No usable device, or the device failed (exit code 3).
    #[error("{0}")]
    Device(String),
    /// Not enough memory, or over a limit of the device (exit code 3).
    #[error("{0}")]
    Memory(String),
    /// A result that is wrong: a self-test that failed, or training that diverged (exit code 5).
    #[error("{0}")]
    Verification(String),
    /// The operating system said no (exit code 1; 4 where a path is missing or not what it was given for).
    #[error("{path}: {source}", path = path.display())]
    Io { path: PathBuf, source: std::io::Error },
    /// A mistake of ours, not of the user (exit code 1).
    #[error("internal error, please report it: {0}")]
    Internal(String),
}

impl Error {
    /// The exit code that DESIGN gives this kind of failure.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Usage(_) => 2,
            Error::Model(_) | Error::Data { .. } => 4,
            Error::Device(_) | Error::Memory(_) => 3,
            Error::Verification(_) => 5,
            // A path that cannot be what it was given for; anything else is the system's fault.
            Error::Io { source, .. } => match source.kind() {
                ErrorKind::NotFound
                | ErrorKind::IsADirectory
                | ErrorKind::NotADirectory
                | ErrorKind::InvalidData => 4,
                _ => 1,
            },
            Error::Internal(_) => 1,
        }
    }

    /// A fault in the file at `path`.
    pub fn data(path: impl AsRef<Path>, message: impl Into<String>) -> Self {
        Error::Data { path: path.as_ref().to_path_buf(), message: message.into() }
    }

    /// An operating-system error on `path`.
    pub fn io(path: impl AsRef<Path>, source: std::io::Error) -> Self {
        Error::Io { path: path.as_ref().to_path_buf(), source }
    }
}
