//! The form of PyTorch before 1.6, which `_use_new_zipfile_serialization=False` still writes: five pickles in a row (a magic
//! number, a version, the writer's byte order, the object, the keys of its storages), then for each key the number of elements
//! and the elements.

use super::storages::{self, Storages};
use super::view::{Storage, located, storage_key};
use super::{ADVICE, Content, LONGEST_PICKLE, Weights, content, failed, pickle_memory};
use crate::error::{Error, Result};
use crate::interchange::numbers::NumberError;
use crate::pickle::{self, Node, Pickle, Value};
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

/// 0x1950a86a20f9469cfc6c, little-endian.
const MAGIC: &[u8] = b"\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
const VERSION: i64 = 1001;

/// The storages by key, each with the place of its elements.
struct Rows {
    file: BufReader<File>,
    places: HashMap<String, (Storage, u64)>,
}

/// Reads the weights in the file at `path`.
pub(super) fn read(path: &Path) -> Result<Weights> {
    let bad = |message: String| Error::data(path, message);
    let io = |error| Error::io(path, error);
    let mut file = File::open(path).map_err(io)?;
    let length = file.metadata().map_err(io)?.len();
    let mut text = Vec::new();
    Read::take(&mut file, LONGEST_PICKLE).read_to_end(&mut text).map_err(io)?;
    let Parts { content: Content { tensors, notes }, known, keys, end } =
        parts(&text, pickle_memory(length)).map_err(bad)?;
    drop(text);
    let mut rows = Rows { file: BufReader::new(file), places: HashMap::new() };
    rows.find(known, &keys, end, length).map_err(|error| failed(path, error))?;
    let tensors = storages::read(tensors, length, &mut rows).map_err(|error| failed(path, error))?;
    Ok((tensors, notes))
}

/// What the pickles say.
struct Parts {
    content: Content,
    /// Every storage that the object refers to, read or not.
    known: HashMap<String, Storage>,
    /// The order of the storages.
    keys: Vec<String>,
    /// Where the storages begin.
    end: u64,
}

fn parts(text: &[u8], memory: usize) -> Result<Parts, String> {
    let mut end = 0;
    let mut next = || -> Result<Pickle<'_>, String> {
        let pickle = pickle::read(&text[end..], memory)?;
        end += pickle.length();
        Ok(pickle)
    };
    let magic = next()?;
    if magic.root() != Value::Long(MAGIC) {
        return Err("expected a file that torch.save wrote, found another pickle".into());
    }
    drop(magic);
    let version = next()?.root();
    if version != Value::Int(VERSION) {
        return Err(format!("expected version {VERSION} of PyTorch's format, found another"));
    }
    let system = next()?;
    let entries = system.mapping(system.root()).unwrap_or_default();
    let little = entries.iter().find(|(key, _)| system.text(*key) == Some("little_endian"));
    match little.map(|(_, value)| value) {
        Some(Value::Bool(true)) => {}
        Some(Value::Bool(false)) => {
            return Err(format!(
                "expected little-endian numbers, found big-endian ones; {ADVICE}, on another machine"
            ));
        }
        _ => return Err("expected the writer's byte order (little_endian), found none".into()),
    }
    drop(system);
    let object = next()?;
    let content = content::find(&object)?;
    let mut known: HashMap<String, Storage> = HashMap::new();
    for node in object.nodes() {
        let Node::Persistent(id) = node else { continue };
        let (storage, _, _) = located(&object, *id)?;
        if let Some(other) = known.get(&storage.key).filter(|other| **other != storage) {
            return Err(format!(
                "storage {}: expected one type and size, found {} of {} and {} of {}",
                storage.key, other.count, other.element.name, storage.count, storage.element.name
            ));
        }
        known.insert(storage.key.clone(), storage);
    }
    let list = next()?;
    let keys = list.sequence(list.root()).ok_or("expected the list of storages, found none")?;
    let keys = keys.iter().map(|&key| storage_key(&list, key)).collect::<Result<Vec<_>, _>>()?;
    Ok(Parts { content, known, keys, end: end as u64 })
}

impl Rows {
    /// Finds the places of the storages `keys`, which begin at byte `at` of the file of `length` bytes.
    fn find(
        &mut self,
        mut known: HashMap<String, Storage>,
        keys: &[String],
        mut at: u64,
        length: u64,
    ) -> Result<(), NumberError> {
        let bad = |message: String| Err(NumberError::Value(message));
        for key in keys {
            let Some(storage) = known.remove(key) else {
                return bad(format!(
                    "storage {key}: expected a tensor that refers to it, found none or two storages"
                ));
            };
            self.file.seek(SeekFrom::Start(at))?;
            let mut count = [0; 8];
            self.file.read_exact(&mut count)?;
            let count = u64::from_le_bytes(count);
            if count != storage.count as u64 {
                return bad(format!("storage {key}: expected {} elements, found {count}", storage.count));
            }
            at += 8;
            let (bytes, left) = (count * storage.element.size as u64, length.saturating_sub(at));
            if bytes > left {
                return bad(format!("storage {key}: expected {bytes} bytes, found {left}"));
            }
            self.places.insert(key.clone(), (storage, at));
            at += bytes;
        }
        if at != length {
            return bad(format!("expected {at} bytes, found {length}"));
        }
        Ok(())
    }

    fn place(&self, storage: &Storage) -> Result<u64, NumberError> {
        let place = self.places.get(&storage.key).map(|(_, at)| *at);
        place.ok_or_else(|| NumberError::Value(format!("storage {}: is missing", storage.key)))
    }
}

impl Storages for Rows {
    fn size(&mut self, storage: &Storage) -> Result<u64, NumberError> {
        self.place(storage)?;
        // Compared with the file's length above.
        Ok(storage.count as u64 * storage.element.size as u64)
    }

    fn open(&mut self, storage: &Storage) -> Result<Box<dyn Read + '_>, NumberError> {
        let at = self.place(storage)?;
        self.file.seek(SeekFrom::Start(at))?;
        let bytes = self.size(storage)?;
        Ok(Box::new(Read::take(&mut self.file, bytes)))
    }
}
