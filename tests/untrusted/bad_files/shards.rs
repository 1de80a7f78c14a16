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
