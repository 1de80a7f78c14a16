//! The form of PyTorch 1.6 and later: a zip archive with a folder of any name, in which `data.pkl` is the pickle and `data/KEY`
//! are the storages.

use super::storages::{self, Storages};
use super::view::Storage;
use super::{ADVICE, Content, LONGEST_PICKLE, Weights, content, failed, pickle_memory};
use crate::error::{Error, Result};
use crate::interchange::archive::{self, Archive};
use crate::interchange::numbers::NumberError;
use crate::pickle;
use std::collections::HashMap;
use std::io::Read;
use std::path::Path;
use zip::result::ZipError;

/// Longest accepted name of a byte order.
const LONGEST_WORD: u64 = 16;

/// The archive's entries by their names within the folder.
struct Entries {
    archive: Archive,
    numbers: HashMap<String, usize>,
}

impl From<ZipError> for NumberError {
    fn from(error: ZipError) -> Self {
        match error {
            ZipError::Io(source) => NumberError::Io(source),
            other => NumberError::Value(archive::damaged_archive(&other)),
        }
    }
}

/// Reads the weights in the archive at `path`.
pub(super) fn read(path: &Path) -> Result<Weights> {
    let bad = |message: String| Error::data(path, message);
    let (archive, length) = archive::open(path)?;
    archive::check(&archive, length).map_err(bad)?;
    let mut entries = Entries::new(archive).map_err(bad)?;
    if entries.numbers.contains_key("constants.pkl") {
        let what = "expected a dictionary of tensors (a state_dict), found a TorchScript program";
        let how = "in Python: torch.save(torch.jit.load(FILE).state_dict(), \"weights.pth\")";
        return Err(bad(format!("{what}; {how}")));
    }
    // Absent before PyTorch 2.1.
    if entries.numbers.contains_key("byteorder") {
        let order = entries.read("byteorder", LONGEST_WORD).map_err(|error| failed(path, error))?;
        if order.trim_ascii() != b"little" {
            let found = String::from_utf8_lossy(&order).into_owned();
            return Err(bad(format!(
                "byteorder: expected little, found {found:?}; {ADVICE}, on another machine"
            )));
        }
    }
    let text = entries.read("data.pkl", LONGEST_PICKLE).map_err(|error| failed(path, error))?;
    let Content { tensors, notes } =
        pickle::read(&text, pickle_memory(length)).and_then(|pickle| content::find(&pickle)).map_err(bad)?;
    drop(text);
    let tensors = storages::read(tensors, length, &mut entries).map_err(|error| failed(path, error))?;
    Ok((tensors, notes))
}

impl Entries {
    fn new(archive: Archive) -> Result<Entries, String> {
        let mut names = Vec::with_capacity(archive.len());
        for number in 0..archive.len() {
            let entry = archive.by_index_data(number).map_err(|error| archive::damaged_archive(&error))?;
            names.push(entry.name_raw().to_vec());
        }
        let pickles: Vec<&[u8]> = names.iter().filter_map(|name| name.strip_suffix(b"data.pkl")).collect();
        let folders = pickles.iter().filter(|folder| folder.is_empty() || folder.ends_with(b"/"));
        let folder = match folders.collect::<Vec<_>>()[..] {
            [folder] => folder.to_vec(),
            ref several => {
                return Err(format!("expected one data.pkl in the archive, found {}", several.len()));
            }
        };
        let inner = |name: &[u8]| String::from_utf8(name.strip_prefix(&folder[..])?.to_vec()).ok();
        let numbers =
            names.iter().enumerate().filter_map(|(number, name)| Some((inner(name)?, number))).collect();
        Ok(Entries { archive, numbers })
    }

    fn number(&self, name: &str) -> Result<usize, NumberError> {
        let number = self.numbers.get(name).copied();
        number.ok_or_else(|| NumberError::Value(format!("the archive's entry {name} is missing")))
    }

    /// The bytes of the entry `name`, `most` at most.
    fn read(&mut self, name: &str, most: u64) -> Result<Vec<u8>, NumberError> {
        let number = self.number(name)?;
        let mut bytes = Vec::new();
        self.archive
            .by_index(number)?
            .take(most + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| of(name, error))?;
        if bytes.len() as u64 > most {
            return Err(NumberError::Value(format!("{name}: expected at most {most} bytes, found more")));
        }
        Ok(bytes)
    }
}

/// `error`, with the name of the entry unless it is the system's.
fn of(name: &str, error: std::io::Error) -> NumberError {
    match error.raw_os_error() {
        Some(_) => NumberError::Io(error),
        None => NumberError::Value(archive::damaged_entry(name, &error)),
    }
}

impl Storages for Entries {
    fn size(&mut self, storage: &Storage) -> Result<u64, NumberError> {
        let number = self.number(&format!("data/{}", storage.key))?;
        Ok(self.archive.by_index_data(number)?.size())
    }

    fn open(&mut self, storage: &Storage) -> Result<Box<dyn Read + '_>, NumberError> {
        let number = self.number(&format!("data/{}", storage.key))?;
        Ok(Box::new(self.archive.by_index(number)?))
    }
}
