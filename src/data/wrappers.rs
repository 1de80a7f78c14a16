//! Folders that an archive puts around a data set, such as `data/data/train`, and that must not be taken for classes where
//! several lie beside each other.

use super::diagnostics::{Diagnostics, some};
use super::level::{Level, Subfolder, class_root};
use super::parts::Role;
use crate::error::{Result, printable_path};
use std::path::{Path, PathBuf};

/// What a candidate for a class holds, once the folders that are alone in theirs are followed down.
struct Candidate<'a> {
    folder: &'a Subfolder,
    level: Level,
    /// The folder with the parts of a data set and what they are called.
    parts: Option<(PathBuf, Vec<String>)>,
    /// Whether a folder holds only one of the same name, with several folders in it.
    is_doubled: bool,
}

impl<'a> Candidate<'a> {
    fn read(folder: &'a Subfolder) -> Result<Candidate<'a>> {
        let level = Level::read(&class_root(&folder.path, &[])?)?;
        let mut candidate = Candidate { folder, level, parts: None, is_doubled: false };
        candidate.is_doubled = candidate.level.folders.len() > 1 && candidate.repeats_a_name();
        candidate.parts = candidate.find_parts();
        Ok(candidate)
    }

    /// The folders that were followed down, from the one in the candidate on.
    fn way(&self) -> impl Iterator<Item = &Path> {
        let is_below = |path: &&Path| path.starts_with(&self.folder.path) && *path != self.folder.path;
        self.level.path.ancestors().take_while(is_below)
    }

    fn repeats_a_name(&self) -> bool {
        let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().to_lowercase());
        self.way().any(|path| path.parent().is_some_and(|parent| name(parent) == name(path)))
    }

    fn find_parts(&self) -> Option<(PathBuf, Vec<String>)> {
        let folders = &self.level.folders;
        let roles =
            |role: fn(&str) -> Option<Role>| folders.iter().map(|folder| folder.is(role)).collect::<Vec<_>>();
        // Folders called train and test beside each other; one word of each name is enough if all have such words.
        let are_parts = |roles: &[Option<Role>], needs_all: bool| {
            let has = |train: bool| roles.iter().flatten().any(|role| (*role == Role::Train) == train);
            let differ = roles.iter().any(|role| *role != roles[0]);
            let all = roles.iter().all(Option::is_some);
            (has(true) && has(false) && (all || !needs_all)) || (all && differ && !needs_all)
        };
        if folders.len() > 1 && (are_parts(&roles(Role::of), false) || are_parts(&roles(Role::within), true))
        {
            let names = folders.iter().map(Subfolder::text).collect();
            return Some((self.level.path.clone(), names));
        }
        // train is the only part, with classes in it.
        let is_train = |path: &&Path| {
            let name = path.file_name().unwrap_or_default();
            Role::of(&name.to_string_lossy()) == Some(Role::Train)
        };
        let train = self.way().find(is_train).filter(|_| folders.len() > 1)?;
        let name = printable_path(Path::new(train.file_name()?));
        Some((train.parent()?.to_path_buf(), vec![name]))
    }

    /// Whether what is here are only parts with images directly in them: a class may be split like that.
    fn is_split_class(&self) -> bool {
        let folders = &self.level.folders;
        folders.iter().all(|folder| folder.is(Role::within).is_some() && folder.direct && !folder.below)
    }

    /// A folder that belongs to a whole data set, such as JPEGImages, and that not all of `count` folders have.
    fn store(&self, candidates: &[Candidate], count: usize) -> Option<String> {
        let has = |candidate: &&Candidate, name: &Subfolder| {
            candidate.level.folders.iter().any(|folder| folder.name == name.name)
        };
        let is_own =
            |folder: &&Subfolder| candidates.iter().filter(|other| has(other, folder)).count() < count;
        self.level.folders.iter().filter(|folder| folder.is_store()).find(is_own).map(Subfolder::text)
    }
}

impl Level {
    /// An error if the folders are those around data sets, and not classes; a warning if some may be.
    pub(super) fn check_wrappers(&self, diagnostics: &mut Diagnostics) -> Result<()> {
        if self.folders.len() < 2 {
            return Ok(());
        }
        let deep = self.folders.iter().filter(|folder| !folder.direct);
        let candidates = deep.map(Candidate::read).collect::<Result<Vec<_>>>()?;
        let are_split_classes =
            candidates.len() == self.folders.len() && candidates.iter().all(Candidate::is_split_class);
        let found = Level::names(&self.folders.iter().collect::<Vec<_>>());
        let with_parts = candidates.iter().find_map(|candidate| candidate.parts.as_ref());
        if let (Some((path, parts)), false) = (with_parts, are_split_classes) {
            return Err(self.wrong(format!(
                "expected a folder of images for each class, found {found}, and the parts of a data set ({}) in {}; name the \
                 folder with the data set, such as --data-path {}",
                some(parts),
                printable_path(path),
                printable_path(path)
            )));
        }
        let is_half = |count: usize| count * 2 >= self.folders.len();
        let stores = candidates
            .iter()
            .filter_map(|candidate| Some((candidate, candidate.store(&candidates, self.folders.len())?)));
        let stores: Vec<_> = stores.collect();
        if let Some((first, store)) = stores.first() {
            let path = printable_path(&first.level.path);
            if is_half(stores.len()) {
                return Err(self.wrong(format!(
                    "expected a folder of images for each class, found {found}, but {path} holds {store}, which is no \
                     class; sort the images into folders named for their classes"
                )));
            }
            diagnostics.warn(format!(
                "{} counts as a class, but {path} holds {store}, as a data set does",
                first.folder.text()
            ));
        }
        let doubled: Vec<_> = candidates.iter().filter(|candidate| candidate.is_doubled).collect();
        if let Some(first) = doubled.first() {
            let path = printable_path(&first.level.path);
            let inner = Level::names(&first.level.folders.iter().collect::<Vec<_>>());
            if is_half(doubled.len()) {
                return Err(self.wrong(format!(
                    "expected a folder of images for each class, found {found}, which are folders around others ({path} \
                     holds {inner}); name the folder with the classes, such as --data-path {path}"
                )));
            }
            diagnostics.warn(format!(
                "{} counts as a class, but {path} holds {inner}; if those are the classes, name their folder with --data-path \
                 {path}",
                first.folder.text()
            ));
        }
        Ok(())
    }
}
