//! What the columns of a table are: which one is the label, which ones number the rows, and in which order the others are
//! features. The header line says it where there is one; else the label is the last column.

use super::diagnostics::Diagnostics;
use crate::error::{Error, Result, printable_path};
use std::path::Path;

/// Characters of a field that an error shows.
const SHOWN: usize = 40;

/// Names of the label's column, without case and signs (`Class Label` is `classlabel`).
const LABELS: [&str; 20] = [
    "label",
    "labels",
    "class",
    "classes",
    "target",
    "targets",
    "species",
    "category",
    "classid",
    "classlabel",
    "classname",
    "classnumber",
    "labelid",
    "labelname",
    "targetclass",
    "targetlabel",
    "groundtruth",
    "categoryid",
    "digit",
    "categoryname",
];

/// Names that columns of labels have in well-known tables, and that a feature may have as well: they count where no name of
/// [`LABELS`] is there.
const OUTCOMES: [&str; 7] = ["survived", "outcome", "diagnosis", "quality", "emotion", "result", "go"];

/// Names of columns that number the rows. The empty one is the index that pandas writes.
const IDS: [&str; 11] =
    ["", "id", "ids", "index", "idx", "uid", "uuid", "rowid", "imageid", "sampleid", "unnamed0"];

/// Consecutive numbered names, as `pixel782,pixel783`, from which a last column is taken for one more of them.
const SERIES: usize = 3;

/// Columns from which a first line 0,1,2,... is taken for a header of numbers.
const NUMBERED: usize = 5;

/// The meaning of a table's columns.
#[derive(Clone, Debug)]
pub(super) struct Columns {
    /// Names, if the table has a header.
    pub names: Option<Vec<String>>,
    /// All columns of a line.
    pub count: usize,
    pub label: usize,
    /// Whether a flag or the header names the label.
    pub is_named: bool,
    /// The columns that are features, in their order.
    pub features: Vec<usize>,
}

/// What is known of a table before its second line is read.
pub(super) struct FirstLine<'a> {
    pub path: &'a Path,
    /// Number of the first line with something in it.
    pub line: u64,
    /// Its fields, without quotes.
    pub fields: Vec<String>,
    /// Which of them are numbers.
    pub numbers: Vec<bool>,
}

