//! Where in a folder the class folders are: which folders are the training and validation part, what is only a folder around
//! them, and what only looks like classes.

use super::annotations::LabelSource;
use super::diagnostics::{Diagnostics, ExtensionCounts, some};
use super::directory::{EntryKind, LAYOUT, MAX_DEPTH, entries, hidden, is_image};
use super::level::{Level, Subfolder, class_root, folder_names, too_deep};
use super::parts::{Role, words};
use crate::error::{Error, Result, printable_path};
use std::collections::{BTreeMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// Names of the validation part, the preferred first.
const VALIDATION: [&str; 4] = ["val", "valid", "validation", "test"];

/// Words in the names of folders that a set of images was only cut up into.
const PIECES: [&str; 12] = [
    "part", "parts", "batch", "batches", "fold", "folds", "shard", "shards", "chunk", "chunks", "image",
    "images",
];

/// The folders that hold the class folders of each part.
#[derive(Debug)]
pub(super) struct FolderLayout {
    /// Where the parts lie, or the classes if there are no parts.
    pub base: PathBuf,
    pub train: PathBuf,
    pub val: Option<ValidationPart>,
    /// Whether there is a folder of the training part.
    pub is_split: bool,
}

/// The validation part.
#[derive(Debug)]
pub(super) enum ValidationPart {
    /// The folder that holds the class folders.
    Classes(PathBuf),
    /// Images in one folder whose labels are in a file.
    Labelled(LabelSource),
}

impl Level {
    /// The parts of the data set, if the folders are such.
    fn parts(&self, or_lone: bool, diagnostics: &mut Diagnostics) -> Result<Option<FolderLayout>> {
        let by = |role: fn(&str) -> Option<Role>| {
            self.folders.iter().map(|folder| (folder.is(role), folder)).collect::<Vec<_>>()
        };
        let all = |roles: &[(Option<Role>, &Subfolder)]| {
            !roles.is_empty() && roles.iter().all(|(role, _)| role.is_some())
        };
        let within = by(Role::within);
        // One word of a name is enough where all folders have such words, of more than one part: steam_train and
        // bullet_train are classes.
        let has = |train: bool| within.iter().any(|(role, _)| (*role == Some(Role::Train)) == train);
        let roles = if all(&within) && has(true) && has(false) { within } else { by(Role::of) };
        let are_all = all(&roles);
        let of = |wanted: Role| {
            roles.iter().filter(move |(role, _)| *role == Some(wanted)).map(|(_, folder)| *folder)
        };
        let trains: Vec<&Subfolder> = of(Role::Train).filter(|folder| folder.below).collect();
        match trains[..] {
            [] if are_all => match self.lone(&roles, diagnostics)?.filter(|_| or_lone) {
                None => Err(self.no_train(&roles)),
                lone => Ok(lone),
            },
            [] => Ok(None),
            [train] => self.split(train, roles, diagnostics).map(Some),
            _ => Err(self.wrong(format!(
                "expected one folder of training images, found {}; name the right one with --data-path",
                Level::names(&trains)
            ))),
        }
    }

    /// Why folders that are called parts of a data set are none.
    fn no_train(&self, roles: &[(Option<Role>, &Subfolder)]) -> Error {
        let flat: Vec<&Subfolder> =
            roles.iter().map(|(_, folder)| *folder).filter(|folder| folder.direct).collect();
        if flat.is_empty()
            || !roles.iter().any(|(role, _)| *role == Some(Role::Train)) && flat.len() < roles.len()
        {
            let found = Level::names(&roles.iter().map(|(_, folder)| *folder).collect::<Vec<_>>());
            return self.wrong(format!(
                "expected train beside {found}: {LAYOUT}, found none; to take a part as the whole, name it with --data-path"
            ));
        }
        self.flat(&flat)
    }

    /// The only part, if it is a validation or test part with class folders: without training samples it is the whole.
    fn lone(
        &self,
        roles: &[(Option<Role>, &Subfolder)],
        diagnostics: &mut Diagnostics,
    ) -> Result<Option<FolderLayout>> {
        let [(Some(Role::Validation | Role::Test), only)] = roles else { return Ok(None) };
        let root = class_root(&only.path, &[])?;
        let level = Level::read(&root)?;
        if level.folders.is_empty() || level.is_again(only) {
            return Ok(None);
        }
        let mut found = Diagnostics::default();
        if level.check_classes(&mut found).is_err() {
            return Ok(None);
        }
        diagnostics.lines.append(&mut found.lines);
        let at = printable_path(&self.path);
        diagnostics.add(format!("there is no train in {at}; {} is taken as the whole", only.text()));
        Ok(Some(FolderLayout { base: self.path.clone(), train: root, val: None, is_split: true }))
    }

    /// Whether there is only one folder, of images, called as `part` around it or as a part too: it is not a class.
    fn is_again(&self, part: &Subfolder) -> bool {
        let is_same = |only: &Subfolder| lower(&only.name) == lower(&part.name);
        let [only] = &self.folders[..] else { return false };
        only.direct && (is_same(only) || only.is(Role::within).is_some())
    }

    /// The error for parts that hold images, but no folders for the classes.
    fn flat(&self, parts: &[&Subfolder]) -> Error {
        let tables = match self.tables.is_empty() {
            true => String::new(),
            false => format!(" (beside {})", some(&self.tables)),
        };
        self.wrong(format!(
            "expected a folder of images for each class: {LAYOUT}, found images directly in {}{tables}; sort them into \
             folders named for their classes, or name a list of file names and labels with --data-path",
            Level::names(parts)
        ))
    }

    /// The parts, of which `train` is one.
    fn split(
        &self,
        train: &Subfolder,
        roles: Vec<(Option<Role>, &Subfolder)>,
        diagnostics: &mut Diagnostics,
    ) -> Result<FolderLayout> {
        let train_root = class_root(&train.path, &[])?;
        let train_level = Level::read(&train_root)?;
        if train_level.is_again(train) {
            return Err(self.flat(&[train]));
        }
        let names: Vec<OsString> = train_level.folders.iter().map(|folder| folder.name.clone()).collect();
        let mut candidates: Vec<(Role, &Subfolder)> = roles
            .iter()
            .filter_map(|(role, folder)| Some(((*role)?, *folder)))
            .filter(|(role, _)| [Role::Validation, Role::Test].contains(role))
            .collect();
        let preference = |(role, folder): &(Role, &Subfolder)| {
            let known = VALIDATION.iter().position(|name| folder.name.eq_ignore_ascii_case(name));
            (*role == Role::Test, known.unwrap_or(VALIDATION.len()))
        };
        candidates.sort_by_key(preference);
        let mut val: Option<(&Subfolder, ValidationPart)> = None;
        for (role, folder) in candidates {
            if let Some((chosen, _)) = &val {
                diagnostics.add(format!(
                    "{} is left alone: the validation images are those of {}",
                    folder.text(),
                    chosen.text()
                ));
                continue;
            }
            let root = class_root(&folder.path, &names)?;
            let level = Level::read(&root)?;
            let is_class = |inner: &Subfolder| {
                names.contains(&inner.name) || !(inner.is_container() || level.is_again(folder))
            };
            if level.folders.iter().any(is_class) {
                val = Some((folder, ValidationPart::Classes(root)));
            } else if let Some(source) = LabelSource::find(&self.path, &folder.path, role)? {
                val = Some((folder, ValidationPart::Labelled(source)));
            } else {
                diagnostics
                    .warn(format!("{} is left alone: it holds images, but no class folders", folder.text()));
            }
        }
        let parts = [Some(Role::Validation), Some(Role::Test)];
        let is_other =
            |(role, folder): &&(Option<Role>, &Subfolder)| !parts.contains(role) && folder.path != train.path;
        for (_, folder) in roles.iter().filter(is_other) {
            diagnostics.warn(format!(
                "{} is left alone: it lies beside {} and is no part of the data set",
                folder.text(),
                train.text()
            ));
        }
        train_level.check_classes(diagnostics)?;
        let val = val.map(|(_, part)| part);
        Ok(FolderLayout { base: self.path.clone(), train: train_root, val, is_split: true })
    }

    /// An error if the folders cannot be classes, with what to do; diagnostics about what lies beside them.
    fn check_classes(&self, diagnostics: &mut Diagnostics) -> Result<()> {
        if self.folders.is_empty() {
            let found = match (self.images, self.tables.is_empty()) {
                (0, _) => match ExtensionCounts::below(&self.path).words() {
                    words if words.is_empty() => "found none".into(),
                    words => format!("found none, but {words}"),
                },
                (count, is_alone) => {
                    let images = if count == 1 { "image" } else { "images" };
                    let beside = match is_alone {
                        true => String::new(),
                        false => format!(" (beside {})", some(&self.tables)),
                    };
                    return Err(self.wrong(format!(
                        "found {count} {images} and no class folders{beside}; sort the images into folders named for their \
                         classes ({}/<class>/<image>.jpg), or name a list of file names and labels (.csv) instead of the folder",
                        printable_path(&self.path)
                    )));
                }
            };
            return Err(self.wrong(format!("expected images: {LAYOUT}, {found}")));
        }
        let folders: Vec<&Subfolder> = self.folders.iter().collect();
        if let Some(container) = folders.iter().find(|folder| folder.is_container()) {
            return Err(self.wrong(format!(
                "expected a folder of images for each class: {LAYOUT}, found {}, of which {:?} is no class; sort the images \
                 into folders named for their classes",
                Level::names(&folders),
                container.text()
            )));
        }
        self.check_copies(diagnostics)?;
        self.check_wrappers(diagnostics)?;
        let stem =
            |folder: &Subfolder| folder.text().trim_end_matches(|c: char| c.is_ascii_digit()).to_string();
        let first = stem(&self.folders[0]);
        let are_numbered =
            folders.len() > 1 && !first.is_empty() && folders.iter().all(|folder| stem(folder) == first);
        let are_pieces = are_numbered && words(&first).iter().any(|word| PIECES.contains(&word.as_str()));
        if are_numbered && (are_pieces || !self.tables.is_empty()) {
            let labels = match self.tables.is_empty() {
                true => "elsewhere".to_string(),
                false => format!("in {} beside them", some(&self.tables)),
            };
            diagnostics.warn(format!(
                "the classes {} are named as parts of one set are; if their labels are {labels}, sort the images into folders \
                 named for their classes, or name a list of them with --data-path",
                Level::names(&folders)
            ));
        }
        if self.images > 0 {
            diagnostics.warn(format!(
                "{}: {} in no class folder",
                self.left_out(),
                match self.images {
                    1 => "it is",
                    _ => "they are",
                }
            ));
        }
        if let Some(folder) =
            folders.iter().find(|folder| folder.name.eq_ignore_ascii_case("BACKGROUND_Google"))
        {
            diagnostics
                .warn(format!("{} counts as a class; in Caltech-101 it holds images of none", folder.text()));
        }
        Ok(())
    }

    /// That the images directly in the folder are left out.
    fn left_out(&self) -> String {
        let at = printable_path(&self.path);
        match self.images {
            1 => format!("1 image directly in {at} is left out"),
            count => format!("{count} images directly in {at} are left out"),
        }
    }

    /// An error if a folder holds folders named like those beside it: it is a copy, and no class. A note if some hold folders
    /// of the same names, which may be parts of the data set.
    fn check_copies(&self, diagnostics: &mut Diagnostics) -> Result<()> {
        let own: HashSet<String> = self.folders.iter().map(|folder| lower(&folder.name)).collect();
        let mut seen: BTreeMap<String, Vec<&Subfolder>> = BTreeMap::new();
        for folder in self.folders.iter().filter(|folder| !folder.direct) {
            let inner = folder_names(&class_root(&folder.path, &[])?)?;
            // Only one folder in each, such as images, says nothing.
            if inner.len() < 2 {
                continue;
            }
            let beside: Vec<String> =
                inner.iter().filter(|name| own.contains(&name.to_lowercase())).cloned().collect();
            if beside.len() > 1 {
                return Err(self.wrong(format!(
                    "expected class folders, found in {:?} folders named like those beside it ({}); name the folder with the \
                     classes alone, such as --data-path {}",
                    folder.text(),
                    some(&beside),
                    printable_path(&folder.path)
                )));
            }
            for name in inner {
                seen.entry(name).or_default().push(folder);
            }
        }
        let shared: Vec<_> = seen.iter().filter(|(_, folders)| folders.len() > 1).collect();
        if shared.len() < 2 {
            return Ok(());
        }
        let folders = shared[0].1;
        let names: Vec<String> = shared.iter().map(|(name, _)| name.to_string()).collect();
        diagnostics.warn(format!(
            "the classes {} hold folders of the same names ({}); if those are the classes, name one folder with --data-path {}",
            Level::names(folders),
            some(&names),
            printable_path(&folders[0].path)
        ));
        Ok(())
    }
}

/// The folders with classes in `root`; with `or_lone`, a validation part without a training part is the whole.
///
/// Errors: folders that are not classes, and errors of the operating system.
pub(super) fn find(root: &Path, or_lone: bool, diagnostics: &mut Diagnostics) -> Result<FolderLayout> {
    let mut at = root.to_path_buf();
    for _ in 0..=MAX_DEPTH {
        let level = Level::read(&at)?;
        if let Some(layout) = level.parts(or_lone, diagnostics)? {
            return Ok(layout);
        }
        match &level.folders[..] {
            // A folder around the classes, as archives have.
            [only] if !only.direct => {
                if level.images > 0 {
                    diagnostics.warn(level.left_out());
                }
                at = only.path.clone();
            }
            _ => {
                level.check_classes(diagnostics)?;
                return Ok(FolderLayout { base: at.clone(), train: at, val: None, is_split: false });
            }
        }
    }
    Err(too_deep(root))
}

fn lower(name: &OsStr) -> String {
    name.to_string_lossy().to_lowercase()
}

/// Whether there are folders in `root`, which may be classes, or hold them, or images, which is an error to be explained.
pub(super) fn has_folders(root: &Path) -> bool {
    let visible = |(name, kind): &(OsString, EntryKind)| {
        !hidden(name) && (*kind == EntryKind::Folder || is_image(name))
    };
    entries(root).is_ok_and(|entries| entries.iter().any(visible))
}

/// Whether folders in `root` can be read as classes.
pub(super) fn is_readable(root: &Path) -> bool {
    find(root, false, &mut Diagnostics::default()).is_ok()
}

/// Whether `root` holds at least two folders of images that are taken for classes.
pub(super) fn has_classes(root: &Path) -> bool {
    let level = find(root, false, &mut Diagnostics::default()).and_then(|layout| Level::read(&layout.train));
    level.is_ok_and(|level| level.folders.iter().filter(|folder| folder.direct).count() > 1)
}
