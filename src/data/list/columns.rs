//! Which columns of a list hold the names of the image files, the labels, and the parts of the data.

use super::super::columns::{column_numbered, column_of, is_id, is_label, short};
use super::super::delimited::wrong;
use super::super::diagnostics::Diagnostics;
use super::start::{Cut, Start, is_file, is_image_name, is_split_name, role};
use crate::error::{Error, Result, printable_path};
use std::path::Path;

/// Names that an error shows.
const SHOWN: usize = 4;

/// The columns of a list.
#[derive(Clone, Debug)]
pub(super) struct ListColumns {
    pub cut: Cut,
    pub count: usize,
    pub image: usize,
    /// None for a list of images to be classified.
    pub label: Option<usize>,
    /// The column that says to which part of the data a row belongs.
    pub split: Option<usize>,
    /// The names of the columns, if the first row has them.
    pub names: Option<Vec<String>>,
}

/// Columns that a request names.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Chosen<'a> {
    pub image: Option<&'a str>,
    pub label: Option<&'a str>,
}

impl ListColumns {
    /// Understands the columns of the list `path`, which begins with `start`; `exists` says whether there is an image of that
    /// name, with or without its ending.
    ///
    /// Errors: no column of images, several columns of labels.
    pub fn of(
        path: &Path,
        start: &Start,
        request: Chosen,
        exists: &mut dyn FnMut(&str) -> bool,
        diagnostics: &mut Diagnostics,
    ) -> Result<ListColumns> {
        let count = start.first.len();
        let fault = |what: String| wrong(path, start.line, what);
        if count < 2 {
            let what = "expected at least two columns, of file names and labels, found one";
            return Err(fault(what.into()));
        }
        let has_names = start.is_header(request, exists);
        let table = Table { path, start, has_names };
        if has_names && !start.has_known_name(request) {
            let names = table.some(&(0..count).collect::<Vec<_>>());
            diagnostics.warn(format!(
                "{}: line {} ({names}) is taken for the names of the columns",
                table.name(),
                start.line
            ));
        }
        let image = table.image(request)?;
        let split = table.split(image, request, diagnostics)?;
        let label = table.label([Some(image), split], request, diagnostics)?;
        let names = has_names.then(|| start.first.clone());
        Ok(ListColumns { cut: start.cut, count, image, label, split, names })
    }

    /// What the columns of another list of the same data are called: names, or numbers from 1.
    pub fn called(&self) -> [String; 2] {
        let name = |column: usize| match &self.names {
            Some(names) => names[column].clone(),
            None => (column + 1).to_string(),
        };
        [name(self.image), name(self.label.unwrap_or(self.image))]
    }
}

impl Start {
    /// Whether the first row names columns.
    fn is_header(&self, request: Chosen, exists: &mut dyn FnMut(&str) -> bool) -> bool {
        if self.first.iter().any(|field| is_file(field)) {
            return false;
        }
        if self.has_known_name(request) {
            return true;
        }
        let has_files = |row: &Vec<String>| row.iter().any(|field| is_file(field));
        if self.second.as_ref().is_some_and(has_files) {
            return true;
        }
        // Files without endings: the first row is one of them, or it is none.
        self.second.is_some() && !self.first.iter().any(|field| exists(field))
    }

    /// Whether a field of the first row is a name that columns of lists have, or that the request names.
    fn has_known_name(&self, request: Chosen) -> bool {
        let is_chosen = |field: &String| {
            let is_it = |name: Option<&str>| name.is_some_and(|name| field.eq_ignore_ascii_case(name.trim()));
            is_it(request.image) || is_it(request.label)
        };
        let is_known =
            |field: &String| is_image_name(field) || is_label(field) || (is_id(field) && !field.is_empty());
        self.first.iter().any(|field| is_chosen(field) || is_known(field))
    }
}

/// The first rows of a list, once it is known whether it has a header.
struct Table<'a> {
    path: &'a Path,
    start: &'a Start,
    has_names: bool,
}