impl FirstLine<'_> {
    fn wrong(&self, what: String) -> Error {
        Error::data(self.path, format!("line {}: {what}", self.line))
    }

    /// Whether the line names columns: it contains no number, or a name that only a header has.
    fn is_header(&self, chosen: Option<&str>) -> bool {
        let is_name = |(field, number): (&String, &bool)| {
            let key = key(field);
            let wanted = chosen.is_some_and(|name| field.eq_ignore_ascii_case(name.trim()));
            !number
                && (wanted
                    || LABELS.contains(&key.as_str())
                    || (IDS.contains(&key.as_str()) && !key.is_empty()))
        };
        !self.numbers.contains(&true) || self.fields.iter().zip(&self.numbers).any(is_name)
    }

    /// Understands the columns of a table; `chosen` is the name or number of the label's, if one was given. With `tells_label`,
    /// a note always names the label's column.
    pub fn columns(
        self,
        chosen: Option<&str>,
        tells_label: bool,
        diagnostics: &mut Diagnostics,
    ) -> Result<Columns> {
        let count = self.fields.len();
        if !self.is_header(chosen) {
            let counts_from = |first: usize| {
                let is_next = |(at, field): (usize, &String)| *field == (at + first).to_string();
                self.fields.iter().enumerate().all(is_next)
            };
            if count >= NUMBERED && (counts_from(0) || counts_from(1)) {
                return Err(self.wrong(format!(
                    "expected a sample or names of columns, found the numbers of the columns ({}, {}, ...); give the columns \
                     names or remove the line",
                    self.fields[0], self.fields[1]
                )));
            }
            let label = match chosen {
                None => count - 1,
                Some(text) => number(text, count).ok_or_else(|| {
                    let what = format!("a number of 1 to {count}, as the table has no header");
                    self.wrong(format!("--label-column {text}: expected {what}, found another"))
                })?,
            };
            let features = (0..count).filter(|&column| column != label).collect();
            return Ok(Columns { names: None, count, label, is_named: chosen.is_some(), features });
        }
        let (label, is_named) = match chosen {
            Some(text) => {
                (column_of(&self.fields, text, "label-column").map_err(|what| self.wrong(what))?, true)
            }
            None => self.label()?,
        };
        let is_id = |column: &usize| *column != label && IDS.contains(&key(&self.fields[*column]).as_str());
        let (ids, features): (Vec<_>, Vec<_>) = (0..count).filter(|&column| column != label).partition(is_id);
        for id in ids {
            diagnostics.warn(format!(
                "{}: column {}, {:?}, is left out, since it numbers the rows",
                printable_path(Path::new(self.path.file_name().unwrap_or_default())),
                id + 1,
                short(&self.fields[id])
            ));
        }
        if features.is_empty() {
            let what = "expected a column besides the label, found none; a list of image files is read with --dataset list";
            return Err(self.wrong(what.into()));
        }
        let found = format!("label: column {}, {:?}", label + 1, short(&self.fields[label]));
        if !is_named {
            diagnostics.warn(format!("{found} (the last); --label-column names another"));
        } else if tells_label {
            diagnostics.add(found);
        }
        Ok(Columns { names: Some(self.fields), count, label, is_named, features })
    }

    /// The label's column by the names of the header, and whether one of them says so.
    fn label(&self) -> Result<(usize, bool)> {
        let keys: Vec<String> = self.fields.iter().map(|field| key(field)).collect();
        let last = keys.len() - 1;
        let mut found: Vec<usize> = (0..keys.len()).filter(|&n| LABELS.contains(&keys[n].as_str())).collect();
        // Beside an x, a y is a coordinate as well.
        let is_coordinate = keys.iter().any(|key| key == "x");
        let y: Vec<usize> = (0..keys.len()).filter(|&n| keys[n] == "y").collect();
        if !is_coordinate {
            found.extend(&y);
        } else if let (true, Some(&y)) = (found.is_empty() && !y.contains(&last), y.first()) {
            found.extend([y, last]);
        }
        if found.is_empty() {
            found.extend((0..keys.len()).filter(|&n| OUTCOMES.contains(&keys[n].as_str())));
        }
        found.sort_unstable();
        match found[..] {
            [label] => Ok((label, true)),
            [] if self.is_series() => Err(self.wrong(format!(
                "expected a column for the label (label, class, target, y, ...), found numbered ones up to {:?}; \
                 --label-column names it",
                short(&self.fields[last])
            ))),
            [] => Ok((last, false)),
            _ => {
                let names = found.iter().map(|&n| format!("{:?} (column {})", short(&self.fields[n]), n + 1));
                Err(self.wrong(format!(
                    "expected one column for the label, found {}; --label-column says which",
                    names.collect::<Vec<_>>().join(" and ")
                )))
            }
        }
    }

    /// Whether the last columns are one series: pixel781, pixel782, pixel783.
    fn is_series(&self) -> bool {
        let parts = |name: &String| {
            let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
            Some((stem.to_string(), name[stem.len()..].parse::<u64>().ok()?))
        };
        let last: Option<Vec<_>> = self.fields.iter().rev().take(SERIES).map(parts).collect();
        last.is_some_and(|last| {
            last.len() == SERIES
                && last.windows(2).all(|two| two[0].0 == two[1].0 && two[0].1 == two[1].1 + 1)
        })
    }
}

/// The column of a header `fields` that `text`, the value of `option`, names: by its name or its number from 1.
pub(super) fn column_of(fields: &[String], text: &str, option: &str) -> Result<usize, String> {
    let is_it = |&column: &usize| fields[column].eq_ignore_ascii_case(text.trim());
    let named: Vec<usize> = (0..fields.len()).filter(is_it).collect();
    let numbered = number(text, fields.len());
    match (&named[..], numbered) {
        (&[column], None) => Ok(column),
        (&[column], Some(other)) if column == other => Ok(column),
        ([], Some(column)) => Ok(column),
        ([], None) => {
            let first: Vec<_> = fields.iter().take(4).map(|field| short(field)).collect();
            let more = if fields.len() > 4 { ", ..." } else { "" };
            Err(format!(
                "--{option} {text}: expected one of the {} columns {}{more}, found none of that name",
                fields.len(),
                first.join(", ")
            ))
        }
        (named, _) => Err(format!(
            "--{option} {text}: expected one column, found {}",
            named
                .iter()
                .copied()
                .chain(numbered)
                .map(|n| format!("column {}", n + 1))
                .collect::<Vec<_>>()
                .join(" and ")
        )),
    }
}

