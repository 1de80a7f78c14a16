//! Tables for small networks: numeric columns, comma-separated, the label last; a header line is recognised by
//! having no number in it. Empty lines and lines that start with `#` are passed over. A number may stand in
//! quotes; it may not contain a comma or a line break, so the reader goes line by line and its errors name the
//! line that an editor shows.
//!
//! For a model with one output the label is a value, else a class (a whole number). For no model, labels are classes if
//! all of them can be.

use super::dataset::{Dataset, Images, Labels};
use super::source::{Found, MOST_CLASSES, Part};
use crate::error::{Error, Result};
use std::io::{BufRead, BufReader};
use std::path::Path;

/// Characters of a wrong field that an error shows.
const SHOWN: usize = 40;

/// Reads the file `path`, or `train.csv` and, if it is there, `val.csv` in the folder `path`. `outputs` is the
/// number of outputs of the model, if there is one.
pub(super) fn open(path: &Path, name: &str, outputs: Option<usize>) -> Result<Found> {
    // Without a model all labels are values at first.
    let read = |path: &Path| read(path, name, outputs.unwrap_or(1));
    let mut found = if path.is_dir() {
        let val_path = path.join("val.csv");
        let val = if val_path.is_file() { Some(read(&val_path)?) } else { None };
        Found { train: read(&path.join("train.csv"))?, val }
    } else {
        Found { train: read(path)?, val: None }
    };
    if outputs.is_none() {
        let mut labels: Vec<_> = [Some(&mut found.train), found.val.as_mut()]
            .into_iter()
            .flatten()
            .map(|part| &mut part.dataset.labels)
            .collect();
        let classes: Option<Vec<_>> = labels.iter().map(|labels| as_classes(labels)).collect();
        for (labels, classes) in labels.iter_mut().zip(classes.into_iter().flatten()) {
            **labels = Labels::Classes(classes);
        }
    }
    Ok(found)
}

/// The values as classes, if all of them are whole numbers of a possible size.
fn as_classes(labels: &Labels) -> Option<Vec<u32>> {
    match labels {
        Labels::Classes(classes) => Some(classes.clone()),
        Labels::Values { values, .. } => values.iter().map(|&value| class(value, MOST_CLASSES)).collect(),
    }
}

/// The class below `classes` that `value` is.
fn class(value: f32, classes: usize) -> Option<u32> {
    (value >= 0.0 && value.fract() == 0.0 && (value as usize) < classes).then_some(value as u32)
}

fn read(path: &Path, name: &str, outputs: usize) -> Result<Part> {
    let file = std::fs::File::open(path).map_err(|error| Error::io(path, error))?;
    let mut reader = BufReader::new(file);
    let (mut text, mut line, mut columns) = (Vec::new(), 0u64, 0);
    let mut images = Vec::new();
    let mut values = Vec::new();
    let mut classes = Vec::new();
    while next_line(&mut reader, &mut text).map_err(|error| Error::io(path, error))? {
        line += 1;
        // Spreadsheets put a byte order mark at the start of a file.
        let content = text.strip_prefix(b"\xef\xbb\xbf").filter(|_| line == 1).unwrap_or(&text).trim_ascii();
        if content.is_empty() || content.starts_with(b"#") {
            continue;
        }
        let fields = content.split(|&byte| byte == b',').map(unquoted);
        let found = fields.clone().count();
        if columns == 0 {
            columns = found;
            if columns < 2 {
                return Err(Error::data(
                    path,
                    format!(
                        "line {line}: expected at least 2 columns (the label is the last), found {columns}"
                    ),
                ));
            }
            if fields.clone().all(|field| number(field).is_none()) {
                continue;
            }
        }
        if found != columns {
            return Err(Error::data(path, format!("line {line}: expected {columns} columns, found {found}")));
        }
        for (column, field) in fields.enumerate() {
            let wrong = |expected: &str| {
                let text: String = String::from_utf8_lossy(field).chars().take(SHOWN).collect();
                Error::data(
                    path,
                    format!("line {line}, column {}: expected {expected}, found {text:?}", column + 1),
                )
            };
            let value = number(field).ok_or_else(|| wrong("a finite number"))?;
            if column + 1 < columns {
                images.push(value);
            } else if outputs == 1 {
                values.push(value);
            } else {
                let what = || wrong(&format!("a class of the model (0 to {})", outputs.saturating_sub(1)));
                classes.push(class(value, outputs).ok_or_else(what)?);
            }
        }
    }
    if images.is_empty() {
        return Err(Error::data(path, "expected lines of numbers, found none"));
    }
    let labels = if outputs == 1 { Labels::Values { width: 1, values } } else { Labels::Classes(classes) };
    let dataset = Dataset {
        name: name.to_string(),
        shape: [columns - 1, 1, 1],
        classes: 0,
        class_names: Vec::new(),
        images: Images::F32(images),
        labels,
    };
    Ok(Part { dataset, images_path: path.to_path_buf(), labels_path: path.to_path_buf() })
}

/// The finite number that `field` spells.
fn number(field: &[u8]) -> Option<f32> {
    std::str::from_utf8(field).ok()?.parse().ok().filter(|value: &f32| value.is_finite())
}

/// Reads the next line into `text`; false at the end of the file.
fn next_line(reader: &mut impl BufRead, text: &mut Vec<u8>) -> std::io::Result<bool> {
    text.clear();
    Ok(reader.read_until(b'\n', text)? > 0)
}

/// A field without the blanks and the pair of quotes around it.
fn unquoted(field: &[u8]) -> &[u8] {
    let field = field.trim_ascii();
    field.strip_prefix(b"\"").and_then(|field| field.strip_suffix(b"\"")).unwrap_or(field)
}
