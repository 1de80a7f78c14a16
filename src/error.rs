//! The error type of the library. A message is one line: where, what was expected and what was found. The kind determines
//! the exit code of the program (`Error::exit_code`).

use std::borrow::Cow;
use std::fmt::Write;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Result of every fallible function of the library.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A kind of failure. The text of every variant is complete, so callers only need to print it.
#[derive(thiserror::Error)]
pub enum Error {
    /// Contradictory or invalid settings (exit code 2).
    #[error("{}", printable(.0))]
    Usage(String),
    /// A faulty model file, or shapes that do not match (exit code 4).
    #[error("{}", printable(.0))]
    Model(String),
    /// A damaged or unsuitable data set or weights file (exit code 4).
    #[error("{}: {}", printable_path(.path), printable(.message))]
    Data { path: PathBuf, message: String },
    /// No usable device, or the device failed (exit code 3).
    #[error("{}", printable(.0))]
    Device(String),
    /// The device was lost while in use (exit code 3). It may work again after reopening.
    #[error("{}", printable(.0))]
    Lost(String),
    /// Not enough memory, or over a limit of the device (exit code 3).
    #[error("{}", printable(.0))]
    Memory(String),
    /// A wrong result: a failed self-test, or diverged training (exit code 5).
    #[error("{}", printable(.0))]
    Verification(String),
    /// An error of the operating system (exit code 1; 4 if a path is missing or of the wrong kind, 3 if the disk is full).
    #[error("{}: {}", printable_path(.path), printable(&.source.to_string()))]
    Io { path: PathBuf, source: std::io::Error },
    /// A bug in Striate (exit code 1).
    #[error("internal error, please report it: {}", printable(.0))]
    Internal(String),
}

/// Prints the message, because a program whose `main` returns the error prints its `Debug` form.
impl std::fmt::Debug for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// The error code of circular links (ELOOP), for which the standard library has no stable name.
const LINKS: Option<i32> = if cfg!(any(target_os = "linux", target_os = "android")) {
    Some(40)
} else if cfg!(unix) {
    Some(62)
} else {
    None
};

impl Error {
    /// The exit code of the program for this kind of failure.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Usage(_) => 2,
            Error::Model(_) | Error::Data { .. } => 4,
            Error::Device(_) | Error::Lost(_) | Error::Memory(_) => 3,
            Error::Verification(_) => 5,
            // A path of the wrong kind is the user's input; anything else is a failure of the system.
            Error::Io { source, .. } => match source.kind() {
                ErrorKind::NotFound
                | ErrorKind::IsADirectory
                | ErrorKind::NotADirectory
                | ErrorKind::InvalidData
                // The file was truncated while it was read.
                | ErrorKind::UnexpectedEof => 4,
                _ if source.raw_os_error() == LINKS => 4,
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded => 3,
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

/// Makes `text` safe for a terminal: one line in which control characters (parts of escape sequences) and characters that
/// change the writing direction are escaped as `\u{1b}`.
pub fn printable(text: &str) -> Cow<'_, str> {
    let unsafe_to_print = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(unsafe_to_print) {
        return Cow::Borrowed(text);
    }
    let escape = |mut line: String, c: char| {
        if unsafe_to_print(c) {
            line.extend(c.escape_default())
        } else {
            line.push(c)
        }
        line
    };
    Cow::Owned(text.chars().fold(String::with_capacity(text.len() + 16), escape))
}

/// A path as [`printable`] text. Bytes that are not Unicode are escaped as `\xff`, so that different names stay distinct.
pub fn printable_path(path: &Path) -> String {
    let mut text = String::new();
    for part in path.as_os_str().as_encoded_bytes().utf8_chunks() {
        text.push_str(&printable(part.valid()));
        for byte in part.invalid() {
            // Writing to a string cannot fail.
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_and_direction_characters_are_escaped() {
        assert_eq!(printable("caf\u{e9} \"a\\b\""), "caf\u{e9} \"a\\b\"");
        assert_eq!(printable("a\u{1b}[31m\nb\u{202e}\u{9b}"), r"a\u{1b}[31m\nb\u{202e}\u{9b}");
        let message = Error::data("x\u{1b}.png", "found \"\r\"").to_string();
        assert_eq!(message, r#"x\u{1b}.png: found "\r""#);
    }

    #[cfg(unix)]
    #[test]
    fn names_that_are_not_unicode_stay_distinct() {
        use std::os::unix::ffi::OsStrExt;
        let path = Path::new(std::ffi::OsStr::from_bytes(b"a\xff\xfe.jpg"));
        assert_eq!(printable_path(path), r"a\xff\xfe.jpg");
    }
}
