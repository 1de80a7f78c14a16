//! Reading the labels of images from ImageNet's files.

use super::super::columns::short;
use super::super::delimited::{Row, Rows, Separator, wrong};
use super::super::diagnostics::Diagnostics;
use super::super::directory::is_image;
use super::super::folder_index::{FolderIndex, Match};
use super::{LabelSource, SourceKind};
use crate::error::{Error, Result, printable_path};
use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::path::Path;

/// Longest name of a file, in bytes.
const LONGEST: usize = 255;

/// Words of a box in a prediction string: the class and two corners.
const BOX: usize = 5;

/// An image that a file labels.
#[derive(Debug)]
pub(in super::super) struct LabelledImage {
    pub class: u32,
    pub name: OsString,
    /// The line that labels it.
    pub line: u64,
}

/// A row: a file, with or without its ending, and the WordNet ID of its class.
struct Labelled {
    line: u64,
    file: String,
    class: String,
}

impl LabelSource {
    /// The images with their classes, which are numbered as `names` (sorted) are, by class and by name: the order of folders of
    /// classes.
    ///
    /// Errors, with the line: rows of another form, an image of a class that `names` has not, no image at all.
    pub fn read(&self, names: &[OsString], diagnostics: &mut Diagnostics) -> Result<Vec<LabelledImage>> {
        let rows = match &self.kind {
            SourceKind::Tiny => self.tiny()?,
            SourceKind::Solution => self.solution()?,
            SourceKind::Truth { map } => self.truth(map)?,
        };
        let mut index = FolderIndex::default();
        let (mut images, mut seen) = (Vec::new(), HashSet::new());
        let (mut missing, mut unknown) = (0, 0);
        for row in &rows {
            let Labelled { line, file, class } = row;
            let fault = |what: String| wrong(&self.path, *line, what);
            let name = OsStr::new(file);
            if Path::new(file).file_name() != Some(name) || file.len() > LONGEST {
                return Err(fault(format!("expected the name of an image file, found \"{}\"", short(file))));
            }
            let found = match index.find(&self.images, name)? {
                Match::File(found) => Some(found),
                Match::None => None,
                Match::Several([one, other]) => {
                    let both = [one, other].map(|file| printable_path(&self.images.join(file)));
                    return Err(fault(format!(
                        "expected one image called \"{file}\", found {} and {}",
                        both[0], both[1]
                    )));
                }
            };
            let number = names.binary_search_by(|known| known.as_encoded_bytes().cmp(class.as_bytes())).ok();
            match (found, number) {
                (Some(_), None) => {
                    return Err(fault(format!(
                        "expected a class that train has too, found \"{}\"",
                        short(class)
                    )));
                }
                // Of a class that was left out with its images.
                (None, None) => unknown += 1,
                (found, Some(class)) => {
                    missing += usize::from(found.is_none());
                    let name = found.unwrap_or_else(|| name.to_os_string());
                    if !seen.insert(name.clone()) {
                        return Err(fault(format!(
                            "expected each image once, found \"{}\" again",
                            short(file)
                        )));
                    }
                    images.push(LabelledImage { class: class as u32, name, line: *line });
                }
            }
        }
        let file = printable_path(Path::new(self.path.file_name().unwrap_or_default()));
        let at = printable_path(&self.images);
        if missing == images.len() {
            let what = format!("expected the images that it labels in {at}, found none of {}", rows.len());
            return Err(Error::data(&self.path, what));
        }
        diagnostics.add(format!("the images in {at} are labelled by {file}"));
        if missing > 0 {
            diagnostics
                .warn(format!("{missing} of the {} images that {file} labels are not in {at}", images.len()));
        }
        if unknown > 0 {
            diagnostics
                .add(format!("{file}: {unknown} rows of classes without training images are left out"));
        }
        let files = index.files(&self.images)?;
        let others = files.iter().filter(|name| is_image(name) && !seen.contains(*name)).count();
        if others > 0 {
            diagnostics.warn(format!("{others} images in {at} are left out: {file} does not label them"));
        }
        images.sort_by(|a, b| a.class.cmp(&b.class).then_with(|| a.name.cmp(&b.name)));
        Ok(images)
    }

    /// Rows of `val_0.JPEG`, `n03444034` and a box, with tabs between them.
    fn tiny(&self) -> Result<Vec<Labelled>> {
        let row = |row: Row| match &row.fields[..] {
            [file, class, ..] => Ok(Labelled { line: row.line, file: file.clone(), class: class.clone() }),
            _ => {
                let what = "expected a file name, a tab and a class such as n03444034, found one column";
                Err(wrong(&self.path, row.line, what))
            }
        };
        all(&self.path, Separator::Byte(b'\t'), row)
    }

