//! The first rows of a list, from which it is recognised and its columns are understood.

use super::super::columns::{is_id, is_label, key};
use super::super::delimited::{Row, Rows, Separator};
use super::super::directory::is_image;
use super::super::parts::Role;
use crate::error::Result;
use std::ffi::OsStr;
use std::path::Path;

/// Names of a column of image files, without case and signs (`image_id` is `imageid`).
const IMAGES: [&str; 36] = [
    "image",
    "images",
    "imagename",
    "imagenames",
    "imagefile",
    "imagefiles",
    "imagefilename",
    "imagepath",
    "imagepaths",
    "imageid",
    "imageindex",
    "img",
    "imgname",
    "imgfile",
    "imgpath",
    "imgid",
    "imgfilename",
    "file",
    "files",
    "filename",
    "filenames",
    "filepath",
    "filepaths",
    "fname",
    "fpath",
    "path",
    "paths",
    "relpath",
    "relativepath",
    "photo",
    "photoid",
    "picture",
    "pictureid",
    "idimage",
    "idcode",
    "isicid",
];

/// Names of a column that says to which part of the data a row belongs.
const SPLITS: [&str; 10] =
    ["split", "splits", "set", "subset", "dataset", "datasplit", "usage", "partition", "phase", "part"];

/// Most columns of a text that is taken for a list only because of a file name in it.
const MOST: usize = 32;

/// Whether `name` is one of a column of image files.
pub(super) fn is_image_name(name: &str) -> bool {
    IMAGES.contains(&key(name).as_str())
}

/// Whether `name` is one of a column that says which part a row belongs to.
pub(super) fn is_split_name(name: &str) -> bool {
    SPLITS.contains(&key(name).as_str())
}

/// Whether `field` is the name of an image file with its ending.
pub(super) fn is_file(field: &str) -> bool {
    is_image(OsStr::new(field))
}

/// The part of the data that `text` names.
pub(super) fn role(text: &str) -> Option<Role> {
    Role::of(text).or_else(|| Role::within(text))
}

/// How the rows of a list are cut into columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    /// Whether there are two columns, of which the second is the last word: a file name may have blanks in it.
    is_pair: bool,
}

impl Cut {
    /// The way in which rows like `row`, the first, are cut.
    fn of(row: &Row, separator: Separator) -> Cut {
        let words = &row.fields;
        let before_last =
            || is_file(last_word(&row.text).0) && words.iter().rev().skip(2).all(|word| !is_file(word));
        Cut { is_pair: separator == Separator::Blanks && (words.len() == 2 || before_last()) }
    }

    pub fn cells(self, row: Row) -> Vec<String> {
        if !self.is_pair {
            return row.fields;
        }
        let (name, label) = last_word(&row.text);
        let name = name.strip_prefix('"').and_then(|name| name.strip_suffix('"')).unwrap_or(name);
        vec![name.to_string(), label.to_string()]
    }
}

/// What stands before the last word, and that word.
fn last_word(text: &str) -> (&str, &str) {
    let text = text.trim();
    text.rsplit_once(char::is_whitespace).map_or((text, ""), |(name, label)| (name.trim_end(), label))
}

/// A row without an image that begins with `#` is a comment.
pub(super) fn is_comment(row: &Row) -> bool {
    row.text.trim_start().starts_with('#') && !row.fields.iter().any(|field| is_file(field))
}

/// The first two rows of a list.
pub(super) struct Start {
    pub cut: Cut,
    /// The line of the first row.
    pub line: u64,
    pub first: Vec<String>,
    pub second: Option<Vec<String>>,
}

impl Start {
    /// Reads the first rows of `path`; `None` if it has none.
    pub fn read(path: &Path) -> Result<Option<Start>> {
        let mut rows = Rows::open(path)?;
        let mut next = || -> Result<Option<(Row, Separator)>> {
            while let Some(row) = rows.next()? {
                if !is_comment(&row) {
                    return Ok(Some((row, rows.separator().unwrap_or(Separator::Blanks))));
                }
            }
            Ok(None)
        };
        let Some((first, separator)) = next()? else { return Ok(None) };
        let second = next()?.map(|(row, _)| row);
        // A header has no file name; the row after it may.
        let cut = [Some(&first), second.as_ref()]
            .into_iter()
            .flatten()
            .map(|row| Cut::of(row, separator))
            .reduce(|one, other| Cut { is_pair: one.is_pair && other.is_pair });
        let cut = cut.unwrap_or(Cut { is_pair: false });
        let line = first.line;
        Ok(Some(Start { cut, line, first: cut.cells(first), second: second.map(|row| cut.cells(row)) }))
    }

