//! Checks of output files before the work begins: an output must not overwrite an input or another output, and it must be
//! writable.

use crate::data::{self, Kind};
use crate::error::{Error, Result, printable_path};
use std::fs;
use std::path::{Path, PathBuf};

/// Extensions that name a format.
const FORMATS: [&str; 27] = [
    "png",
    "jpg",
    "jpeg",
    "gif",
    "webp",
    "bmp",
    "tif",
    "tiff",
    "svg",
    "pdf",
    "eps",
    "html",
    "csv",
    "tsv",
    "json",
    "jsonl",
    "xlsx",
    "txt",
    "md",
    "toml",
    "safetensors",
    "npz",
    "npy",
    "onnx",
    "pth",
    "pt",
    "parquet",
];

/// The files that a verb reads, and the outputs checked so far.
#[derive(Debug, Default)]
pub(crate) struct Outputs {
    read: Vec<PathBuf>,
    /// A folder that no output may be in.
    closed: Option<PathBuf>,
    /// Lists of image files.
    lists: Vec<PathBuf>,
    written: Vec<PathBuf>,
}

impl Outputs {
    /// Starts without inputs and outputs.
    pub fn new() -> Outputs {
        Outputs::default()
    }

    /// Adds a model or weights file as an input. Names of built-in networks are ignored.
    pub fn reads(mut self, path: Option<impl AsRef<Path>>) -> Outputs {
        self.read.extend(path.and_then(|path| path.as_ref().canonicalize().ok()));
        self
    }

    /// Adds the data set that `path` and `kind` name as an input. A missing one is ignored here; opening it fails later.
    pub fn reads_data(self, path: Option<&str>, kind: Kind) -> Outputs {
        let Ok(place) = data::find(path, kind) else { return self };
        let mut outputs = self;
        if place.kind == Kind::List && place.path.is_file() {
            outputs.lists.push(place.path.clone());
        }
        outputs.reads(Some(place.path).filter(|path| !path.as_os_str().is_empty()))
    }

    /// Like [`Outputs::reads_data`], but no output may be in a folder of images.
    pub fn packs(mut self, path: Option<&str>, kind: Kind) -> Outputs {
        let has_images = |kind: Kind| [Kind::ImageFolder, Kind::List].contains(&kind);
        let place = data::find(path, kind).ok().filter(|place| has_images(place.kind) && place.path.is_dir());
        self.closed = place.and_then(|place| place.path.canonicalize().ok());
        self.reads_data(path, kind)
    }

    /// As [`Outputs::check`], and an error if the name ends as files of another format than `formats` do.
    pub fn check_as(&mut self, flag: &str, output: &Path, formats: &[&str]) -> Result<()> {
        self.check(flag, output)?;
        let extension = output.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        if FORMATS.contains(&&*extension) && !formats.contains(&&*extension) {
            let (expected, path) = (formats.join(" or ."), printable_path(output));
            return Err(Error::Usage(format!(
                "{flag} {path}: expected a name that ends in .{expected}, found .{extension}"
            )));
        }
        Ok(())
    }

    /// Returns an error if `output`, the value of `flag`, is an input or another output, or if it cannot be written.
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
            return impossible("expected a name in an existing folder, found no such folder");
        };
        let place = output.canonicalize().unwrap_or_else(|_| home.join(name));
        for read in &self.read {
            let what = "a file other than the input";
            if place == *read {
                return Err(wrong(what, &printable_path(read)));
            }
            if place.starts_with(read) && (output.exists() || has_image_extension(&place)) {
                return Err(wrong(what, &format!("a file in the data {}", printable_path(read))));
            }
        }
        if output.exists() && has_image_extension(&place) {
            let listed = self.lists.iter().find(|list| names(list, output));
            if let Some(list) = listed {
                return Err(wrong(
                    "a file other than the input",
                    &format!("an image of {}", printable_path(list)),
                ));
            }
        }
        if let Some(closed) = self.closed.as_ref().filter(|closed| place.starts_with(closed)) {
            return Err(wrong("a file outside the input folder", &printable_path(closed)));
        }
        if self.written.contains(&place) {
            return Err(wrong("a different file for each output", "the same name twice"));
        }
        self.written.push(place);
        Ok(())
    }
}

/// Whether a list may name the file `output`: its name without the ending stands in it.
fn names(list: &Path, output: &Path) -> bool {
    let stem = output.file_stem().unwrap_or_default().as_encoded_bytes();
    fs::read(list).is_ok_and(|text| !stem.is_empty() && text.windows(stem.len()).any(|part| part == stem))
}

/// True if a new file at `path` would become a sample of a folder of images.
fn has_image_extension(path: &Path) -> bool {
    path.extension().is_some_and(|extension| {
        ["png", "jpg", "jpeg", "jpe", "jfif", "tif", "tiff", "bmp", "dib", "webp", "gif"]
            .iter()
            .any(|known| extension.eq_ignore_ascii_case(known))
    })
}
