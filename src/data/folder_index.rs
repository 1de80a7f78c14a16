//! The files of folders, by names that may lack the ending: `000bec` finds `000bec.jpg`. Each folder is read once.

use super::directory::{EntryKind, entries, is_image};
use crate::error::Result;
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// What a name stands for in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Match {
    None,
    File(OsString),
    /// Two of the images that the name without an ending may mean.
    Several([OsString; 2]),
}

/// Folders that were read, each with the names of its files in the order of their bytes.
#[derive(Debug, Default)]
pub(super) struct FolderIndex {
    folders: HashMap<PathBuf, Vec<OsString>>,
}

impl FolderIndex {
    /// The names of the files in `folder`; none if there is no such folder.
    pub fn files(&mut self, folder: &Path) -> Result<&[OsString]> {
        if !self.folders.contains_key(folder) {
            let names = match folder.is_dir() || folder.as_os_str().is_empty() {
                true => {
                    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
                    let files = entries(folder)?.into_iter().filter(|(_, kind)| *kind == EntryKind::Other);
                    files.map(|(name, _)| name).collect()
                }
                false => Vec::new(),
            };
            self.folders.insert(folder.to_path_buf(), names);
        }
        Ok(self.folders.get(folder).map_or(&[], Vec::as_slice))
    }

    /// The file of `folder` called `name`, or the image called so but for its ending.
    pub fn find(&mut self, folder: &Path, name: &OsStr) -> Result<Match> {
        let files = self.files(folder)?;
        let start = files.partition_point(|file| file.as_encoded_bytes() < name.as_encoded_bytes());
        if files.get(start).is_some_and(|file| file == name) {
            return Ok(Match::File(name.to_os_string()));
        }
        if is_image(name) {
            return Ok(Match::None);
        }
        // Those that begin as the name does lie side by side.
        let rest = files[start..].iter();
        let mut images = rest
            .take_while(|file| file.as_encoded_bytes().starts_with(name.as_encoded_bytes()))
            .filter(|file| is_image(file) && Path::new(file).file_stem() == Some(name));
        Ok(match (images.next(), images.next()) {
            (None, _) => Match::None,
            (Some(file), None) => Match::File(file.clone()),
            (Some(file), Some(other)) => Match::Several([file.clone(), other.clone()]),
        })
    }
}
