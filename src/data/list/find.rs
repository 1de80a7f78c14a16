//! Finds the lists of a folder, and tells a list from a table of numbers.

use super::super::diagnostics::some;
use super::super::directory::{EntryKind, entries, hidden};
use super::super::parts::Role;
use super::start::{Start, role};
use crate::error::{Error, Result, printable_path};
use std::path::{Path, PathBuf};

/// How names of lists end.
const EXTENSIONS: [&str; 4] = ["csv", "tsv", "txt", "lst"];

/// The lists of a folder.
#[derive(Debug)]
pub(in super::super) struct Lists {
    pub train: PathBuf,
    pub val: Option<PathBuf>,
    /// Lists that are not read.
    pub others: Vec<PathBuf>,
}

fn has_extension(path: &Path, known: &[&str]) -> bool {
    let extension = path.extension().unwrap_or_default();
    known.iter().any(|known| extension.eq_ignore_ascii_case(known))
}

/// Whether the file `path` is a list of image files with labels: rows of tabs or in a text file, or a table that says so.
pub(in super::super) fn is_list(path: &Path) -> bool {
    let is_table = has_extension(path, &["csv", "tsv"]);
    has_extension(path, &EXTENSIONS)
        && path.is_file()
        && Start::read(path).is_ok_and(|start| start.is_some_and(|start| start.is_list(is_table)))
}

/// Whether the name of `path` may be that of a list.
pub(in super::super) fn may_be_list(path: &Path) -> bool {
    has_extension(path, &["tsv", "txt", "lst"])
}

/// Every list in `folder`.
fn all_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let is_candidate = |path: &PathBuf| {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().to_lowercase();
        // What a competition wants to be handed in.
        !stem.contains("submission") && is_list(path)
    };
    let files =
        entries(folder)?.into_iter().filter(|(name, kind)| *kind == EntryKind::Other && !hidden(name));
    Ok(files.map(|(name, _)| folder.join(name)).filter(is_candidate).collect())
}

/// Whether there is a list in `folder`.
pub(in super::super) fn has_lists(folder: &Path) -> bool {
    all_in(folder).is_ok_and(|found| !found.is_empty())
}

/// The lists in `folder`.
///
/// Errors: none, or several of which no one is of the training part by its name.
pub(in super::super) fn lists_in(folder: &Path) -> Result<Lists> {
    let mut found = all_in(folder)?;
    if found.is_empty() {
        let what = "expected a list of image files with labels (.csv, .tsv or .txt), found none";
        return Err(Error::data(folder, what));
    }
    if found.len() == 1 {
        return Ok(Lists { train: found.remove(0), val: None, others: found });
    }
    let of = |path: &PathBuf| role(&path.file_stem().unwrap_or_default().to_string_lossy());
    let trains = found.iter().filter(|path| of(path) == Some(Role::Train)).count();
    if trains != 1 {
        let names = found.iter().map(|path| printable_path(Path::new(path.file_name().unwrap_or_default())));
        return Err(Error::data(
            folder,
            format!(
                "expected one list of image files, or one of the training part, found {}; name one with --data-path",
                some(&names.collect::<Vec<_>>())
            ),
        ));
    }
    let mut take = |wanted: Role| {
        let place = found.iter().position(|path| of(path) == Some(wanted))?;
        Some(found.remove(place))
    };
    match (take(Role::Train), take(Role::Validation).or_else(|| take(Role::Test))) {
        (Some(train), val) => Ok(Lists { train, val, others: found }),
        (None, _) => Err(Error::Internal("a list that is not there".into())),
    }
}
