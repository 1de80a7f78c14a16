//! What a folder holds: folders with images in them or below, images, tables.

use super::diagnostics::some;
use super::directory::{EntryKind, MAX_DEPTH, canonical, entries, hidden, is_image};
use super::parts::Role;
use crate::error::{Error, Result, printable_path};
use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// Folders that systems and programs leave behind.
const STRAY: [&str; 6] =
    ["__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "lost+found", "__pycache__"];

/// Names of folders that hold all images of a data set, or what belongs to them, and are not classes.
const CONTAINERS: [&str; 15] = [
    "images",
    "image",
    "imgs",
    "img",
    "jpegimages",
    "annotations",
    "annotation",
    "trimaps",
    "segmentations",
    "segmentationclass",
    "segmentationobject",
    "groundtruth",
    "jpg",
    "jpeg",
    "png",
];

/// Those of them that the folder of one class may hold too.
const PLAIN: [&str; 7] = ["images", "image", "imgs", "img", "jpg", "jpeg", "png"];

/// A folder in a folder.
#[derive(Debug)]
pub(super) struct Subfolder {
    pub name: OsString,
    pub path: PathBuf,
    /// Whether it holds images itself.
    pub direct: bool,
    /// Whether a folder in it holds some, at any depth. Only looked for where it matters: without images directly in it, or in a
    /// part of the data set.
    pub below: bool,
}

impl Subfolder {
    pub fn text(&self) -> String {
        printable_path(Path::new(&self.name))
    }

    pub fn is(&self, role: fn(&str) -> Option<Role>) -> Option<Role> {
        role(&self.name.to_string_lossy())
    }

    pub fn is_container(&self) -> bool {
        CONTAINERS.iter().any(|known| self.name.eq_ignore_ascii_case(known))
    }

    /// Whether it is a container that only a whole data set has: a class may keep its images in a folder called images.
    pub fn is_store(&self) -> bool {
        self.is_container() && !PLAIN.iter().any(|known| self.name.eq_ignore_ascii_case(known))
    }
}

/// What a folder holds.
pub(super) struct Level {
    pub path: PathBuf,
    /// Folders with images in them or below.
    pub folders: Vec<Subfolder>,
    /// Images directly in it.
    pub images: usize,
    /// Tables directly in it.
    pub tables: Vec<String>,
}

impl Level {
    pub fn read(path: &Path) -> Result<Level> {
        let mut level =
            Level { path: path.to_path_buf(), folders: Vec::new(), images: 0, tables: Vec::new() };
        for (name, kind) in entries(path)? {
            if kind != EntryKind::Folder {
                let extension = Path::new(&name).extension().unwrap_or_default();
                level.images += usize::from(!hidden(&name) && is_image(&name));
                if !hidden(&name)
                    && ["csv", "tsv", "txt", "json"].iter().any(|e| extension.eq_ignore_ascii_case(e))
                {
                    level.tables.push(printable_path(Path::new(&name)));
                }
            } else if !is_stray(&name) {
                let whole = Role::within(&name.to_string_lossy()).is_some();
                let path = path.join(&name);
                let [direct, below] = Peek::new(&level.path)?.folder(&path, whole, 0)?;
                if direct || below {
                    level.folders.push(Subfolder { name, path, direct, below });
                }
            }
        }
        Ok(level)
    }

    pub fn wrong(&self, what: String) -> Error {
        Error::data(&self.path, what)
    }

    pub fn names(folders: &[&Subfolder]) -> String {
        some(&folders.iter().map(|folder| folder.text()).collect::<Vec<_>>())
    }
}

/// The folder in `folder` that holds class folders: itself, or the only one with images in it, and so on. A folder called
/// as one of the classes `known` is a class.
pub(super) fn class_root(folder: &Path, known: &[OsString]) -> Result<PathBuf> {
    let mut at = folder.to_path_buf();
    for _ in 0..=MAX_DEPTH {
        let level = Level::read(&at)?;
        match &level.folders[..] {
            [only] if !only.direct && !known.contains(&only.name) => at = only.path.clone(),
            _ => return Ok(at),
        }
    }
    Err(too_deep(folder))
}

/// The names of the folders with images in `folder`.
pub(super) fn folder_names(folder: &Path) -> Result<Vec<String>> {
    Ok(Level::read(folder)?.folders.iter().map(Subfolder::text).collect())
}

pub(super) fn is_stray(name: &OsStr) -> bool {
    hidden(name) || STRAY.iter().any(|stray| name == *stray)
}

pub(super) fn too_deep(root: &Path) -> Error {
    Error::data(root, format!("expected at most {MAX_DEPTH} folders within each other"))
}

/// Looks for the first image.
struct Peek {
    /// The folder that is searched; a link that leads to it or above is no way down.
    home: PathBuf,
    seen: HashSet<PathBuf>,
}

impl Peek {
    fn new(home: &Path) -> Result<Peek> {
        Ok(Peek { home: canonical(home)?, seen: HashSet::new() })
    }

    /// Whether `folder` holds images itself, and whether a folder in it does. The second is only looked for if the first is
    /// not so, or if `whole`.
    fn folder(&mut self, folder: &Path, whole: bool, depth: usize) -> Result<[bool; 2]> {
        let here = canonical(folder)?;
        if depth > MAX_DEPTH {
            return Err(too_deep(folder));
        }
        if self.home.starts_with(&here) || !self.seen.insert(here) {
            return Ok([false; 2]);
        }
        let wrong = |error| Error::io(folder, error);
        let (mut direct, mut inner) = (false, Vec::new());
        for entry in std::fs::read_dir(folder).map_err(wrong)? {
            let entry = entry.map_err(wrong)?;
            let name = entry.file_name();
            if hidden(&name) {
                continue;
            }
            if is_image(&name) {
                direct = true;
                if !whole {
                    return Ok([true, false]);
                }
                continue;
            }
            let kind = entry.file_type().map_err(wrong)?;
            if !is_stray(&name) && (kind.is_dir() || (kind.is_symlink() && entry.path().is_dir())) {
                inner.push(entry.path());
            }
        }
        inner.sort_unstable();
        for path in inner {
            if self.folder(&path, false, depth + 1)? != [false; 2] {
                return Ok([direct, true]);
            }
        }
        Ok([direct, false])
    }
}
