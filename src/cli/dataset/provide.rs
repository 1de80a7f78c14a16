//! The data sets that the built-in models name. An installed program does not have them beside it, so it downloads
//! Fashion-MNIST and writes the truth table of the neuron to the user's folder of data sets.

use super::fetch::{fetch_whole, home};
use super::sources::{PublicDataset, SOURCES};
use crate::atomic;
use crate::cli::output::{Output, bytes};
use crate::data::{self, Kind};
use crate::error::{Error, Result, printable_path};
use std::fs;
use std::path::Path;

/// The data set of the first command.
const FETCHED: &str = "fashion-mnist";

/// The data set of the model `neuron`, and its files.
const WRITTEN: &str = "traffic-light";
const FILES: [(&str, &str); 2] = [
    ("train.csv", include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/data/traffic-light/train.csv"))),
    ("val.csv", include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/data/traffic-light/val.csv"))),
];

/// Downloads or writes the data set that `path` and `kind` name, if a built-in model uses it and it is not on this machine.
///
/// # Errors
///
/// If the download fails (exit code 4); the message says what to do, and no partial data set is left behind.
pub(in crate::cli) fn provide(path: Option<&str>, kind: Kind, out: &Output) -> Result<()> {
    let name = path.unwrap_or(FETCHED);
    if kind == Kind::Synthetic || Path::new(name).exists() || data::built_in(name).is_some() {
        return Ok(());
    }
    let folder = home().join(name);
    if name == WRITTEN && matches!(kind, Kind::Auto | Kind::Csv) {
        fs::create_dir_all(&folder).map_err(|error| Error::io(&folder, error))?;
        FILES.iter().try_for_each(|(file, text)| {
            atomic::write(folder.join(file), |out| out.write_all(text.as_bytes()))
        })?;
        out.note(&format!("data: {name} was written to {}", printable_path(&folder)));
    }
    let source = SOURCES.iter().find(|source| source.name == name && name == FETCHED);
    match source.filter(|_| matches!(kind, Kind::Auto | Kind::Idx)) {
        Some(source) => fetch_announced(source, &folder, out),
        None => Ok(()),
    }
}

/// Downloads `source` after announcing its address and size; the error says what to do.
fn fetch_announced(source: &PublicDataset, folder: &Path, out: &Output) -> Result<()> {
    let name = source.name;
    let size = bytes(source.files.iter().map(|file| file.most()).sum());
    let places = source.mirrors.join(" or ");
    let target = printable_path(folder);
    out.note(&format!(
        "data: {name} is not on this machine; fetching it ({size}) from {places} into {target}"
    ));
    fetch_whole(source, folder, None, out).map_err(|error| match error.exit_code() {
        1 => Error::data(
            name,
            format!(
                "not on this machine, and it cannot be fetched ({error}); name your own data with --data-path, or run \
                 `striate dataset fetch {name}` where there is a network"
            ),
        ),
        _ => error,
    })
}
