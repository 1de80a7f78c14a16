//! The labels of a Parquet file: integers, or texts that name the classes.

use super::chunk::{Chunk, PageFile};
use parquet::basic::Type as PhysicalType;
use parquet::data_type::{BoolType, ByteArrayType, Int32Type, Int64Type};
use parquet::file::metadata::ColumnChunkMetaData;
use std::collections::BTreeMap;

/// Rows that are read at a time.
const ROWS: usize = 1024;

/// Longest name of a class.
const LONGEST: usize = 1000;

/// The labels of one file, in the order of its rows.
#[derive(Debug)]
pub(super) enum FileLabels {
    /// Classes; -1 for a negative number, [`NONE`] for null.
    Numbers(Vec<i64>),
    /// Numbers of names, and the names; [`NONE`] for null.
    Names(Vec<i64>, Vec<String>),
}

/// A label that is null.
pub(super) const NONE: i64 = i64::MIN;

/// Adds the labels of a row group to those of the row groups before.
#[derive(Debug, Default)]
pub(super) struct LabelReader {
    labels: Vec<i64>,
    names: BTreeMap<String, i64>,
    is_text: bool,
}

impl LabelReader {
    pub fn add(&mut self, file: PageFile, chunk: &ColumnChunkMetaData, rows: usize) -> Result<(), String> {
        let labels = &mut self.labels;
        let first = labels.len();
        match chunk.column_type() {
            PhysicalType::INT32 => {
                let mut chunk = Chunk::<Int32Type>::new(file, chunk, rows)?;
                while chunk.read(ROWS, |_, value| {
                    labels.push(value.map_or(NONE, |&value| value.into()));
                    Ok(())
                })? {}
            }
            PhysicalType::INT64 => {
                let mut chunk = Chunk::<Int64Type>::new(file, chunk, rows)?;
                while chunk.read(ROWS, |_, value| {
                    labels.push(value.map_or(NONE, |&value| value.max(-i64::MAX)));
                    Ok(())
                })? {}
            }
            PhysicalType::BOOLEAN => {
                let mut chunk = Chunk::<BoolType>::new(file, chunk, rows)?;
                while chunk.read(ROWS, |_, value| {
                    labels.push(value.map_or(NONE, |&value| value.into()));
                    Ok(())
                })? {}
            }
            PhysicalType::BYTE_ARRAY => {
                self.is_text = true;
                let names = &mut self.names;
                let mut chunk = Chunk::<ByteArrayType>::new(file, chunk, rows)?;
                while chunk.read(ROWS, |row, value| {
                    let Some(value) = value else {
                        labels.push(NONE);
                        return Ok(());
                    };
                    let text = std::str::from_utf8(value.data()).ok().filter(|text| text.len() <= LONGEST);
                    let text = text.ok_or_else(|| {
                        format!(
                            "row {}: expected the name of a class, found bytes that are no such text",
                            first + row
                        )
                    })?;
                    let next = names.len() as i64;
                    labels.push(match names.get(text) {
                        Some(&number) => number,
                        None => *names.entry(text.to_string()).or_insert(next),
                    });
                    Ok(())
                })? {}
            }
            other => return Err(format!("expected integers or texts, found {other}")),
        }
        Ok(())
    }

    pub fn finish(self) -> FileLabels {
        if !self.is_text {
            return FileLabels::Numbers(self.labels);
        }
        let mut names = vec![String::new(); self.names.len()];
        for (name, number) in self.names {
            names[number as usize] = name;
        }
        FileLabels::Names(self.labels, names)
    }
}
