//! Images in Parquet files, as the Hugging Face Hub stores them: one row a sample, with the encoded image as bytes and the label as an
//! integer or a text.
//!
//! Labels are read when the data is opened, images when they are needed. The order of the samples is that of the rows, file by file.
//! Texts as labels are numbered in the order of their bytes, as the folders of an image folder are.

mod chunk;
mod decompress;
mod images;
mod labels;
mod schema;

use super::contain::contained;
use super::dataset::{Dataset, Images, Labels, Store, Stored};
use super::diagnostics::Diagnostics;
use super::framing::Frame;
use super::locate::Location;
use super::raw::{RawSplit, RawSplits};
use super::request::Request;
use super::shards::{self, ShardStore};
use crate::error::{Error, Result, printable, printable_path};
use chunk::{PageFile, text};
use images::{Group, ParquetSamples};
use labels::{FileLabels, LabelReader, NONE};
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use schema::Columns;
use std::collections::BTreeSet;
use std::fs::File;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How the names of the files end.
pub(super) const EXTENSION: &str = "parquet";

/// A file without its images.
struct Opened {
    path: PathBuf,
    length: u64,
    columns: Columns,
    labels: FileLabels,
    /// Row groups, numbered within the file.
    groups: Vec<Group>,
}

/// Opens the files that `place` names; images are brought to the request's frame.
pub(super) fn open(place: &Location, request: &Request, diagnostics: &mut Diagnostics) -> Result<RawSplits> {
    let frame = request.frame();
    check_channels(frame)?;
    let found = shards::find(place, EXTENSION, diagnostics)?;
    let read = |path: &PathBuf| read(path, request);
    let train = found.train.iter().map(read).collect::<Result<Vec<_>>>()?;
    let mut val = found.val.iter().map(read).collect::<Result<Vec<_>>>()?;
    let first = train.first().ok_or_else(|| Error::Internal("a data set without files".into()))?;
    for file in train.iter().chain(&val) {
        let names = |file: &Opened| (file.columns.image.name.clone(), file.columns.label.name.clone());
        if names(file) != names(first) || file.columns.names != first.columns.names {
            let what = format!(
                "expected the columns and classes of {}, found others",
                printable_path(Path::new(first.path.file_name().unwrap_or_default()))
            );
            return Err(Error::data(&file.path, what));
        }
    }
    if !val.is_empty() && val.iter().all(Opened::is_unlabelled) {
        diagnostics.warn(format!(
            "the validation files are left alone: column {} holds no labels there (null or -1); validation samples are taken \
             from the training files",
            first.columns.label.name
        ));
        val.clear();
    }
    let mut names = first.columns.names.clone();
    if names.is_empty() {
        names = text_names(&train);
    }
    let label = |files: &[Opened]| -> Result<Vec<u32>> {
        let mut labels = Vec::with_capacity(files.iter().map(Opened::len).sum());
        for file in files {
            file.number(&names, &mut labels)?;
        }
        Ok(labels)
    };
    let [train_labels, val_labels] = [label(&train)?, label(&val)?];
    if train_labels.is_empty() {
        return Err(Error::data(&place.path, "expected rows with images, found none"));
    }
    let (counts, paths) =
        ([train_labels.len(), val_labels.len()], [path_of(&train, place), path_of(&val, place)]);
    if counts[0].saturating_add(counts[1]) > u32::MAX as usize {
        return Err(Error::data(
            &place.path,
            format!("expected at most {} rows in all, found more", u32::MAX),
        ));
    }
    let column = first.columns.image.name.clone();
    let store = store(train.into_iter().chain(val), column, frame, request.ignore_exif);
    let [train_path, val_path] = paths;
    let part = |labels: Vec<u32>, first: usize, path: PathBuf| {
        let indices = (first as u32..).take(labels.len()).collect();
        let store = Arc::clone(&store);
        let dataset = Dataset {
            name: place.name.clone(),
            shape: frame.shape,
            classes: 0,
            class_names: names.clone(),
            images: Images::Stored(Stored { store, indices, framing: Some(frame.framing) }),
            labels: Labels::Classes(labels),
        };
        RawSplit { dataset, images_path: path.clone(), labels_path: path }
    };
    let has_val = counts[1] > 0;
    let train = part(train_labels, 0, train_path);
    Ok(RawSplits { val: has_val.then(|| part(val_labels, counts[0], val_path)), train })
}

