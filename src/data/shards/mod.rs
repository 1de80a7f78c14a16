//! Data sets whose images are stored in a few large files (shards): which files belong to the training and the validation part,
//! and a store that reads single images out of them.
//!
//! The files of a folder are found in the folder itself and up to three folders below it. The part of a file is given by its name
//! (`train-00000-of-00004.parquet`, `val_17.tar`) or, if it says nothing, by the folder that it is in (`test/0000.parquet`).

mod assemble;
mod labels;
mod pattern;
mod store;

use super::diagnostics::{Diagnostics, some};
use super::directory::{EntryKind, entries, hidden};
use super::parts::Role;
use crate::error::{Error, Result, printable_path};
pub(super) use assemble::{OpenShard, assemble};
pub(super) use labels::ShardLabels;
pub(super) use pattern::{expand, folder_of, is_pattern};
use rayon::prelude::*;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
pub(super) use store::{BytePlace, Samples, ShardStore};

/// How deep below a folder its shards may be: `<name>/<configuration>/<part>/0000.parquet`.
const DEPTH: usize = 3;

/// Entries of folders that are looked at to find out whether they hold shards.
const LOOKED_AT: usize = 10_000;

/// Folders that only hold the files of a data set.
const WRAPPERS: [&str; 2] = ["data", "shards"];

/// Where the shards of a data set are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source<'a> {
    /// A file, a folder, or the folder that all files of `pattern` are in.
    pub path: &'a Path,
    /// Names of files with braces.
    pub pattern: Option<&'a str>,
    /// What the data set is called.
    pub name: &'a str,
}

/// The shards of a data set by part, each in the order of its samples.
#[derive(Debug)]
pub(super) struct Shards {
    pub train: Vec<PathBuf>,
    pub val: Vec<PathBuf>,
}

/// The shards that `source` names: a file, the files of a pattern with braces, or those in a folder whose names end in `extension`.
pub(super) fn find(source: Source<'_>, extension: &str, diagnostics: &mut Diagnostics) -> Result<Shards> {
    if let Some(pattern) = source.pattern {
        let files = expand(pattern)?;
        check_files(&files)?;
        return divide(files, source.path, diagnostics);
    }
    if source.path.is_file() {
        if let Some(set) = NumberedSet::of(source.path).filter(|set| set.count > 1) {
            let (count, folder) = (set.count, source.path.parent().unwrap_or(Path::new(".")));
            diagnostics.warn(format!(
                "only this shard of {count} is read; for all of them name the folder {}",
                printable_path(folder)
            ));
        }
        return Ok(Shards { train: vec![source.path.to_path_buf()], val: Vec::new() });
    }
    let files = files_below(source.path, extension)?;
    if files.is_empty() {
        return Err(Error::data(source.path, format!("expected files *.{extension}, found none")));
    }
    check_home(&files, source.path)?;
    check_complete(&files)?;
    divide(files, source.path, diagnostics)
}

/// What `read` makes of each of `files`, several at once; the error of the first file that has one.
pub(super) fn each<T: Send>(files: &[PathBuf], read: impl Fn(&Path) -> Result<T> + Sync) -> Result<Vec<T>> {
    let read: Vec<Result<T>> = files.par_iter().map(|file| read(file)).collect();
    read.into_iter().collect()
}

/// Whether files whose names end in `extension` are in `folder` or where shards are in folders below it. Of folders with very many
/// entries, which are no folders of shards, only the first are looked at.
pub(super) fn are_in(folder: &Path, extension: &str) -> bool {
    let (mut folders, mut left) = (VecDeque::from([(folder.to_path_buf(), 0)]), LOOKED_AT);
    while let Some((folder, depth)) = folders.pop_front() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten().take(left) {
            left -= 1;
            let (name, kind) = (entry.file_name(), entry.file_type());
            let has_extension =
                Path::new(&name).extension().is_some_and(|found| found.eq_ignore_ascii_case(extension));
            match kind {
                _ if hidden(&name) => {}
                Ok(kind) if kind.is_dir() && depth < DEPTH => folders.push_back((entry.path(), depth + 1)),
                Ok(_) if has_extension && entry.path().is_file() => return true,
                _ => {}
            }
        }
    }
    false
}

fn check_files(files: &[PathBuf]) -> Result<()> {
    for file in files {
        // A pipe or a device may never end.
        if !std::fs::metadata(file).map_err(|error| Error::io(file, error))?.is_file() {
            return Err(Error::data(file, "expected a file, found a folder, a pipe or a device"));
        }
    }
    Ok(())
}

