//! The rows of a table, line by line.

use crate::data::columns::{Columns, FirstLine, short};
use crate::data::directory::is_image;
use crate::data::request::MOST_CLASSES;
use crate::error::{Error, Result};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

/// Fields in the place of a label that say that there is none.
const MISSING: [&str; 9] = ["", "nan", "na", "n/a", "null", "?", "inf", "-inf", "infinity"];

/// What is expected where a table names image files.
const LIST: &str = "a finite number (a list of image files is read with --dataset list)";

/// The rows of a file.
pub(super) struct CsvTable {
    pub path: PathBuf,
    pub columns: Columns,
    /// `[rows, features]`.
    pub features: Vec<f32>,
    pub labels: Given,
    /// The line of each row.
    pub lines: Vec<u32>,
}

/// Labels as they stand in a file.
pub(super) enum Given {
    Numbers(Vec<f32>),
    /// Each the number of a name, in the order in which the names were met.
    Names(Vec<u32>, BTreeMap<String, u32>),
}

/// The class below `classes` that `value` is.
pub(super) fn class(value: f32, classes: usize) -> Option<u32> {
    (value >= 0.0 && value.fract() == 0.0 && (value as usize) < classes).then_some(value as u32)
}

/// The lines of a file that have something in them.
struct Lines<'a> {
    path: &'a Path,
    reader: BufReader<File>,
    text: Vec<u8>,
    number: u64,
}

impl<'a> Lines<'a> {
    fn open(path: &'a Path) -> Result<Lines<'a>> {
        let file = File::open(path).map_err(|error| Error::io(path, error))?;
        Ok(Lines { path, reader: BufReader::new(file), text: Vec::new(), number: 0 })
    }

    fn next(&mut self) -> Result<Option<(u64, &[u8])>> {
        let skip = loop {
            self.text.clear();
            let read =
                self.reader.read_until(b'\n', &mut self.text).map_err(|error| Error::io(self.path, error))?;
            if read == 0 {
                return Ok(None);
            }
            self.number += 1;
            // Spreadsheets put a byte order mark at the start of a file.
            let mark = self.number == 1 && self.text.starts_with(b"\xef\xbb\xbf");
            let skip = if mark { 3 } else { 0 };
            let content = self.text[skip..].trim_ascii();
            if !content.is_empty() && !content.starts_with(b"#") {
                break skip;
            }
        };
        Ok(Some((self.number, self.text[skip..].trim_ascii())))
    }
}

fn fields(content: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    content.split(|&byte| byte == b',').map(unquoted)
}

/// Reads the table `path`; `understand` says what its columns are, or that it has no label, in which case there is no table.
pub(super) fn read(
    path: &Path,
    outputs: Option<usize>,
    understand: impl FnOnce(FirstLine) -> Result<Option<Columns>>,
) -> Result<Option<CsvTable>> {
    let mut lines = Lines::open(path)?;
    let Some((line, content)) = lines.next()? else { return Err(no_rows(path)) };
    let start = start(path, line, content)?;
    let Some(columns) = understand(start)? else { return Ok(None) };
    let mut table = CsvTable {
        path: path.to_path_buf(),
        columns,
        features: Vec::new(),
        labels: Given::Numbers(Vec::new()),
        lines: Vec::new(),
    };
    if table.columns.names.is_none() {
        table.add(line, content, outputs)?;
    }
    while let Some((line, content)) = lines.next()? {
        table.add(line, content, outputs)?;
    }
    if table.lines.is_empty() {
        return Err(no_rows(path));
    }
    Ok(Some(table))
}

fn no_rows(path: &Path) -> Error {
    Error::data(path, "expected lines of numbers, found none")
}

/// The first line, if it is one of a table with commas.
fn start<'a>(path: &'a Path, line: u64, content: &[u8]) -> Result<FirstLine<'a>> {
    let wrong = |what: String| Error::data(path, format!("line {line}: {what}"));
    let raw = || content.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
    let zeros = content.iter().filter(|&&byte| byte == 0).count();
    let has_mark = content.starts_with(b"\xff\xfe") || content.starts_with(b"\xfe\xff");
    // Every other byte of Latin text in UTF-16 is 0.
    if has_mark || zeros * 3 >= content.len() {
        return Err(wrong("expected text in UTF-8, found UTF-16; save the table as UTF-8".into()));
    }
    if content.contains(&b'\r') {
        let what = "expected lines that end with a line feed, found carriage returns (CR) alone";
        return Err(wrong(what.into()));
    }
    // A header may have blanks or a pipe in a name; numbers have none.
    let is_one = raw().count() == 1;
    let separates = |field: &[u8], is: fn(&u8) -> bool| {
        let mut parts = field.split(is).filter(|part| !part.is_empty()).peekable();
        field.iter().any(is) && (is_one || parts.peek().is_some() && parts.all(|part| number(part).is_some()))
    };
    type Separates<'a> = &'a dyn Fn(&[u8]) -> bool;
    let found = |is: Separates| raw().any(|field| !field.starts_with(b"\"") && is(field));
    let separators: [(&str, Separates); 4] = [
        ("semicolons", &|field| field.contains(&b';')),
        ("tabs", &|field| field.contains(&b'\t')),
        ("pipes", &|field| separates(field, |&byte| byte == b'|')),
        ("spaces", &|field| separates(field, |&byte| byte == b' ')),
    ];
    if let Some((name, _)) = separators.iter().find(|(_, is)| found(is)) {
        return Err(wrong(format!(
            "expected columns separated by commas and numbers with decimal points, found {name} between columns"
        )));
    }
    let numbers: Vec<bool> = fields(content).map(|field| number(field).is_some()).collect();
    if numbers.len() < 2 {
        return Err(wrong(format!(
            "expected at least 2 columns (the label is the last unless a header names another), found {}",
            numbers.len()
        )));
    }
    let fields = fields(content).map(|field| String::from_utf8_lossy(field).into_owned()).collect();
    Ok(FirstLine { path, line, fields, numbers })
}

