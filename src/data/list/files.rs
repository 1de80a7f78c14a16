//! Where the image files of a list are: in its folder, in the folders beside it, or in the one that a request names.

use super::super::delimited::wrong;
use super::super::directory::{EntryKind, entries};
use super::super::folder_index::{FolderIndex, Match};
use super::super::level::is_stray;
use super::super::parts::Role;
use super::start::role;
use crate::error::{Error, Result, printable_path};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

/// Longest name of a file with its folders, in bytes.
const LONGEST: usize = 2048;

/// Finds the files of a list.
pub(super) struct Files<'a> {
    list: &'a Path,
    /// Where names are looked for first.
    home: PathBuf,
    /// The folders beside the list, each with the part of the data that its name says.
    beside: Vec<(PathBuf, Option<Role>)>,
    index: FolderIndex,
    /// The folder of the list, and `home` as it is called and as the system has it, as absolute paths.
    own: PathBuf,
    homes: Vec<PathBuf>,
    /// The folders of `beside` that have files of the list.
    pub used: BTreeSet<PathBuf>,
}

/// A file that a row names.
pub(super) struct Named {
    pub folder: PathBuf,
    pub name: OsString,
    pub is_there: bool,
}

/// `path` without `.` and `..`; `None` if it leaves the folder that it is relative to.
fn straight(path: &Path) -> Option<PathBuf> {
    let mut straight = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if straight.pop() || straight.has_root() => {}
            Component::ParentDir => return None,
            other => straight.push(other),
        }
    }
    Some(straight)
}

/// Whether `path` has only names, no root and no drive.
fn is_plain(path: &Path) -> bool {
    path.components().all(|component| matches!(component, Component::Normal(_)))
}

