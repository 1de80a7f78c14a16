//! The labels of a Parquet file: integers, or texts that name the classes.

use super::chunk::{Chunk, PageFile};
use crate::data::shards::ShardLabels;
use parquet::basic::Type as PhysicalType;
use parquet::data_type::{BoolType, ByteArrayType, DataType, Int32Type, Int64Type};
use parquet::file::metadata::ColumnChunkMetaData;

/// Rows that are read at a time.
const ROWS: usize = 1024;

/// Adds the labels of a row group to those of the row groups before.
pub(super) fn add(
    labels: &mut ShardLabels,
    file: PageFile,
    chunk: &ColumnChunkMetaData,
    rows: usize,
) -> Result<(), String> {
    match chunk.column_type() {
        PhysicalType::INT32 => each::<Int32Type>(labels, file, chunk, rows, |labels, &value| {
            labels.add_number(value.into());
            Ok(())
        }),
        PhysicalType::INT64 => each::<Int64Type>(labels, file, chunk, rows, |labels, &value| {
            labels.add_number(value);
            Ok(())
        }),
        PhysicalType::BOOLEAN => each::<BoolType>(labels, file, chunk, rows, |labels, &value| {
            labels.add_number(value.into());
            Ok(())
        }),
        PhysicalType::BYTE_ARRAY => {
            each::<ByteArrayType>(labels, file, chunk, rows, |labels, value| labels.add_text(value.data()))
        }
        other => Err(format!("expected integers or texts, found {other}")),
    }
}

fn each<T: DataType>(
    labels: &mut ShardLabels,
    file: PageFile,
    chunk: &ColumnChunkMetaData,
    rows: usize,
    add: impl Fn(&mut ShardLabels, &T::T) -> Result<(), String>,
) -> Result<(), String> {
    let mut chunk = Chunk::<T>::new(file, chunk, rows)?;
    let mut each = |row, value: Option<&T::T>| match value {
        Some(value) => add(labels, value).map_err(|what| format!("row {row} of it: {what}")),
        None => {
            labels.add_none();
            Ok(())
        }
    };
    while chunk.read(ROWS, &mut each)? {}
    Ok(())
}
