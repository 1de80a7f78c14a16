//! Output files are checked before the work begins: none takes the place of a file that is read or of another output,
//! and each can be written once the work is done.

use crate::data::{self, Kind};
use crate::error::{Error, Result, printable_path};
use std::fs;
use std::path::{Path, PathBuf};

/// What a verb reads, and the outputs checked so far.
#[derive(Debug, Default)]
pub(crate) struct Outputs {
    read: Vec<PathBuf>,
    /// A folder in which nothing may be written.
    closed: Option<PathBuf>,
    written: Vec<PathBuf>,
}

impl Outputs {
    /// Nothing is read yet.
    pub fn new() -> Outputs {
        Outputs::default()
    }

    /// A model file or weights; the name of a built-in network is no file.
    pub fn reads(mut self, path: Option<impl AsRef<Path>>) -> Outputs {
        self.read.extend(path.and_then(|path| path.as_ref().canonicalize().ok()));
        self
    }

    /// The data set that `path` and `kind` name. One that cannot be found is an error for whoever opens it.
    pub fn reads_data(self, path: Option<&str>, kind: Kind) -> Outputs {
        let place = data::find(path, kind).ok().map(|place| place.path);
        self.reads(place.filter(|path| !path.as_os_str().is_empty()))
    }

    /// As [`Outputs::reads_data`]; in a folder of pictures nothing may be written.
    pub fn packs(mut self, path: Option<&str>, kind: Kind) -> Outputs {
        let place = data::find(path, kind).ok().filter(|place| place.kind == Kind::ImageFolder);
        self.closed = place.and_then(|place| place.path.canonicalize().ok());
        self.reads_data(path, kind)
    }

    /// An error if `output`, given with `flag`, is a file that is read or written already, or cannot be written.
    pub fn check(&mut self, flag: &str, output: &Path) -> Result<()> {
        let wrong = |expected: &str, found: &str| {
            Error::Usage(format!("{flag} {}: expected {expected}, found {found}", printable_path(output)))
        };
        let impossible = |what: &str| Err(Error::data(output, what));
        let is_folder = output.as_os_str().as_encoded_bytes().ends_with(b"/") || output.is_dir();
        let Some(name) = output.file_name().filter(|_| !is_folder) else {
            return impossible("expected the name of a file, found a folder");
        };
        if fs::metadata(output).is_ok_and(|found| !found.is_file()) {
            return impossible("expected the name of a file, found a device or pipe");
        }
        let folder = match output.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let Some(home) = folder.canonicalize().ok().filter(|home| home.is_dir()) else {
            return impossible("expected a name in a folder that exists, found no such folder");
        };
        let place = output.canonicalize().unwrap_or_else(|_| home.join(name));
        for read in &self.read {
            let what = "another file than the one that is read";
            if place == *read {
                return Err(wrong(what, &printable_path(read)));
            }
            if place.starts_with(read) && (output.exists() || looks_like_picture(&place)) {
                return Err(wrong(what, &format!("one in the data {}", printable_path(read))));
            }
        }
        if let Some(closed) = self.closed.as_ref().filter(|closed| place.starts_with(closed)) {
            return Err(wrong("a file outside the folder that is read", &printable_path(closed)));
        }
        if self.written.contains(&place) {
            return Err(wrong("another file than each other output", "one name for two"));
        }
        self.written.push(place);
        Ok(())
    }
}

/// Whether a new file at `path` would count as one more sample of a folder of pictures.
fn looks_like_picture(path: &Path) -> bool {
    path.extension().is_some_and(|extension| {
        ["png", "jpg", "jpeg", "jpe", "jfif"].iter().any(|known| extension.eq_ignore_ascii_case(known))
    })
}
