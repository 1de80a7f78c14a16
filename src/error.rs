//! The error type of the library. A message names the place, what was expected and what was found, in one line; the kind
//! decides the exit code of the program ([`Error::exit_code`]).

use std::borrow::Cow;
use std::fmt::Write;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Result of every fallible function of the library.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure. The message of each variant is complete: a caller only has to print it. It is one line, except that of
/// [`Error::OtherRun`].
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Invalid options, or options that contradict each other (exit code 2).
    #[error("{}", printable(.0))]
    Usage(String),
    /// Options of a run that is resumed which are not those of the run (exit code 2): a line that says so, a line for each
    /// difference, and a line that says how to resume the run.
    #[error("{}", .0.iter().map(|line| printable(line)).collect::<Vec<_>>().join("\n"))]
    OtherRun(Vec<String>),
    /// An invalid model file, or shapes that do not match (exit code 4).
    #[error("{}", printable(.0))]
    Model(String),
    /// A data set or a weights file that is damaged or does not match the model (exit code 4).
    #[error("{}: {}", printable_path(.path), printable(.message))]
    Data { path: PathBuf, message: String },
    /// No usable device, or the device failed (exit code 3).
    #[error("{}", printable(.0))]
    Device(String),
    /// The device stopped working while it was in use (exit code 3). It may work again once it is reopened.
    #[error("{}", printable(.0))]
    Lost(String),
    /// Not enough memory, or a limit of the device exceeded (exit code 3).
    #[error("{}", printable(.0))]
    Memory(String),
    /// A check of results failed: the self-test, or the comparison after an export (exit code 5).
    #[error("{}", printable(.0))]
    Verification(String),
    /// Training diverged: losses, weights or the optimiser's state became non-finite, or the loss left all reasonable
    /// bounds (exit code 5).
    #[error("{}", printable(.0))]
    Diverged(String),
    /// An error of the operating system (exit code 1; 4 if a path does not exist or is of the wrong type, 3 if the disk is
    /// full).
    #[error("{}: {}", printable_path(.path), printable(&reason(.source)))]
    Io { path: PathBuf, source: std::io::Error },
    /// A bug in Striate (exit code 1).
    #[error("internal error, please report it: {}", printable(.0))]
    Internal(String),
}

/// Prints the message, since `Debug` is what a program shows whose `main` returns the error.
impl std::fmt::Debug for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// What an error of the operating system says about a path, in words for those of a wrong path.
fn reason(error: &std::io::Error) -> Cow<'static, str> {
    // One with a text of its own says more.
    let plain = error.get_ref().is_none();
    match error.kind() {
        ErrorKind::NotFound if plain => "no such file or folder".into(),
        ErrorKind::IsADirectory if plain => "expected a file, found a folder".into(),
        ErrorKind::NotADirectory if plain => "expected a folder in this path, found a file".into(),
        // The standard library's text where a file is read as a string.
        ErrorKind::InvalidData if error.to_string().contains("valid UTF-8") => {
            "expected text (UTF-8), found other bytes".into()
        }
        _ => error.to_string().into(),
    }
}

/// The system's error code for a cycle of symbolic links (ELOOP), for which the standard library has no stable name.
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
            Error::Usage(_) | Error::OtherRun(_) => 2,
            Error::Model(_) | Error::Data { .. } => 4,
            Error::Device(_) | Error::Lost(_) | Error::Memory(_) => 3,
            Error::Verification(_) | Error::Diverged(_) => 5,
            // The path is wrong; all other failures are the system's.
            Error::Io { source, .. } => match source.kind() {
                ErrorKind::NotFound
                | ErrorKind::IsADirectory
                | ErrorKind::NotADirectory
                | ErrorKind::InvalidData
                // A file that was truncated while it was read.
                | ErrorKind::UnexpectedEof => 4,
                _ if source.raw_os_error() == LINKS => 4,
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded => 3,
                _ => 1,
            },
            Error::Internal(_) => 1,
        }
    }

    /// An [`Error::Data`] about the file at `path`.
    pub fn data(path: impl AsRef<Path>, message: impl Into<String>) -> Self {
        Error::Data { path: path.as_ref().to_path_buf(), message: message.into() }
    }

    /// An [`Error::Io`] about `path`.
    pub fn io(path: impl AsRef<Path>, source: std::io::Error) -> Self {
        Error::Io { path: path.as_ref().to_path_buf(), source }
    }
}

/// Escapes `text` for a terminal: one line, with control characters (which begin escape sequences) and characters that change
/// the direction of writing written as `\u{1b}`.
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

/// Escapes a path as [`printable`] does; bytes that are not Unicode are written as `\xff`, so that different names never look
/// alike.
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
    fn control_characters_and_changes_of_direction_are_escaped() {
        assert_eq!(printable("caf\u{e9} \"a\\b\""), "caf\u{e9} \"a\\b\"");
        assert_eq!(printable("a\u{1b}[31m\nb\u{202e}\u{9b}"), r"a\u{1b}[31m\nb\u{202e}\u{9b}");
        let message = Error::data("x\u{1b}.png", "found \"\r\"").to_string();
        assert_eq!(message, r#"x\u{1b}.png: found "\r""#);
    }

    #[test]
    fn divergence_is_a_separate_kind_with_the_exit_code_of_a_failed_check() {
        let (diverged, check) = (Error::Diverged("a".into()), Error::Verification("a".into()));
        assert_eq!([diverged.exit_code(), check.exit_code()], [5, 5]);
        assert_ne!(std::mem::discriminant(&diverged), std::mem::discriminant(&check));
    }

    #[cfg(unix)]
    #[test]
    fn names_that_are_not_unicode_stay_distinct() {
        use std::os::unix::ffi::OsStrExt;
        let path = Path::new(std::ffi::OsStr::from_bytes(b"a\xff\xfe.jpg"));
        assert_eq!(printable_path(path), r"a\xff\xfe.jpg");
    }
}
