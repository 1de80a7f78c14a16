//! What the entries of a folder are: class folders, image files, hidden files.

use crate::error::{Error, Result};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

/// What the names of images end with. It is what they begin with that says what they are.
const EXTENSIONS: [&str; 11] =
    ["jpg", "jpeg", "jpe", "jfif", "png", "tif", "tiff", "bmp", "dib", "webp", "gif"];

/// Folders within each other below a class.
pub(super) const MAX_DEPTH: usize = 32;

/// Layouts, for the errors.
pub(super) const LAYOUT: &str =
    "train/<class>/<image>.jpg or <class>/<image>.jpg (jpg, png, tif, bmp, webp or gif)";

#[derive(Clone, Copy, PartialEq)]
pub(super) enum EntryKind {
    Folder,
    /// A file, or anything else, such as a link to nothing.
    Other,
}

/// What is in `folder`, in the order of the names' bytes.
pub(super) fn entries(folder: &Path) -> Result<Vec<(OsString, EntryKind)>> {
    let wrong = |error| Error::io(folder, error);
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder).map_err(wrong)? {
        let entry = entry.map_err(wrong)?;
        let kind = entry.file_type().map_err(wrong)?;
        // Only links cost another question.
        let is_folder = kind.is_dir() || (kind.is_symlink() && entry.path().is_dir());
        entries.push((entry.file_name(), if is_folder { EntryKind::Folder } else { EntryKind::Other }));
    }
    entries.sort_unstable_by(|(a, _), (b, _)| a.as_encoded_bytes().cmp(b.as_encoded_bytes()));
    Ok(entries)
}

pub(super) fn hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

pub(super) fn is_image(name: &OsStr) -> bool {
    let extension = Path::new(name).extension().unwrap_or_default();
    EXTENSIONS.iter().any(|known| extension.eq_ignore_ascii_case(known))
}

/// The one path that all links to `folder` lead to.
pub(super) fn canonical(folder: &Path) -> Result<PathBuf> {
    folder.canonicalize().map_err(|error| Error::io(folder, error))
}
