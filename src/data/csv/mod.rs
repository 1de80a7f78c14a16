//! Tables: comma-separated columns of numbers and a label. The header line, which is recognised because it contains no number, or a
//! name such as `label` or `id`, says which column is the label and which ones number the rows; without such a name the label is the last
//! column (`columns.rs`). Empty lines and lines that start with `#` are passed over. A number may stand in
//! quotes; it may not contain a comma or a line break, so the reader goes line by line and its errors name the
//! line that an editor shows.
//!
//! Columns called pixel0, pixel1, ... are an image; so are the numbers of one column called pixels (`faces.rs`).
//!
//! For a model with one output the label is a value, else a class: a whole number, or a name, in which case classes are
//! numbered by the order of their names' bytes. For no model, labels are classes if all of them can be.

mod faces;
mod rows;

use super::columns::{Columns, short};
use super::dataset::{Dataset, Labels};
use super::diagnostics::Diagnostics;
use super::numbers::{Numbers, settle};
use super::parts::validation_files;
use super::range::InputRange;
use super::raw::{RawSplit, RawSplits};
use super::request::{MOST_CLASSES, Request};
use crate::error::{Error, Result, printable_path};
use rows::{CsvTable, Given, class, read};
use std::collections::BTreeSet;
use std::path::Path;

/// Columns from which a table of bytes is one of images, whose label may be the first column as well as the last.
const WIDE: usize = 17;

/// Reads the file `path`, or in the folder `path` `train.csv` and, if it is there, a file of validation samples.
pub(super) fn open(
    path: &Path,
    name: &str,
    request: &Request,
    diagnostics: &mut Diagnostics,
) -> Result<RawSplits> {
    let chosen = request.label_column.as_deref();
    let outputs = request.model.map(|wanted| wanted.outputs);
    let train_path = if path.is_dir() { path.join("train.csv") } else { path.to_path_buf() };
    if faces::has_faces(&train_path) {
        return faces::open(path, name, request, diagnostics);
    }
    let train = read(&train_path, outputs, |start| {
        start.columns(chosen, request.model.is_none(), diagnostics).map(Some)
    })?;
    let train = train.ok_or_else(|| Error::data(&train_path, "expected a table with labels, found none"))?;
    train.check_label(outputs)?;
    let mut tables = vec![train];
    if path.is_dir() {
        tables.extend(validation(path, &tables[0].columns, outputs, diagnostics)?);
    }
    let width = tables[0].columns.features.len();
    let mut labels = labels(&mut tables, outputs)?;
    let mut values: Vec<_> = tables.iter_mut().map(|table| std::mem::take(&mut table.features)).collect();
    // Columns called pixel0, pixel1, ... are an image also where no model says it.
    let are_pixels = request.model.is_none()
        && tables[0].columns.are_pixels()
        && values.iter().flatten().any(|&value| value > 1.0)
        && values.iter().flatten().all(|&value| value.fract() == 0.0 && (0.0..=255.0).contains(&value));
    let noted = (are_pixels && request.input_range.is_none()).then_some(InputRange::Pixels);
    let numbers = tables.iter().zip(values.drain(..)).map(|(table, values)| Numbers {
        path: &table.path,
        values,
        width,
        place: Box::new(|at| {
            format!("line {}, column {}", table.lines[at / width], table.columns.features[at % width] + 1)
        }),
    });
    let images = settle(numbers.collect(), noted, true, request, diagnostics)?;
    let shape = match (request.model, request.input_range.or(noted)) {
        (None, Some(_)) => image(width),
        _ => [width, 1, 1],
    };
    let mut parts =
        tables.iter().zip(images).zip(labels.parts.drain(..)).map(|((table, images), own)| RawSplit {
            dataset: Dataset {
                name: name.to_string(),
                shape,
                classes: 0,
                class_names: labels.names.clone(),
                images,
                labels: own,
            },
            images_path: table.path.clone(),
            labels_path: table.path.clone(),
        });
    match (parts.next(), parts.next()) {
        (Some(train), val) => Ok(RawSplits { train, val }),
        _ => Err(Error::Internal("a table without a part".into())),
    }
}

/// The table of validation samples in `folder`, if there is one with labels.
fn validation(
    folder: &Path,
    columns: &Columns,
    outputs: Option<usize>,
    diagnostics: &mut Diagnostics,
) -> Result<Option<CsvTable>> {
    let (path, others) = validation_files(folder, "csv");
    let Some(path) = path else { return Ok(None) };
    let file = |path: &Path| printable_path(Path::new(path.file_name().unwrap_or_default()));
    for other in others {
        diagnostics.add(format!(
            "{} is left alone: the validation samples are those of {}",
            file(&other),
            file(&path)
        ));
    }
    let found = read(&path, outputs, |start| columns.of_validation(start))?;
    if found.is_none() {
        let label = columns
            .names
            .as_ref()
            .map_or("labels".into(), |names| format!("column {:?}", short(&names[columns.label])));
        // Competitions keep the labels of their test samples to themselves.
        if !path.ends_with("test.csv") {
            return Err(Error::data(path, format!("expected {label} as in train.csv, found none")));
        }
        diagnostics.warn(format!(
            "test.csv is left alone: it has no {label}; validation samples are taken from train.csv"
        ));
    }
    Ok(found)
}