/// The files whose names end in `extension`, in the order of their paths. Folders that hold no part of a data set by their names are
/// searched as well, since configurations have any names.
fn files_below(folder: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![(folder.to_path_buf(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        for (name, kind) in entries(&folder)? {
            if hidden(&name) {
                continue;
            }
            let path = folder.join(&name);
            let has_extension = path.extension().is_some_and(|found| found.eq_ignore_ascii_case(extension));
            match kind {
                EntryKind::Folder if depth < DEPTH => folders.push((path, depth + 1)),
                EntryKind::Other if has_extension && path.is_file() => files.push(path),
                _ => {}
            }
        }
    }
    files.sort_unstable_by(|a, b| a.as_os_str().as_encoded_bytes().cmp(b.as_os_str().as_encoded_bytes()));
    Ok(files)
}

/// A name such as `train-00002-of-00004`, as the Hugging Face Hub numbers shards.
struct NumberedSet {
    stem: String,
    number: usize,
    count: usize,
}

impl NumberedSet {
    fn of(path: &Path) -> Option<NumberedSet> {
        let name = path.file_stem()?.to_str()?;
        let (rest, count) = name.rsplit_once("-of-")?;
        let (stem, number) = rest.rsplit_once('-')?;
        Some(NumberedSet { stem: stem.to_string(), number: number.parse().ok()?, count: count.parse().ok()? })
    }
}

/// The part that `path` belongs to, by its name, else by the folders between `root` and it.
fn role(path: &Path, root: &Path) -> Option<Role> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let stem = NumberedSet::of(path).map_or(stem.into_owned(), |set| set.stem);
    let of = |name: &str| Role::of(name).or_else(|| Role::within(name));
    let folders = path.parent().into_iter().flat_map(Path::ancestors).take_while(|folder| *folder != root);
    let mut names = folders.filter_map(|folder| Some(folder.file_name()?.to_string_lossy().into_owned()));
    of(&stem).or_else(|| names.find_map(|name| Role::of(&name)))
}

/// An error if `files` lie in the folders of several data sets, such as two configurations of one repository.
fn check_home(files: &[PathBuf], root: &Path) -> Result<()> {
    let home = |file: &PathBuf| {
        let says_nothing = |folder: &&Path| {
            let name = folder.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
            Role::of(&name).is_none() && !WRAPPERS.contains(&name.as_str())
        };
        let mut folders = file.parent().into_iter().flat_map(Path::ancestors);
        folders.find(|folder| *folder == root || says_nothing(folder)).unwrap_or(root).to_path_buf()
    };
    let mut homes: Vec<PathBuf> = files.iter().map(home).collect();
    homes.sort_unstable();
    homes.dedup();
    match &homes[..] {
        [] | [_] => Ok(()),
        _ => {
            let names: Vec<String> = homes.iter().map(|home| printable_path(home)).collect();
            let what = format!(
                "expected the files of one data set, found those of {}; name one folder",
                some(&names)
            );
            Err(Error::data(root, what))
        }
    }
}

/// An error if a shard of a numbered set is missing.
fn check_complete(files: &[PathBuf]) -> Result<()> {
    for file in files {
        let Some(set) = NumberedSet::of(file) else { continue };
        let is_same = |other: &NumberedSet| other.stem == set.stem && other.count == set.count;
        let same_folder = files.iter().filter(|other| other.parent() == file.parent());
        let mut numbers: Vec<usize> = same_folder
            .filter_map(|other| NumberedSet::of(other))
            .filter(is_same)
            .map(|other| other.number)
            .collect();
        numbers.sort_unstable();
        if let Some(missing) = (0..set.count.min(files.len() + 1)).find(|number| !numbers.contains(number)) {
            let what = format!(
                "expected {} shards of {}, found {}: number {missing} is missing",
                set.count,
                set.stem,
                numbers.len()
            );
            return Err(Error::data(file, what));
        }
    }
    Ok(())
}

/// `files` by the parts that their names say. Without any such name, all are training files.
fn divide(files: Vec<PathBuf>, root: &Path, diagnostics: &mut Diagnostics) -> Result<Shards> {
    let roles: Vec<Option<Role>> = files.iter().map(|file| role(file, root)).collect();
    let of = |wanted: Role| -> Vec<PathBuf> {
        let chosen = files.iter().zip(&roles).filter(|(_, role)| **role == Some(wanted));
        chosen.map(|(file, _)| file.clone()).collect()
    };
    let unnamed = roles.iter().position(Option::is_none);
    let train = of(Role::Train);
    match unnamed {
        Some(_) if roles.iter().all(Option::is_none) => return Ok(Shards { train: files, val: Vec::new() }),
        Some(at) => {
            let what = "expected a name that says the part, as the other files have (train, validation, test), found another";
            return Err(Error::data(&files[at], what));
        }
        None if train.is_empty() => {
            let names: Vec<String> = files.iter().map(|file| printable_path(file)).collect();
            let what = format!("expected training files (train*), found {}", some(&names));
            return Err(Error::data(root, what));
        }
        None => {}
    }
    let parts = [(Role::Validation, "validation"), (Role::Test, "test"), (Role::Unlabelled, "unlabelled")];
    let mut parts: Vec<_> = parts.into_iter().map(|(role, name)| (role, name, of(role))).collect();
    parts.retain(|(.., files)| !files.is_empty());
    let is_val = |(role, ..): &(Role, &str, Vec<PathBuf>)| *role != Role::Unlabelled;
    let val = parts.iter().position(is_val).map(|at| parts.remove(at).2).unwrap_or_default();
    for (_, name, files) in &parts {
        let are = if files.len() == 1 { "file is" } else { "files are" };
        diagnostics.add(format!("{} {name} {are} left alone", files.len()));
    }
    Ok(Shards { train, val })
}