impl CsvTable {
    /// Adds a row.
    fn add(&mut self, line: u64, content: &[u8], outputs: Option<usize>) -> Result<()> {
        let Columns { count, label, features, .. } = &self.columns;
        let found = fields(content).count();
        if found != *count {
            return Err(Error::data(
                &self.path,
                format!("line {line}: expected {count} columns, found {found}"),
            ));
        }
        let row: Vec<&[u8]> = fields(content).collect();
        let wrong = |column: usize, expected: &str| {
            let text = short(&String::from_utf8_lossy(row[column]));
            Error::data(
                &self.path,
                format!("line {line}, column {}: expected {expected}, found {text:?}", column + 1),
            )
        };
        for &column in features {
            self.features.push(number(row[column]).ok_or_else(|| {
                wrong(
                    column,
                    match (is_file(row[column]), row[column].starts_with(b"\"")) {
                        (true, _) => LIST,
                        (_, true) => "a finite number (without commas in it)",
                        _ => "a finite number",
                    },
                )
            })?);
        }
        let (text, value) = (row[*label], number(row[*label]));
        if value.is_none() && self.lines.is_empty() && outputs != Some(1) {
            self.labels = Given::Names(Vec::new(), BTreeMap::new());
        }
        match (&mut self.labels, value) {
            (Given::Numbers(values), Some(value)) => {
                if let Some(outputs) = outputs.filter(|&outputs| outputs != 1)
                    && class(value, outputs).is_none()
                {
                    let hint = self.hint(outputs);
                    let what = format!("a class of the model (0 to {})", outputs.saturating_sub(1));
                    let error = wrong(*label, &what);
                    return Err(match (error, hint) {
                        (Error::Data { path, message }, Some(hint)) => {
                            Error::Data { path, message: format!("{message}; {hint}") }
                        }
                        (error, _) => error,
                    });
                }
                values.push(value);
            }
            (Given::Numbers(_), None) => return Err(wrong(*label, "a finite number as a label")),
            (Given::Names(..), Some(_)) => return Err(wrong(*label, "a name as in the lines before")),
            (Given::Names(labels, known), None) => {
                let name = String::from_utf8_lossy(text).trim().to_string();
                if MISSING.contains(&name.to_lowercase().as_str()) {
                    return Err(wrong(*label, "a label"));
                }
                // A number that is too large, or a quote without its other half: the field continues after a comma or a line break.
                if name.parse::<f32>().is_ok() || name.starts_with('"') || name.ends_with('"') {
                    return Err(wrong(*label, "a finite number"));
                }
                if known.is_empty() && is_file(text) {
                    return Err(wrong(*label, LIST));
                }
                let next = known.len();
                if next == MOST_CLASSES && !known.contains_key(&name) {
                    return Err(wrong(*label, &format!("at most {MOST_CLASSES} names of classes")));
                }
                labels.push(*known.entry(name).or_insert(next as u32));
            }
        }
        self.lines.push(u32::try_from(line).unwrap_or(u32::MAX));
        Ok(())
    }

    /// What may be meant where the last column, taken for the label, is none: the first.
    fn hint(&self, outputs: usize) -> Option<String> {
        if self.columns.is_named || self.columns.features.first() != Some(&0) {
            return None;
        }
        let mut lines = Lines::open(&self.path).ok()?;
        if self.columns.names.is_some() {
            lines.next().ok()?;
        }
        let mut values = Vec::new();
        while let Some((_, content)) = lines.next().ok()? {
            values.push(fields(content).next().and_then(number)?);
        }
        let is_class = values.iter().all(|&value| class(value, outputs).is_some());
        let last = self.columns.label + 1;
        is_class.then(|| {
            format!(
                "the label is taken from the last column, {last}, and the first holds classes of the model: --label-column 1 \
                 takes that"
            )
        })
    }
}

/// The finite number that `field` spells.
fn number(field: &[u8]) -> Option<f32> {
    std::str::from_utf8(field).ok()?.parse().ok().filter(|value: &f32| value.is_finite())
}

/// Whether `field` is the name of an image file.
fn is_file(field: &[u8]) -> bool {
    is_image(OsStr::new(&*String::from_utf8_lossy(field)))
}

/// A field without the blanks and the pair of quotes around it.
fn unquoted(field: &[u8]) -> &[u8] {
    let field = field.trim_ascii();
    field.strip_prefix(b"\"").and_then(|field| field.strip_suffix(b"\"")).unwrap_or(field)
}
