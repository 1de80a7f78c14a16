//! Zip archives, which NPZ and PyTorch files are. Entries are never extracted to the file system, so their names cannot
//! point anywhere.

use crate::error::{Error, Result};
use crate::npy::check_unpacked;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use zip::read::{ArchiveOffset, Config};
use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

/// An archive in a file.
pub(super) type Archive = ZipArchive<BufReader<File>>;

/// Opens the archive that begins with the file at `path`; also returns the file's length in bytes.
pub(super) fn open(path: &Path) -> Result<(Archive, u64)> {
    let file = File::open(path).map_err(|error| Error::io(path, error))?;
    let length = file.metadata().map_err(|error| Error::io(path, error))?.len();
    // Not the crate's default, which looks for an archive behind other bytes: in version 9.5.1 it takes the second entry for the
    // first one in an archive with a Zip64 end whose first name has 30 letters, such as `checkpoint-state_dict/data.pkl`.
    let config = Config { archive_offset: ArchiveOffset::Known(0) };
    let archive = ZipArchive::with_config(config, BufReader::new(file));
    Ok((archive.map_err(|error| failed(path, error))?, length))
}

/// The error for `error` in the archive at `path`.
pub(super) fn failed(path: &Path, error: ZipError) -> Error {
    match error {
        ZipError::Io(source) if source.raw_os_error().is_some() => Error::io(path, source),
        other => Error::data(path, damaged_archive(&other)),
    }
}

/// The message for `error` in an archive.
pub(super) fn damaged_archive(error: &ZipError) -> String {
    format!("expected an undamaged zip archive, found {error}")
}

/// The message for `error` in the entry `name`, whose size, checksum or compressed data are wrong.
pub(super) fn damaged_entry(name: &str, error: &std::io::Error) -> String {
    format!("{name}: expected undamaged data, found an error: {error}")
}

/// Whether `archive` is one of PyTorch's.
pub(super) fn is_pytorch(archive: &Archive) -> bool {
    archive.file_names_raw().any(|name| name == b"data.pkl" || name.ends_with(b"/data.pkl"))
}

/// Checks that `archive`, a file of `length` bytes, is safe to decompress.
pub(super) fn check(archive: &Archive, length: u64) -> Result<(), String> {
    if archive.has_duplicate_names() {
        return Err("the zip archive: expected each name once, found two entries of the same name".into());
    }
    let mut unpacked = 0u64;
    for index in 0..archive.len() {
        let entry = archive.by_index_data(index).map_err(|error| damaged_archive(&error))?;
        let name = String::from_utf8_lossy(entry.name_raw()).into_owned();
        if entry.encrypted() {
            return Err(format!("{name}: expected an entry that is not encrypted"));
        }
        if ![CompressionMethod::Stored, CompressionMethod::Deflated].contains(&entry.compression()) {
            return Err(format!(
                "{name}: expected an entry stored or deflated, found {}",
                entry.compression()
            ));
        }
        unpacked = unpacked.saturating_add(entry.size());
    }
    check_unpacked(length, unpacked)
}
