//! Tables whose images stand in one column, as numbers with blanks between them, as in FER2013: `emotion,pixels,Usage`.

use super::rows::class;
use crate::data::columns::{column_of, is_id, is_label, key, short};
use crate::data::dataset::{Dataset, Images, Labels};
use crate::data::delimited::{Rows, wrong};
use crate::data::diagnostics::Diagnostics;
use crate::data::parts::{Role, validation_files};
use crate::data::range::check_bytes;
use crate::data::raw::{RawSplit, RawSplits};
use crate::data::request::{MOST_CLASSES, Request};
use crate::error::{Error, Result, printable_path};
use std::path::Path;

/// Names of the column that says which part of the data a row belongs to.
const USAGES: [&str; 3] = ["usage", "split", "set"];

/// The columns of such a table.
#[derive(Clone, Copy, Debug)]
struct FaceColumns {
    count: usize,
    pixels: usize,
    /// None for images to be classified.
    label: Option<usize>,
    usage: Option<usize>,
}

/// The images of one part.
#[derive(Debug, Default)]
struct Faces {
    /// What the column of the part says; empty without one.
    usage: String,
    pixels: Vec<u8>,
    labels: Vec<u32>,
}

fn is_usage(name: &str) -> bool {
    USAGES.contains(&key(name).as_str())
}

/// Whether the first rows of the table `path` have a column called pixels with numbers between blanks.
pub(super) fn has_faces(path: &Path) -> bool {
    let first_two = || -> Result<bool> {
        let mut rows = Rows::open(path)?;
        let (Some(header), Some(row)) = (rows.next()?, rows.next()?) else { return Ok(false) };
        let is_image = |field: &String| {
            let mut words = field.split_whitespace();
            words.clone().count() > 1 && words.all(|word| word.parse::<f32>().is_ok())
        };
        let place = header.fields.iter().position(|name| key(name) == "pixels");
        Ok(place.and_then(|place| row.fields.get(place)).is_some_and(is_image))
    };
    first_two().unwrap_or(false)
}

/// Reads the file `path`, or in the folder `path` `train.csv` and a table of validation samples, if it has labels.
pub(super) fn open(
    path: &Path,
    name: &str,
    request: &Request,
    diagnostics: &mut Diagnostics,
) -> Result<RawSplits> {
    let train_path = if path.is_dir() { path.join("train.csv") } else { path.to_path_buf() };
    check_bytes(request.input_range, &train_path)?;
    let chosen = request.label_column.as_deref();
    let (side, parts) = read(&train_path, chosen)?.ok_or_else(|| {
        Error::data(&train_path, "expected a column of labels beside the pixels, found none")
    })?;
    let mut train = None;
    let mut others: Vec<(Role, Faces)> = Vec::new();
    for (role, part) in roles(parts, &train_path, Role::Train)? {
        match (role, &train) {
            (Role::Train, None) => train = Some(part),
            (Role::Train, Some(train)) => {
                let [one, other] = [train, &part].map(|part| short(&part.usage));
                let what = format!("expected one usage for training, found \"{one}\" and \"{other}\"");
                return Err(Error::data(&train_path, what));
            }
            _ => others.push((role, part)),
        }
    }
    let train =
        train.ok_or_else(|| Error::data(&train_path, "expected rows of the training part, found none"))?;
    let mut val_path = train_path.clone();
    let mut val = validation(others, "", diagnostics);
    let file_name = |file: &Path| printable_path(Path::new(file.file_name().unwrap_or_default()));
    let (mut file, mut left) = if path.is_dir() { validation_files(path, "csv") } else { (None, Vec::new()) };
    let used = match &val {
        Some(val) => {
            left = file.take().into_iter().chain(left).collect();
            format!("usage {} in train.csv", short(&val.usage))
        }
        None => file.as_deref().map_or_else(String::new, file_name),
    };
    for other in left {
        let other = file_name(&other);
        diagnostics.add(format!("{other} is left alone: the validation samples are those of {used}"));
    }
    if let Some(file) = file {
        let file_name = file_name(&file);
        match read(&file, chosen)? {
            Some((other, parts)) if other == side => {
                let parts = roles(parts, &file, Role::Validation)?;
                val = validation(parts, &format!("{file_name}: "), diagnostics);
                val_path = file;
            }
            Some((other, _)) => {
                let what = format!("expected images of {side}x{side} as in train.csv, found {other}x{other}");
                return Err(Error::data(&file, what));
            }
            None => diagnostics.warn(format!("{file_name} is left alone: it has no labels")),
        }
    }
    let split = |part: Faces, path: &Path| RawSplit {
        dataset: Dataset {
            name: name.to_string(),
            shape: [1, side, side],
            classes: 0,
            class_names: Vec::new(),
            images: Images::U8(part.pixels),
            labels: Labels::Classes(part.labels),
        },
        images_path: path.to_path_buf(),
        labels_path: path.to_path_buf(),
    };
    Ok(RawSplits { train: split(train, &train_path), val: val.map(|val| split(val, &val_path)) })
}

