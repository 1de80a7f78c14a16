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
use super::decoders::check_channels;
use super::diagnostics::Diagnostics;
use super::raw::RawSplits;
use super::request::Request;
use super::shards::{self, OpenShard, ShardLabels, Source};
use crate::error::{Error, Result, printable, printable_path};
use chunk::{PageFile, text};
use images::{Group, ParquetSamples};
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use schema::Columns;
use std::fs::File;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};

/// How the names of the files end.
pub(super) const EXTENSION: &str = "parquet";

/// A file without its images.
struct Opened {
    path: PathBuf,
    length: u64,
    columns: Columns,
    labels: ShardLabels,
    /// Row groups, numbered within the file.
    groups: Vec<Group>,
}

impl OpenShard for Opened {
    fn path(&self) -> &Path {
        &self.path
    }

    fn labels(&self) -> &ShardLabels {
        &self.labels
    }

    fn label_place(&self, at: usize) -> String {
        format!("row {at}, column {}", self.columns.label.name)
    }
}

/// Opens the files that `source` names; images are brought to the request's frame.
pub(super) fn open(
    source: Source<'_>,
    request: &Request,
    diagnostics: &mut Diagnostics,
) -> Result<RawSplits> {
    check_channels(request.frame().shape)?;
    let found = shards::find(source, EXTENSION, diagnostics)?;
    let [train, val] =
        [&found.train, &found.val].map(|paths| shards::each(paths, |path| read(path, request)));
    let (train, val) = (train?, val?);
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
    let (names, column) = (first.columns.names.clone(), first.columns.image.name.clone());
    shards::assemble(source, request, [train, val], names, diagnostics, |files| samples(files, column))
}

/// The images of all files.
fn samples(files: Vec<Opened>, column: String) -> ParquetSamples {
    let (mut paths, mut lengths, mut groups, mut first) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for (number, file) in files.into_iter().enumerate() {
        let len = file.labels.len();
        groups.extend(file.groups.into_iter().map(|group| Group {
            file: number,
            first: first + group.first_in_file,
            ..group
        }));
        paths.push(file.path);
        lengths.push(file.length);
        first += len;
    }
    ParquetSamples::new(paths, lengths, groups, column)
}

/// Everything of the file at `path` but its images.
fn read(path: &Path, request: &Request) -> Result<Opened> {
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
    let columns = columns.map_err(bad)?;
    let (mut labels, mut groups, mut rows) = (ShardLabels::default(), Vec::new(), 0usize);
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
        labels::add(&mut labels, again()?, group.column(columns.label.number), count).map_err(wrong)?;
        let chunk = group.column(columns.image.number).clone().into_builder().clear_statistics().build();
        let chunk = chunk.map_err(|error| bad(text(&error)))?;
        groups.push(Group { file: 0, first_in_file: rows, first: 0, rows: count, chunk });
        rows += count;
    }
    check_embedded(&metadata, &columns, rows).map_err(bad)?;
    Ok(Opened { path: path.to_path_buf(), length, columns, labels, groups })
}

fn metadata(file: PageFile) -> Result<ParquetMetaData, String> {
    let read = contained(AssertUnwindSafe(|| ParquetMetaDataReader::new().parse_and_finish(&file)));
    read.ok_or("expected a whole Parquet file: its bytes break the decoder")?
        .map_err(|error| format!("expected a whole Parquet file: {}", text(&error)))
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