/// A usage error if images cannot have the model's channels.
fn check_channels(frame: Frame) -> Result<()> {
    match frame.shape[0] {
        1 | 3 => Ok(()),
        channels => Err(Error::Usage(format!(
            "dataset: images in files are grey or colour (1 or 3 channels), the model takes {channels} channels"
        ))),
    }
}

/// The file that messages about a whole part name.
fn path_of(files: &[Opened], place: &Location) -> PathBuf {
    match files {
        [file] => file.path.clone(),
        _ => place.path.clone(),
    }
}

fn store(
    files: impl Iterator<Item = Opened>,
    column: String,
    frame: Frame,
    ignore_exif: bool,
) -> Arc<dyn Store> {
    let (mut paths, mut lengths, mut groups, mut first) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for (number, file) in files.enumerate() {
        let len = file.len();
        groups.extend(file.groups.into_iter().map(|group| Group {
            file: number,
            first: first + group.first_in_file,
            ..group
        }));
        paths.push(file.path);
        lengths.push(file.length);
        first += len;
    }
    let samples = ParquetSamples::new(paths, lengths, groups, column);
    Arc::new(ShardStore::new(samples, frame, ignore_exif))
}

/// The names of the classes that are given as texts, in the order of their bytes.
fn text_names(files: &[Opened]) -> Vec<String> {
    let mut names = BTreeSet::new();
    for file in files {
        if let FileLabels::Names(_, known) = &file.labels {
            names.extend(known.iter().cloned());
        }
    }
    names.into_iter().collect()
}

/// Everything of the file at `path` but its images.
fn read(path: &PathBuf, request: &Request) -> Result<Opened> {
    let bad = |what: String| Error::data(path, printable(&what));
    let io = |error| Error::io(path, error);
    // Before it is opened: opening a pipe would wait for its other end.
    if !std::fs::metadata(path).map_err(io)?.is_file() {
        return Err(bad("expected a Parquet file, found a folder, a pipe or a device".into()));
    }
    let file = File::open(path).map_err(io)?;
    let length = file.metadata().map_err(io)?.len();
    let again = || File::open(path).map(|file| PageFile::new(file, length)).map_err(io);
    let metadata = metadata(PageFile::new(file, length)).map_err(bad)?;
    let file = metadata.file_metadata();
    let columns = schema::columns(file, request.image_column.as_deref(), request.label_column.as_deref());
    let columns = columns.map_err(|what| match what.contains("-column ") {
        // An option that names no column is the user's.
        true if request.image_column.is_some() || request.label_column.is_some() => {
            Error::data(path, printable(&what))
        }
        _ => bad(what),
    })?;
    let (mut labels, mut groups, mut rows) = (LabelReader::default(), Vec::new(), 0usize);
    for group in metadata.row_groups() {
        let count = usize::try_from(group.num_rows())
            .map_err(|_| bad("expected a number of rows, found a negative one".into()))?;
        let leaves = group.num_columns();
        if leaves != file.schema_descr().num_columns() {
            return Err(bad(format!("expected as many column chunks as columns, found {leaves}")));
        }
        // A few bytes can claim any number of rows with one label; each has an image that takes bytes.
        if rows.checked_add(count).is_none_or(|rows| rows as u64 > length) {
            return Err(bad(format!(
                "expected at most {length} rows in a file of {length} bytes, found more"
            )));
        }
        let wrong =
            |what| bad(format!("column {}, row group from row {rows} on: {what}", columns.label.name));
        labels.add(again()?, group.column(columns.label.number), count).map_err(wrong)?;
        let chunk = group.column(columns.image.number).clone().into_builder().clear_statistics().build();
        let chunk = chunk.map_err(|error| bad(text(&error)))?;
        groups.push(Group { file: 0, first_in_file: rows, first: 0, rows: count, chunk });
        rows += count;
    }
    check_embedded(&metadata, &columns, rows).map_err(bad)?;
    Ok(Opened { path: path.clone(), length, columns, labels: labels.finish(), groups })
}