    /// Rows of `ILSVRC2012_val_00048981` and `n03995372 85 1 499 272 n03995372 ...`, below the names of the columns.
    fn solution(&self) -> Result<Vec<Labelled>> {
        let row = |row: Row| {
            let fault = |what: &str| wrong(&self.path, row.line, what);
            let [file, boxes] = &row.fields[..] else {
                return Err(fault("expected the columns ImageId and PredictionString, found others"));
            };
            let words: Vec<&str> = boxes.split_whitespace().collect();
            let Some(&class) = words.first() else {
                return Err(fault("expected a class such as n03995372 and a box, found none"));
            };
            if words.chunks(BOX).any(|words| words.len() != BOX || words[0] != class) {
                return Err(fault("expected boxes of one class (n03995372 85 1 499 272), found others"));
            }
            Ok(Labelled { line: row.line, file: file.clone(), class: class.to_string() })
        };
        let is_header = |row: &Row| row.fields.first().is_some_and(|name| name == "ImageId");
        let mut rows = Rows::separated(&self.path, Separator::Byte(b','))?;
        let mut found = Vec::new();
        while let Some(next) = rows.next()? {
            if !is_header(&next) {
                found.push(row(next)?);
            }
        }
        Ok(found)
    }

    /// Line k is the class of the image whose name ends with k, as a number that `map` explains.
    fn truth(&self, map: &Path) -> Result<Vec<Labelled>> {
        let classes = classes_of(map)?;
        let numbers = all(&self.path, Separator::Blanks, |row| {
            let number = match &row.fields[..] {
                [number] => number.parse::<u32>().ok(),
                _ => None,
            };
            let class = number.and_then(|number| classes.get(&number));
            let class = class.ok_or_else(|| {
                let what = format!(
                    "expected a number of a class of {}, found \"{}\"",
                    printable_path(Path::new(map.file_name().unwrap_or_default())),
                    short(row.text.trim())
                );
                wrong(&self.path, row.line, what)
            })?;
            Ok((row.line, class.clone()))
        })?;
        let mut rows = Vec::new();
        for name in FolderIndex::default().files(&self.images)? {
            let Some(file) = name.to_str().filter(|_| is_image(name)) else { continue };
            let stem = Path::new(file).file_stem().unwrap_or_default().to_string_lossy();
            let digits = stem.len() - stem.trim_end_matches(|c: char| c.is_ascii_digit()).len();
            let number = stem[stem.len() - digits..].parse::<usize>().ok();
            let (line, class) =
                number.and_then(|number| numbers.get(number.checked_sub(1)?)).ok_or_else(|| {
                    let what = format!(
                        "expected an image whose name ends with a number of 1 to {}, as lines of {}, found another",
                        numbers.len(),
                        printable_path(Path::new(self.path.file_name().unwrap_or_default()))
                    );
                    Error::data(self.images.join(name), what)
                })?;
            rows.push(Labelled { line: *line, file: file.to_string(), class: class.clone() });
        }
        Ok(rows)
    }
}

/// The rows of `path`, each as `row` understands it.
fn all<T>(path: &Path, separator: Separator, row: impl Fn(Row) -> Result<T>) -> Result<Vec<T>> {
    let mut rows = Rows::separated(path, separator)?;
    let mut all = Vec::new();
    while let Some(next) = rows.next()? {
        all.push(row(next)?);
    }
    Ok(all)
}

/// The WordNet IDs of the development kit's numbers: rows of `n02119789 1 kit_fox`.
fn classes_of(map: &Path) -> Result<HashMap<u32, String>> {
    let mut classes = HashMap::new();
    all(map, Separator::Blanks, |row| match &row.fields[..] {
        [class, number, ..] if number.parse::<u32>().is_ok() => {
            Ok((row.line, number.parse::<u32>().unwrap_or_default(), class.clone()))
        }
        _ => Err(wrong(map, row.line, "expected a class and its number, such as n02119789 1, found others")),
    })?
    .into_iter()
    .try_for_each(|(line, number, class)| match classes.insert(number, class) {
        None => Ok(()),
        Some(_) => Err(wrong(map, line, format!("expected each number once, found {number} again"))),
    })?;
    Ok(classes)
}