impl Table<'_> {
    fn fault(&self, what: impl AsRef<str>) -> Error {
        wrong(self.path, self.start.line, what)
    }

    /// The first row with an image.
    fn row(&self) -> &[String] {
        let row = if self.has_names { self.start.second.as_ref() } else { Some(&self.start.first) };
        row.map_or(&[], Vec::as_slice)
    }

    fn chosen(&self, text: &str, option: &str) -> Result<usize> {
        let column = match self.has_names {
            true => column_of(&self.start.first, text, option),
            false => column_numbered(self.start.first.len(), text, option),
        };
        column.map_err(|what| self.fault(what))
    }

    /// How an error names columns.
    fn some(&self, columns: &[usize]) -> String {
        let name = |&column: &usize| match self.has_names {
            true => format!("{:?}", short(&self.start.first[column])),
            false => format!("column {}", column + 1),
        };
        let shown = columns.iter().take(SHOWN).map(name).collect::<Vec<_>>().join(", ");
        match columns.len().saturating_sub(SHOWN) {
            0 => shown,
            more => format!("{shown} and {more} more"),
        }
    }

    fn image(&self, request: Chosen) -> Result<usize> {
        if let Some(text) = request.image {
            return self.chosen(text, "image-column");
        }
        let all = 0..self.start.first.len();
        let label = request.label.map(|text| self.chosen(text, "label-column")).transpose()?;
        let holds = |column: &usize| self.row().get(*column).is_some_and(|field| is_file(field));
        let named = |column: &usize| self.has_names && is_image_name(&self.start.first[*column]);
        let numbers = |column: &usize| self.has_names && is_id(&self.start.first[*column]);
        let is_free = |column: &usize| Some(*column) != label;
        let tests: [&dyn Fn(&usize) -> bool; 4] =
            [&|column| holds(column) && named(column), &holds, &named, &numbers];
        for test in tests {
            let found: Vec<usize> = all.clone().filter(|column| is_free(column) && test(column)).collect();
            match found[..] {
                [] => {}
                [image] => return Ok(image),
                _ => {
                    return Err(self.fault(format!(
                        "expected one column of image files, found {}; --image-column says which",
                        self.some(&found)
                    )));
                }
            }
        }
        match label {
            Some(label) if self.start.first.len() == 2 => Ok(1 - label),
            None if self.start.first.len() == 2 => Ok(0),
            _ => {
                let all: Vec<usize> = all.collect();
                let found = self.some(&all);
                Err(self.fault(format!(
                    "expected a column of image files, found {found}; --image-column says which it is"
                )))
            }
        }
    }

    fn split(&self, image: usize, request: Chosen, diagnostics: &mut Diagnostics) -> Result<Option<usize>> {
        let label = request.label.map(|text| self.chosen(text, "label-column")).transpose()?;
        let others: Vec<usize> =
            (0..self.start.first.len()).filter(|&n| n != image && Some(n) != label).collect();
        let has_role = |n: &usize| self.row().get(*n).is_some_and(|field| role(field).is_some());
        if !self.has_names {
            // Beside the label, one column of a few known words.
            let found: Vec<usize> = others.iter().copied().filter(has_role).collect();
            return Ok(match (found[..].first(), found.len(), others.len() + usize::from(label.is_some())) {
                (Some(&split), 1, 2) => Some(split),
                _ => None,
            });
        }
        let named: Vec<usize> =
            others.iter().copied().filter(|&n| is_split_name(&self.start.first[n])).collect();
        let found: Vec<usize> = named.iter().copied().filter(has_role).collect();
        match found[..] {
            [split] => return Ok(Some(split)),
            [] => {}
            _ => {
                let what =
                    format!("expected one column for the parts of the data, found {}", self.some(&found));
                return Err(self.fault(what));
            }
        }
        // Two columns are a file and its label, whatever they are called.
        if let (Some(&column), true) = (named.first(), others.len() > 1) {
            diagnostics.warn(format!(
                "{}: {} is left alone: it holds {:?}, which is no part such as train, val or test",
                self.name(),
                self.some(&[column]),
                self.row().get(column).map_or("", String::as_str)
            ));
        }
        Ok(None)
    }

    fn name(&self) -> String {
        printable_path(Path::new(self.path.file_name().unwrap_or_default()))
    }

    fn label(
        &self,
        taken: [Option<usize>; 2],
        request: Chosen,
        diagnostics: &mut Diagnostics,
    ) -> Result<Option<usize>> {
        if let Some(text) = request.label {
            let label = self.chosen(text, "label-column")?;
            if taken.contains(&Some(label)) {
                let what =
                    format!("--label-column {text}: expected another column than that of the image files");
                return Err(self.fault(what));
            }
            return Ok(Some(label));
        }
        let free: Vec<usize> = (0..self.start.first.len()).filter(|&n| !taken.contains(&Some(n))).collect();
        let is_named = |n: &&usize| self.has_names && is_label(&self.start.first[**n]);
        let named: Vec<usize> = free.iter().filter(is_named).copied().collect();
        // What only numbers the rows, or is left alone, is no label.
        let is_other = |n: &&usize| {
            let name = &self.start.first[**n];
            !self.has_names || free.len() == 1 || !(is_id(name) || is_split_name(name))
        };
        let others: Vec<usize> = free.iter().filter(is_other).copied().collect();
        match (&named[..], &others[..]) {
            (&[label], _) => {
                if others.len() > 1 {
                    let found = self.some(&[label]);
                    diagnostics.add(format!(
                        "{}: the label is {found}, of {} columns",
                        self.name(),
                        free.len() + 1
                    ));
                }
                Ok(Some(label))
            }
            ([], &[label]) => Ok(Some(label)),
            ([], []) => Ok(None),
            (several, others) => {
                let several = if several.is_empty() { others } else { several };
                Err(self.fault(format!(
                    "expected one column of labels, found {}: several labels for each image (multi-label or one-hot) are not \
                     read; --label-column names the column to use",
                    self.some(several)
                )))
            }
        }
    }
}
