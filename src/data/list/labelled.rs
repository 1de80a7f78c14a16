//! The rows of a list: for each image its file, its label and the part of the data that it belongs to.

use super::super::columns::short;
use super::super::delimited::{Rows, wrong};
use super::super::parts::Role;
use super::super::request::MOST_CLASSES;
use super::columns::ListColumns;
use super::files::{Files, Named};
use super::start::{is_comment, role};
use crate::error::{Error, Result, printable_path};
use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Fields in the place of a label that say that there is none.
const MISSING: [&str; 6] = ["", "nan", "na", "n/a", "null", "?"];

/// Images from which labels that are all different are no classes, but number the images.
const FEW: usize = 16;

/// Longest label, in bytes.
const LONGEST: usize = 1000;

/// What stands between several labels of one image.
const SEPARATORS: [char; 2] = ['|', ';'];

/// An image of a list.
#[derive(Debug)]
pub(super) struct Entry {
    /// The number of its folder.
    pub folder: u32,
    pub name: OsString,
    /// The number of its label, in the order in which labels were met.
    pub label: u32,
    pub line: u32,
    pub part: Role,
}

/// The images of a list.
#[derive(Debug, Default)]
pub(super) struct Labelled {
    pub entries: Vec<Entry>,
    pub folders: Vec<PathBuf>,
    pub labels: Vec<String>,
    /// Files that are not there: how many, and the first with its line.
    pub missing: Option<(usize, String)>,
    /// Rows that name a file of an earlier row, with the same label.
    pub repeated: usize,
}

impl Labelled {
    /// Reads the list `path`, whose columns are `columns`.
    ///
    /// Errors, with the line: rows of another length, labels that are missing or more than one, one file with two labels.
    pub fn read(path: &Path, columns: &ListColumns, files: &mut Files) -> Result<Labelled> {
        let mut rows = Rows::open(path)?;
        let (mut list, mut labels, mut folders) = (Labelled::default(), HashMap::new(), HashMap::new());
        let mut has_header = columns.names.is_some();
        let name = printable_path(Path::new(path.file_name().unwrap_or_default()));
        while let Some(row) = rows.next()? {
            if is_comment(&row) || std::mem::take(&mut has_header) {
                continue;
            }
            let line = row.line;
            let fault = |what: String| wrong(path, line, what);
            let cells = columns.cut.cells(row);
            if cells.len() != columns.count {
                let what = format!("expected {} columns, found {}", columns.count, cells.len());
                return Err(fault(what));
            }
            let part = match columns.split {
                None => Role::Train,
                Some(column) => role(&cells[column]).ok_or_else(|| {
                    let found = short(&cells[column]);
                    fault(format!("column {}: expected train, val or test, found \"{found}\"", column + 1))
                })?,
            };
            let text = columns.label.map_or("", |label| &cells[label]);
            let is_missing = MISSING.contains(&text.to_lowercase().as_str());
            if part == Role::Unlabelled || (part == Role::Test && is_missing) {
                continue;
            }
            let place = columns.label.map_or(0, |label| label + 1);
            if is_missing {
                return Err(fault(format!("column {place}: expected a label, found \"{}\"", short(text))));
            }
            if text.contains(SEPARATORS) || (text.starts_with(['[', '{']) && text.ends_with([']', '}'])) {
                return Err(fault(format!(
                    "column {place}: expected one label, found several (\"{}\"): multi-label data is not read",
                    short(text)
                )));
            }
            if text.len() > LONGEST {
                let what = format!("column {place}: expected a label, found {} bytes of text", text.len());
                return Err(fault(what));
            }
            let count = labels.len();
            if count == MOST_CLASSES && !labels.contains_key(text) {
                return Err(fault(format!("expected at most {MOST_CLASSES} different labels, found more")));
            }
            let label = *labels.entry(text.to_string()).or_insert_with(|| {
                list.labels.push(text.to_string());
                count as u32
            });
            let Named { folder, name: file, is_there } = files.find(&cells[columns.image], line)?;
            if !is_there {
                let first = || format!("{} (line {line} of {name})", printable_path(&folder.join(&file)));
                let (count, _) = list.missing.get_or_insert_with(|| (0, first()));
                *count += 1;
            }
            let folder = *folders.entry(folder).or_insert_with_key(|folder| {
                list.folders.push(folder.clone());
                list.folders.len() as u32 - 1
            });
            let line = u32::try_from(line).unwrap_or(u32::MAX);
            list.entries.push(Entry { folder, name: file, label, line, part });
        }
        let (images, different) = (list.entries.len(), list.labels.len());
        if images > FEW && different == images {
            let what = format!(
                "expected labels that several images have, found another for each of the {images} images; --label-column \
                 names the column of the labels"
            );
            return Err(Error::data(path, what));
        }
        list.repeated = list.count_repeated(path)?;
        Ok(list)
    }

    /// The file of `entry`.
    pub fn path(&self, entry: &Entry) -> PathBuf {
        self.folders[entry.folder as usize].join(&entry.name)
    }

    /// How many rows name a file again. An error if one has two labels.
    fn count_repeated(&self, path: &Path) -> Result<usize> {
        let mut order: Vec<&Entry> = self.entries.iter().collect();
        order.sort_by(|a, b| (a.folder, &a.name, a.line).cmp(&(b.folder, &b.name, b.line)));
        let mut count = 0;
        for two in order.windows(2) {
            let [first, second] = two else { continue };
            let is_same = (first.folder, &first.name) == (second.folder, &second.name);
            if is_same && first.label != second.label {
                let label = |entry: &Entry| short(&self.labels[entry.label as usize]);
                let what = format!(
                    "expected one label for each image, found {} with \"{}\", and with \"{}\" in line {}: multi-label data is \
                     not read",
                    printable_path(&self.path(second)),
                    label(second),
                    label(first),
                    first.line
                );
                return Err(wrong(path, second.line.into(), what));
            }
            count += usize::from(is_same);
        }
        Ok(count)
    }

    /// A label of several words that are labels themselves, as in data with several labels for an image.
    pub fn compound(&self) -> Option<&str> {
        let known: std::collections::HashSet<&str> = self.labels.iter().map(String::as_str).collect();
        let is_compound = |label: &&String| {
            label.split_whitespace().count() > 1 && label.split_whitespace().all(|word| known.contains(word))
        };
        self.labels.iter().find(is_compound).map(String::as_str)
    }
}