/// The parts of the table `path`, each with what its usage says; without a column of usages, the one part is `default`.
fn roles(parts: Vec<Faces>, path: &Path, default: Role) -> Result<Vec<(Role, Faces)>> {
    let with_role = |part: Faces| {
        let role = if part.usage.is_empty() { Some(default) } else { role(&part.usage) };
        let usage = short(&part.usage);
        role.map(|role| (role, part)).ok_or_else(|| {
            let what = format!("expected Training, Validation or Test as usage, found \"{usage}\"");
            Error::data(path, what)
        })
    };
    parts.into_iter().map(with_role).collect()
}

/// The part of `parts` to validate on. The others are left alone, and a line that begins with `place` says so.
fn validation(mut parts: Vec<(Role, Faces)>, place: &str, diagnostics: &mut Diagnostics) -> Option<Faces> {
    // Stable: of two parts for tests, the first in the file.
    parts.sort_by_key(|(role, _)| match role {
        Role::Validation => 0,
        Role::Test => 1,
        Role::Unlabelled => 2,
        Role::Train => 3,
    });
    let mut parts = parts.into_iter().map(|(_, part)| part);
    let val = parts.next()?;
    for part in parts {
        diagnostics.add(format!(
            "{place}{} samples of usage {} are left alone: the validation samples are those of {}",
            part.labels.len(),
            short(&part.usage),
            short(&val.usage)
        ));
    }
    Some(val)
}

fn role(usage: &str) -> Option<Role> {
    Role::of(usage).or_else(|| Role::within(usage))
}

/// The columns that the header `names` names.
fn columns(names: &[String], chosen: Option<&str>) -> Result<FaceColumns, String> {
    let all: Vec<usize> = (0..names.len()).collect();
    let pixels: Vec<usize> = all.iter().copied().filter(|&n| key(&names[n]) == "pixels").collect();
    let [pixels] = pixels[..] else {
        return Err(format!("expected one column of pixels, found {}", pixels.len()));
    };
    let usage = all.iter().copied().find(|&n| is_usage(&names[n]));
    let free: Vec<usize> = all
        .into_iter()
        .filter(|&n| n != pixels && Some(n) != usage && !(is_id(&names[n]) && chosen.is_none()))
        .collect();
    let label = match chosen {
        Some(text) => Some(column_of(names, text, "label-column")?),
        None => match free[..] {
            [] => None,
            [label] => Some(label),
            _ => match free.iter().filter(|&&n| is_label(&names[n])).collect::<Vec<_>>()[..] {
                [&label] => Some(label),
                _ => {
                    let found: Vec<String> = free.iter().take(4).map(|&n| short(&names[n])).collect();
                    return Err(format!(
                        "expected one column of labels beside the pixels, found {}; --label-column says which",
                        found.join(", ")
                    ));
                }
            },
        },
    };
    if label == Some(pixels) {
        return Err("--label-column: expected another column than that of the pixels".into());
    }
    Ok(FaceColumns { count: names.len(), pixels, label, usage: usage.filter(|_| label != usage) })
}

/// The side of the images and the images of each part of the table `path`; `None` if it has no labels.
fn read(path: &Path, chosen: Option<&str>) -> Result<Option<(usize, Vec<Faces>)>> {
    let none = || Error::data(path, "expected rows of a label and pixels, found none");
    let mut rows = Rows::open(path)?;
    let header = rows.next()?.ok_or_else(none)?;
    let columns = columns(&header.fields, chosen).map_err(|what| wrong(path, header.line, what))?;
    let Some(label) = columns.label else { return Ok(None) };
    let mut parts: Vec<Faces> = Vec::new();
    let mut pixels = None;
    while let Some(row) = rows.next()? {
        let fault = |what: String| wrong(path, row.line, what);
        if row.fields.len() != columns.count {
            return Err(fault(format!("expected {} columns, found {}", columns.count, row.fields.len())));
        }
        let usage = columns.usage.map_or("", |usage| &row.fields[usage]);
        let place = parts.iter().position(|part| part.usage == usage).unwrap_or_else(|| {
            parts.push(Faces { usage: usage.to_string(), ..Faces::default() });
            parts.len() - 1
        });
        // Few texts name parts.
        if parts.len() > 16 {
            return Err(fault("expected a few parts of the data as usage, found more than 16".into()));
        }
        let part = &mut parts[place];
        let before = part.pixels.len();
        for word in row.fields[columns.pixels].split_whitespace() {
            part.pixels.push(word.parse().map_err(|_| {
                let what = "expected a whole number 0 to 255";
                fault(format!("column {}: {what}, found {:?}", columns.pixels + 1, short(word)))
            })?);
        }
        let found = part.pixels.len() - before;
        let expected = *pixels.get_or_insert(found);
        if found != expected || found == 0 || found.isqrt().pow(2) != found {
            let wanted = if found == expected { "a square of".into() } else { format!("{expected}") };
            return Err(fault(format!(
                "column {}: expected {wanted} pixels, found {found}",
                columns.pixels + 1
            )));
        }
        let text = &row.fields[label];
        let class = text.parse().ok().and_then(|value| class(value, MOST_CLASSES)).ok_or_else(|| {
            fault(format!("column {}: expected a class (a whole number), found {:?}", label + 1, short(text)))
        })?;
        part.labels.push(class);
    }
    let side = pixels.ok_or_else(none)?.isqrt();
    Ok(Some((side, parts)))
}