/// The labels of all tables, with one numbering.
struct Numbered {
    names: Vec<String>,
    parts: Vec<Labels>,
}

fn labels(tables: &mut [CsvTable], outputs: Option<usize>) -> Result<Numbered> {
    let mut names: Vec<String> = Vec::new();
    if let Some(CsvTable { labels: Given::Names(_, known), .. }) = tables.first() {
        // In the order of their bytes, as a map has them.
        names.extend(known.keys().cloned());
    }
    let mut parts = Vec::new();
    for table in tables {
        parts.push(match &table.labels {
            Given::Numbers(values) if outputs.is_none_or(|outputs| outputs == 1) => {
                Labels::Values { width: 1, values: values.clone() }
            }
            Given::Numbers(values) => Labels::Classes(values.iter().map(|&value| value as u32).collect()),
            Given::Names(labels, known) => {
                let mut numbers = vec![0; known.len()];
                for (name, &met) in known {
                    numbers[met as usize] = names.binary_search(name).map_err(|_| {
                        let line =
                            labels.iter().position(|&label| label == met).map_or(0, |row| table.lines[row]);
                        let what =
                            format!("line {line}: expected a label of train.csv, found {:?}", short(name));
                        Error::data(&table.path, what)
                    })? as u32;
                }
                Labels::Classes(labels.iter().map(|&label| numbers[label as usize]).collect())
            }
        });
    }
    if outputs.is_none() {
        let classes: Option<Vec<_>> = parts.iter().map(as_classes).collect();
        if let Some(classes) = classes {
            parts = classes.into_iter().map(Labels::Classes).collect();
        }
    }
    Ok(Numbered { names, parts })
}

/// The values as classes, if all of them are whole numbers of a possible size.
fn as_classes(labels: &Labels) -> Option<Vec<u32>> {
    match labels {
        Labels::Classes(classes) => Some(classes.clone()),
        Labels::Values { values, .. } => values.iter().map(|&value| class(value, MOST_CLASSES)).collect(),
    }
}

/// The sides of a grey or colour image of `width` numbers, where nothing else says them: a square.
fn image(width: usize) -> [usize; 3] {
    let square = |pixels: usize| Some(pixels.isqrt()).filter(|side| side * side == pixels);
    match (square(width), square(width / 3).filter(|_| width.is_multiple_of(3))) {
        (Some(side), _) => [1, side, side],
        (None, Some(side)) => [3, side, side],
        (None, None) => [width, 1, 1],
    }
}

/// How many classes `values` are, if they are whole numbers 0, 1, 2, ... or 1, 2, 3, ... with none left out.
fn classes_of(values: impl Iterator<Item = f32>, outputs: Option<usize>) -> Option<usize> {
    let limit = outputs.unwrap_or(MOST_CLASSES);
    let found: BTreeSet<u32> = values.map(|value| class(value, limit)).collect::<Option<_>>()?;
    let (first, last) = (*found.first()?, *found.last()?);
    (found.len() > 1 && first <= 1 && (last - first) as usize + 1 == found.len()).then_some(found.len())
}

/// The different values, if all are whole numbers that can be classes.
fn whole(values: impl Iterator<Item = f32>) -> Option<BTreeSet<u32>> {
    values.map(|value| class(value, MOST_CLASSES)).collect()
}

impl CsvTable {
    /// An error if the label was taken from the last column though it may as well be the first, as in tables of images.
    fn check_label(&self, outputs: Option<usize>) -> Result<()> {
        let Given::Numbers(labels) = &self.labels else { return Ok(()) };
        let width = self.columns.features.len();
        if self.columns.is_named || outputs == Some(1) || self.columns.features.first() != Some(&0) {
            return Ok(());
        }
        let column = || self.features.iter().step_by(width).copied();
        let is_binary = |value: &f32| [0.0, 1.0].contains(value);
        let is_mask = || {
            self.columns.count >= WIDE
                && labels.iter().all(is_binary)
                && self.features.chunks(width).all(|row| row[1..].iter().all(is_binary))
        };
        // Where all else is 0 or 1, a first column that goes beyond is the label of an image of two colours.
        let values = whole(column()).filter(|values| values.last() > Some(&1));
        let mask = values.filter(|_| is_mask()).map(|values| values.len());
        let Some(first) = mask.or_else(|| classes_of(column(), outputs)) else { return Ok(()) };
        let is_one = labels.iter().all(|label| label == &labels[0]) && labels.len() > 1;
        let are_bytes = || {
            let is_byte = |value: &f32| value.fract() == 0.0 && (0.0..=255.0).contains(value);
            self.features.iter().all(is_byte) && self.features.iter().any(|&value| value >= 16.0)
        };
        let is_ambiguous = is_one || mask.is_some() || (self.columns.count >= WIDE && are_bytes());
        if !is_ambiguous {
            return Ok(());
        }
        let last = self.columns.label + 1;
        let found = if is_one { format!("{} alone", labels[0]) } else { "whole numbers too".into() };
        Err(Error::data(
            &self.path,
            format!(
                "expected a header that names the label; without one it is the last column, which holds {found}, and the \
                 first holds {first} different whole numbers: say which with --label-column 1 or --label-column {last}"
            ),
        ))
    }
}
