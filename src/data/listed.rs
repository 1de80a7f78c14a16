//! The lines of lists that name images, so that an image that cannot be read is reported with its line.

use crate::error::{Error, printable_path};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Images of a store that lists name, in the order of the store.
#[derive(Debug, Default)]
pub(super) struct ListedImages(Vec<List>);

/// Consecutive images that one list names.
#[derive(Debug)]
struct List {
    path: PathBuf,
    /// The number of the first image.
    first: usize,
    lines: Vec<u32>,
}

impl ListedImages {
    /// Adds the image of number `index`, which line `line` of `path` names. Numbers rise.
    pub fn add(&mut self, path: &Path, index: usize, line: u64) {
        let line = u32::try_from(line).unwrap_or(u32::MAX);
        match self.0.last_mut() {
            Some(list) if list.path == path && list.first + list.lines.len() == index => {
                list.lines.push(line)
            }
            _ => self.0.push(List { path: path.to_path_buf(), first: index, lines: vec![line] }),
        }
    }

    /// Whether a list names image `index`.
    pub fn has(&self, index: usize) -> bool {
        self.line(index).is_some()
    }

    fn line(&self, index: usize) -> Option<(&Path, u32)> {
        self.0
            .iter()
            .find_map(|list| Some((list.path.as_path(), *list.lines.get(index.checked_sub(list.first)?)?)))
    }

    /// `error` about image `index`, with the line that names it.
    pub fn explained(&self, index: usize, error: Error) -> Error {
        let Some((list, line)) = self.line(index) else { return error };
        let list = printable_path(Path::new(list.file_name().unwrap_or_default()));
        let place = format!("(line {line} of {list})");
        match error {
            Error::Data { path, message } => Error::Data { path, message: format!("{message} {place}") },
            Error::Io { path, source } if source.kind() == ErrorKind::NotFound => {
                Error::Data { path, message: format!("no such file {place}") }
            }
            error => error,
        }
    }
}