/// The column without a name that `text`, the value of `option`, names by its number from 1.
pub(super) fn column_numbered(count: usize, text: &str, option: &str) -> Result<usize, String> {
    number(text, count).ok_or_else(|| {
        format!("--{option} {text}: expected a number of 1 to {count}, as there is no header, found another")
    })
}

/// A column's number, counted from 1, as its place.
fn number(text: &str, count: usize) -> Option<usize> {
    text.trim().parse::<usize>().ok().filter(|n| (1..=count).contains(n)).map(|n| n - 1)
}

/// Whether `name` is one of a column of labels.
pub(super) fn is_label(name: &str) -> bool {
    LABELS.contains(&key(name).as_str())
}

/// Whether `name` is one of a column that numbers the rows.
pub(super) fn is_id(name: &str) -> bool {
    IDS.contains(&key(name).as_str())
}

/// A name without case, blanks and signs.
pub(super) fn key(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// As much of a field as an error shows.
pub(super) fn short(field: &str) -> String {
    field.chars().take(SHOWN).collect()
}

impl Columns {
    /// Whether all features are called as pixels are: pixel0, pixel1, ... or 1x1, 1x2, ...
    pub fn are_pixels(&self) -> bool {
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let is_pixel = |name: &String| match name.split_once('x') {
            Some((row, column)) if is_number(row) => is_number(column),
            _ => key(name).strip_prefix("pixel").is_some_and(is_number),
        };
        self.names.as_ref().is_some_and(|names| self.features.iter().all(|&column| is_pixel(&names[column])))
    }

    /// The columns of the validation table in the order of this one, the training table; `None` if it has no label.
    pub fn of_validation(&self, start: FirstLine) -> Result<Option<Columns>> {
        let chosen = self.names.as_ref().map(|names| names[self.label].as_str());
        let Some(names) = &self.names else {
            if start.is_header(None) {
                return Err(start
                    .wrong("expected numbers, as train.csv has no header, found names of columns".into()));
            }
            if start.fields.len() + 1 == self.count {
                return Ok(None);
            }
            return match start.fields.len() == self.count {
                true => Ok(Some(self.clone())),
                false => Err(start.wrong(format!(
                    "expected {} columns as in train.csv, found {}",
                    self.count,
                    start.fields.len()
                ))),
            };
        };
        if !start.is_header(chosen) {
            return Err(start.wrong("expected the header of train.csv, found numbers".into()));
        }
        if start.fields == *names {
            return Ok(Some(self.clone()));
        }
        let place = |name: &str| -> Result<Option<usize>> {
            let found: Vec<_> =
                (0..start.fields.len()).filter(|&n| key(&start.fields[n]) == key(name)).collect();
            match found[..] {
                [] => Ok(None),
                [one] => Ok(Some(one)),
                _ => Err(start.wrong(format!(
                    "expected the columns of train.csv, found {:?} {} times in another order",
                    short(name),
                    found.len()
                ))),
            }
        };
        let Some(label) = place(&names[self.label])? else { return Ok(None) };
        let mut features = Vec::with_capacity(self.features.len());
        for &column in &self.features {
            let name = &names[column];
            let what = || format!("expected the columns of train.csv, found no column {:?}", short(name));
            features.push(place(name)?.ok_or_else(|| start.wrong(what()))?);
        }
        let is_known =
            |n: &usize| *n == label || features.contains(n) || IDS.contains(&key(&start.fields[*n]).as_str());
        if let Some(extra) = (0..start.fields.len()).find(|n| !is_known(n)) {
            let what = format!(
                "expected the columns of train.csv, found one more, {:?}",
                short(&start.fields[extra])
            );
            return Err(start.wrong(what));
        }
        Ok(Some(Columns {
            count: start.fields.len(),
            names: Some(start.fields),
            label,
            is_named: self.is_named,
            features,
        }))
    }
}