impl<'a> Files<'a> {
    /// For the list `list`; with `root`, its names are relative to that folder.
    pub fn new(list: &'a Path, root: Option<&Path>) -> Result<Files<'a>> {
        let stem = list.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let named = role(&stem);
        let mut files = Files {
            list,
            home: PathBuf::new(),
            beside: Vec::new(),
            own: PathBuf::new(),
            homes: Vec::new(),
            index: FolderIndex::default(),
            used: BTreeSet::new(),
        };
        if let Some(root) = root {
            if !root.is_dir() {
                return Err(Error::data(
                    root,
                    "expected the folder of the image files, found no such folder",
                ));
            }
            files.home = root.to_path_buf();
        } else {
            files.home = list.parent().unwrap_or(Path::new("")).to_path_buf();
        }
        let home = files.shown_home();
        // Only names that are absolute or have `..` need them: where the system does not tell, those are refused.
        let whole = |path: &Path| straight(&std::path::absolute(path).ok()?);
        let own = whole(list).and_then(|list| list.parent().map(Path::to_path_buf)).unwrap_or_default();
        let homes = [whole(home), home.canonicalize().ok()].into_iter().flatten().collect();
        if root.is_some() {
            return Ok(Files { own, homes, ..files });
        }
        for (name, kind) in entries(home)? {
            if kind == EntryKind::Folder && !is_stray(&name) {
                files.beside.push((files.home.join(&name), role(&name.to_string_lossy())));
            }
        }
        // A name that is missing among the training images must not be found among those of another part.
        let is_own = files.beside.iter().any(|(_, role)| *role == Some(named.unwrap_or(Role::Train)));
        let is_other = |role: Role| match named {
            Some(part) => role != part,
            None => [Role::Test, Role::Unlabelled].contains(&role),
        };
        files.beside.retain(|(_, role)| !(is_own && role.is_some_and(is_other)));
        Ok(Files { own, homes, ..files })
    }

    fn shown_home(&self) -> &Path {
        if self.home.as_os_str().is_empty() { Path::new(".") } else { &self.home }
    }

    /// The path in `home` of the file called `name`; `None` if it is outside. Names that are absolute or leave the folder that
    /// they are relative to are those of files seen from the list.
    fn inside(&self, name: &Path) -> Option<PathBuf> {
        if let Some(inner) = straight(name).filter(|inner| is_plain(inner)) {
            return Some(inner);
        }
        let whole = straight(&self.own.join(name))?;
        let inner = self.homes.iter().find_map(|home| whole.strip_prefix(home).ok())?;
        inner.file_name().is_some().then(|| inner.to_path_buf())
    }

    /// Whether `name` is that of a file, or of images but for their endings.
    pub fn exists(&mut self, name: &str) -> bool {
        // An error about a name that stands for several files comes with the line of its row.
        Path::new(name).file_name().is_some() && self.find(name, 0).map_or(true, |named| named.is_there)
    }

    /// The file that line `line` calls `name`.
    ///
    /// Errors: a name that is none, or that stands for several files.
    pub fn find(&mut self, name: &str, line: u64) -> Result<Named> {
        if name.len() > LONGEST {
            let what = format!("expected the name of an image file, found {} bytes", name.len());
            return Err(wrong(self.list, line, what));
        }
        let found = self.look(Path::new(name), line)?;
        // Programs for Windows write names so.
        if !found.is_there && name.contains('\\') {
            let other = self.look(Path::new(&name.replace('\\', "/")), line)?;
            if other.is_there {
                return Ok(other);
            }
        }
        Ok(found)
    }

    fn look(&mut self, name: &Path, line: u64) -> Result<Named> {
        let fault = |list: &Path, what: String| wrong(list, line, what);
        if name.file_name().is_none() {
            let what = format!("expected the name of an image file, found \"{}\"", printable_path(name));
            return Err(fault(self.list, what));
        }
        let inside = self.inside(name);
        let Some((inside, file)) = inside.as_deref().and_then(|path| Some((path, path.file_name()?))) else {
            let what = format!(
                "expected the name of a file in {}, found \"{}\"; --image-root names a folder that has it, such as / for \
                 absolute names",
                printable_path(self.shown_home()),
                printable_path(name)
            );
            return Err(fault(self.list, what));
        };
        let inner = inside.parent().unwrap_or(Path::new(""));
        let mut hits: Vec<(usize, Named)> = Vec::new();
        // The folder of the list first; a name in it means no other.
        for (place, root) in
            std::iter::once(&self.home).chain(self.beside.iter().map(|(path, _)| path)).enumerate()
        {
            let folder = if inner.as_os_str().is_empty() { root.clone() } else { root.join(inner) };
            match self.index.find(&folder, file)? {
                Match::None => {}
                Match::File(name) => {
                    hits.push((place, Named { folder, name, is_there: true }));
                    if place == 0 {
                        break;
                    }
                }
                Match::Several([one, other]) => {
                    return Err(fault(
                        self.list,
                        format!(
                            "expected one image called \"{}\", found {} and {}",
                            printable_path(name),
                            printable_path(&folder.join(one)),
                            printable_path(&folder.join(other))
                        ),
                    ));
                }
            }
        }
        match &hits[..] {
            [(_, one), (_, other), ..] => {
                let what = format!(
                    "expected one image called \"{}\", found {} and {}; --image-root names the folder of the images",
                    printable_path(name),
                    printable_path(&one.folder.join(&one.name)),
                    printable_path(&other.folder.join(&other.name))
                );
                Err(fault(self.list, what))
            }
            [_] => {
                let (place, named) = hits.swap_remove(0);
                if let Some((folder, _)) = place.checked_sub(1).and_then(|place| self.beside.get(place)) {
                    self.used.insert(folder.clone());
                }
                Ok(named)
            }
            [] => {
                let folder =
                    if inner.as_os_str().is_empty() { self.home.clone() } else { self.home.join(inner) };
                Ok(Named { folder, name: file.to_os_string(), is_there: false })
            }
        }
    }
}