    /// Whether the rows are of image files with labels, in a file whose name says that it is a table (`is_table`) or does not.
    pub fn is_list(&self, is_table: bool) -> bool {
        let count = self.first.len();
        let second = self.second.as_ref().unwrap_or(&self.first);
        let is_number = |field: &String| field.parse::<f64>().is_ok();
        if count < 2 || self.first.iter().any(|name| key(name) == "predictionstring") {
            return false;
        }
        if count <= MOST && second.len() == count && second.iter().any(|field| is_file(field)) {
            return true;
        }
        if second.len() != count || self.first.iter().any(is_number) {
            return false;
        }
        let places = || (0..count).map(|n| (&self.first[n], &second[n]));
        let is_key = |name: &str| is_image_name(name) || (is_id(name) && !name.is_empty());
        // Neither the image nor the part: in a table of numbers there would be features among them.
        let others =
            || places().filter(|(name, _)| !is_key(name) && !name.is_empty() && !is_split_name(name));
        let has_label = others().any(|(name, _)| is_label(name));
        let mut features = others().filter(|(name, _)| !is_label(name)).peekable();
        let has_features =
            has_label && features.peek().is_some() && features.all(|(_, field)| is_number(field));
        let is_image = |(name, field): (&String, &String)| {
            // A column that numbers the rows of a table may be called image_id.
            is_image_name(name) && !is_number(field) && !(is_id(name) && has_features)
        };
        if places().any(is_image) {
            return true;
        }
        let others = others().count();
        let has_key = places().any(|(name, _)| is_key(name));
        let has_words = is_table && count == 2 && self.second.is_some() && !second.iter().any(is_number);
        (has_key && others == 1) || (has_words && !self.first.iter().all(|name| is_label(name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(rows: &[&[&str]]) -> Start {
        let cells = |row: &&[&str]| row.iter().map(|cell| cell.to_string()).collect::<Vec<_>>();
        Start { cut: Cut { is_pair: false }, line: 1, first: cells(&rows[0]), second: rows.get(1).map(cells) }
    }

    #[test]
    fn lists_of_images_are_told_from_tables_of_numbers() {
        for rows in [
            &[&["id", "breed"][..], &["000bec", "boston_bull"]][..],
            &[&["id", "label"], &["1", "frog"]],
            &[&["", "split", "image_id", "species"], &["7", "train", "0007", "cat"]],
            &[&["a.jpg", "3"]],
            &[&["Width", "ClassId", "Path"], &["27", "20", "Train/20/x.png"]],
            &[&["image_id", "healthy", "rust"], &["Train_0", "0", "1"]],
            &[&["x1", "cat"], &["x2", "dog"]],
            &[&["id_code", "diagnosis"], &["000c1434d8d7", "2"]],
            &[&["Image", "Id"], &["0000e88ab.jpg", "w_f48451c"]],
            &[&["file", "label", "width"], &["a", "x", "640"]],
            &[&["lesion_id", "image_id", "dx", "age"], &["H1", "I1", "bkl", "80"]],
        ] {
            assert!(start(rows).is_list(true), "{rows:?}");
        }
        for rows in [
            &[&["id", "a", "label"][..], &["1", "0.5", "2"]][..],
            &[&["x", "y"], &["1", "2"]],
            &[&["1", "2"], &["3", "4"]],
            &[&["sepal", "species"], &["5.1", "setosa"]],
            &[&["image_id", "a", "label"], &["1", "0.5", "2"]],
            &[&["image_id", "a", "label"], &["row-1", "0.5", "2"]],
            &[&["red", "green"]],
            &[&["ImageId", "PredictionString"], &["x", "n01 1 2 3 4"]],
            &[&["name"], &["a.jpg"]],
        ] {
            assert!(!start(rows).is_list(true), "{rows:?}");
        }
        assert!(!start(&[&["n00001740", "entity"], &["n00001930", "thing"]]).is_list(false));
    }
}
