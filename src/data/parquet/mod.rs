//! Images in Parquet files, as the Hugging Face Hub stores them: one row a sample, with the encoded image as bytes and the label as an
//! integer or a text.
//!
//! Labels are read when the data is opened, images when they are needed. The order of the samples is that of the rows, file by file.
//! Texts as labels are numbered in the order of their bytes, as the folders of an image folder are.

mod chunk;
mod decompress;
mod delta;
mod fields;
mod images;
mod labels;
mod schema;
mod thrift;

use super::contain::contained;
use super::decoders::check_channels;
use super::diagnostics::Diagnostics;
use super::raw::RawSplits;
use super::read_at::read_at;
use super::request::Request;
use super::shards::{self, OpenShard, ShardLabels, Source};
use crate::error::{Error, Result, printable, printable_path};
use chunk::{PageFile, text};
use images::{Group, ParquetSamples};
use parquet::file::metadata::{ColumnChunkMetaData, FooterTail, ParquetMetaData, ParquetMetaDataReader};
use schema::Columns;
use std::fs::File;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use thrift::Fault;

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
    let metadata = metadata(&file, length).map_err(bad)?;
    let file = metadata.file_metadata();
    let columns = schema::columns(file, request.image_column.as_deref(), request.label_column.as_deref());
    let columns = columns.map_err(bad)?;
    let leaves = file.schema_descr().num_columns();
    if let Some(group) = metadata.row_groups().iter().find(|group| group.num_columns() != leaves) {
        let found = group.num_columns();
        return Err(bad(format!("expected as many column chunks as columns, {leaves}, found {found}")));
    }
    for leaf in [columns.image.number, columns.label.number] {
        check_apart(&metadata, leaf, length).map_err(bad)?;
    }
    let (mut labels, mut groups, mut rows) = (ShardLabels::default(), Vec::new(), 0usize);
    for group in metadata.row_groups() {
        let count = usize::try_from(group.num_rows())
            .map_err(|_| bad("expected a number of rows, found a negative one".into()))?;
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

fn metadata(file: &File, length: u64) -> Result<ParquetMetaData, String> {
    let whole = |what: &str| format!("expected a whole Parquet file: {what}");
    let bytes = |at: Option<u64>, into: &mut [u8]| {
        let at = at.ok_or_else(|| whole("its footer would begin before it"))?;
        read_at(file, into, at).map_err(|error| whole(&error.to_string()))
    };
    let mut tail = [0; 8];
    let end = length.checked_sub(tail.len() as u64);
    bytes(end, &mut tail)?;
    let tail = FooterTail::try_new(&tail).map_err(|error| whole(&text(&error)))?;
    if tail.is_encrypted_footer() {
        return Err("expected a Parquet file that is not encrypted, found an encrypted one".into());
    }
    let size = tail.metadata_length();
    let start = end.and_then(|end| end.checked_sub(size as u64));
    // Not before its place is known to lie in the file.
    let mut footer = vec![0; if start.is_some() { size } else { 0 }];
    bytes(start, &mut footer)?;
    thrift::length(&footer, fields::FOOTER).map_err(|fault| match fault {
        Fault::Short => whole("its footer ends early"),
        Fault::Wrong(what) => whole(&format!("its footer has {what}")),
    })?;
    let read = contained(AssertUnwindSafe(|| ParquetMetaDataReader::decode_metadata(&footer)));
    read.ok_or_else(|| whole("its bytes break the decoder"))?.map_err(|error| whole(&text(&error)))
}

/// An error if two row groups share bytes of a column: a small file could then stand for any number of values.
fn check_apart(metadata: &ParquetMetaData, leaf: usize, length: u64) -> Result<(), String> {
    let groups = metadata.row_groups().iter().map(|group| group.column(leaf));
    let place = |chunk: &ColumnChunkMetaData| {
        let start = u64::try_from(chunk.dictionary_page_offset().unwrap_or(chunk.data_page_offset())).ok()?;
        let end = start.checked_add(u64::try_from(chunk.compressed_size()).ok()?)?;
        (end <= length).then_some((start, end))
    };
    let places: Option<Vec<(u64, u64)>> = groups.map(place).collect();
    let mut places = places.ok_or("expected column chunks that lie in the file, found one that does not")?;
    places.sort_unstable();
    match places.windows(2).find(|pair| pair[1].0 < pair[0].1 && pair[1].0 < pair[1].1) {
        None => Ok(()),
        Some(pair) => Err(format!(
            "expected row groups that lie apart, found one from byte {} and one from byte {} in the same bytes",
            pair[0].0, pair[1].0
        )),
    }
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
