//! Parquet files, tar shards and NPZ data sets with damage anywhere.

use super::data::{Bad, Format, bad, data};
use crate::lies::cuts;
use crate::sound::seed;
use std::path::Path;
use striate::data::{Kind, Request, open};
use striate::error::Result;

/// Every `step`th byte with other values, and the file cut there.
fn damaged(sound: &[u8], step: usize) -> Vec<Bad> {
    let mut files = cuts(sound, (0..sound.len()).step_by(step));
    for at in (0..sound.len()).step_by(step) {
        for value in [0, 1, 0x7f, 0x80, 0xff] {
            let mut bytes = sound.to_vec();
            if std::mem::replace(&mut bytes[at], value) != value {
                files.push((format!("byte {at} as {value}"), bytes));
            }
        }
    }
    bad(files)
}

/// With the label in a field of `.json`.
fn json(path: &Path) -> Result<()> {
    let request = Request::new([3, 8, 8], 10)
        .with_path(Some(path.to_str().unwrap().into()))
        .with_label_column(Some("label".into()))
        .with_val_split(Some(0.0));
    open(&request).map(drop)
}

/// A Parquet file of `rows` rows without an image, padded so that they are not too many for its length, whose first page is damaged.
#[cfg(feature = "parquet")]
fn claiming(rows: usize) -> Vec<u8> {
    use parquet::data_type::{ByteArrayType, Int32Type};
    use parquet::file::{properties::WriterProperties, writer::SerializedFileWriter};
    use parquet::schema::parser::parse_message_type;
    let schema = "message rows { optional binary image; required int32 label; }";
    let (schema, properties) = (parse_message_type(schema).unwrap(), WriterProperties::builder().build());
    let mut writer = SerializedFileWriter::new(Vec::new(), schema.into(), properties.into()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<ByteArrayType>().write_batch(&[], Some(&vec![0; rows]), None).unwrap();
    column.close().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let labels: Vec<i32> = (0..rows as i32).map(|row| row * 2 / rows as i32).collect();
    column.typed::<Int32Type>().write_batch(&labels, None, None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.write_all(&vec![0; rows]).unwrap();
    let mut bytes = writer.into_inner().unwrap();
    bytes[4..8].fill(0xff);
    bytes
}

#[cfg(feature = "parquet")]
#[test]
fn rows_that_are_only_claimed_take_no_memory() {
    const ROWS: usize = 1 << 20;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.parquet");
    std::fs::write(&path, claiming(ROWS)).unwrap();
    let request = Request::new([3, 8, 8], 2).with_path(Some(path.to_str().unwrap().into()));
    let (opening, splits) = crate::peak(|| open(&request.with_val_split(Some(0.0))).unwrap());
    assert_eq!(splits.train.len(), ROWS);
    let (reading, read) = crate::peak(|| splits.train.read_pixels(0, &mut [0; 3 * 8 * 8]));
    println!("{ROWS} rows: opening {opening} bytes, reading {reading} bytes");
    assert!(read.is_err());
    // Labels as they arrive and as they are kept.
    assert!(opening < 64 * ROWS, "{opening} bytes to open {ROWS} rows");
    assert!(reading < 1 << 20, "{reading} bytes for images that are not there");
}

pub fn shards() -> Vec<Format> {
    let mut formats = Vec::new();
    let mut add = |name, file, seed_of: [&str; 2], step, read, arguments| {
        let bad = damaged(&seed(seed_of[0], seed_of[1]), step);
        formats.push(Format { name, file, beside: Vec::new(), bad, forgiving: true, read, arguments });
    };
    let parquet: fn(&Path) -> Result<()> = |path| data(path, Kind::Parquet);
    if cfg!(feature = "parquet") {
        for name in ["hub", "snappy", "zstd", "gzip"] {
            let seed = format!("{name}.parquet");
            add("Parquet", "t.parquet", ["parquet", &seed], 3, parquet, &["--dataset", "parquet"]);
        }
    }
    add("tar", "t.tar", ["tar", "cls-0.tar"], 13, |path| data(path, Kind::Tar), &["--dataset", "tar"]);
    add(
        "tar with JSON",
        "t.tar",
        ["tar", "json-0.tar"],
        13,
        json,
        &["--dataset", "tar", "--label-column", "label"],
    );
    for name in ["plain.npz", "packed.npz", "floats.npz"] {
        add(
            "data set as NPZ",
            "d.npz",
            ["npz-data", name],
            1,
            |path| data(path, Kind::Npz),
            &["--dataset", "npz"],
        );
    }
    formats
}