fn metadata(file: PageFile) -> Result<ParquetMetaData, String> {
    let read = contained(AssertUnwindSafe(|| ParquetMetaDataReader::new().parse_and_finish(&file)));
    read.ok_or("not a whole Parquet file: its bytes break the decoder")?
        .map_err(|error| format!("not a whole Parquet file: {}", text(&error)))
}

/// An error if the file has no image, only the paths of files, as `datasets` writes files that lie on the writer's machine.
fn check_embedded(metadata: &ParquetMetaData, columns: &Columns, rows: usize) -> Result<(), String> {
    let nulls = |leaf: usize| -> Option<u64> {
        let groups = metadata.row_groups().iter();
        groups.map(|group| group.column(leaf).statistics()?.null_count_opt()).sum()
    };
    let has_paths = columns.path.is_some_and(|path| nulls(path).is_none_or(|nulls| nulls < rows as u64));
    if rows > 0 && has_paths && nulls(columns.image.number) == Some(rows as u64) {
        return Err(format!(
            "column {}: expected the bytes of images, found only the paths of files; embed them before writing: ds = \
             ds.with_format(\"arrow\").map(datasets.table.embed_table_storage, batched=True).with_format(None), then \
             ds.to_parquet(...); push_to_hub embeds them by itself",
            columns.image.name
        ));
    }
    Ok(())
}

impl Opened {
    fn len(&self) -> usize {
        match &self.labels {
            FileLabels::Numbers(labels) | FileLabels::Names(labels, _) => labels.len(),
        }
    }

    /// Whether no row has a label.
    fn is_unlabelled(&self) -> bool {
        let (FileLabels::Numbers(labels) | FileLabels::Names(labels, _)) = &self.labels;
        labels.iter().all(|&label| label < 0)
    }

    /// Adds the classes of the rows to `into`, with texts numbered as in `names`.
    fn number(&self, names: &[String], into: &mut Vec<u32>) -> Result<()> {
        let column = &self.columns.label.name;
        let wrong = |row: usize, expected: &str, found: String| {
            let what = format!("row {row}, column {column}: expected {expected}, found {found}");
            Error::data(&self.path, printable(&what))
        };
        let (labels, known) = match &self.labels {
            FileLabels::Numbers(labels) => (labels, None),
            FileLabels::Names(labels, known) => (labels, Some(known)),
        };
        let numbers: Option<Vec<Option<usize>>> = known
            .map(|known| known.iter().map(|name| names.iter().position(|other| other == name)).collect());
        for (row, &label) in labels.iter().enumerate() {
            let class = match (usize::try_from(label), &numbers) {
                (Err(_), _) => {
                    let found = if label == NONE { "null".into() } else { label.to_string() };
                    return Err(wrong(row, "a class (0 or above)", found));
                }
                (Ok(number), Some(numbers)) => numbers[number].ok_or_else(|| {
                    let name = known.and_then(|known| known.get(number)).cloned().unwrap_or_default();
                    wrong(row, "a class of the training files", name)
                })?,
                (Ok(class), None) => class,
            };
            if !names.is_empty() && class >= names.len() {
                let expected = format!("a class below {} (the number of class names)", names.len());
                return Err(wrong(row, &expected, class.to_string()));
            }
            into.push(u32::try_from(class).map_err(|_| wrong(row, "a class of 32 bits", class.to_string()))?);
        }
        Ok(())
    }
}
