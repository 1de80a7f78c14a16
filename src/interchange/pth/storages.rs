//! The numbers of tensors, from the storages that they share.

use super::element::Numbers;
use super::view::{Storage, View};
use crate::interchange::archive;
use crate::interchange::numbers::{NumberError, Places};
use crate::tensor::Tensor;
use std::collections::BTreeMap;
use std::io::{self, Read};

/// Most bytes of the storages that are read, unpacked, per byte of the file and in addition.
const UNPACKED: [u64; 2] = [64, 4 << 20];

/// Most bytes of the tensors as `f32`, per byte of their storages and in addition: half precision takes twice its bytes, and
/// several tensors may share a storage.
const EXPANDED: [u64; 2] = [8, 8 << 20];

/// Where storages are.
pub(super) trait Storages {
    /// The length of `storage` in bytes.
    fn size(&mut self, storage: &Storage) -> Result<u64, NumberError>;

    /// The bytes of `storage`.
    fn open(&mut self, storage: &Storage) -> Result<Box<dyn Read + '_>, NumberError>;
}

/// A storage, and the tensors in it by name.
type Group = (Storage, Vec<(String, View)>);

/// Reads `tensors` from `source`, a file of `length` bytes. Every storage is read once.
pub(super) fn read(
    tensors: Vec<(String, View)>,
    length: u64,
    source: &mut dyn Storages,
) -> Result<BTreeMap<String, Tensor>, NumberError> {
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    for (name, view) in tensors {
        let (storage, views) =
            groups.entry(view.storage.key.clone()).or_insert_with(|| (view.storage.clone(), Vec::new()));
        if *storage != view.storage {
            let (first, second) = (&*storage, &view.storage);
            return Err(NumberError::Value(format!(
                "storage {}: expected {} of {}, as another tensor says, found {} of {}",
                first.key, first.count, first.element.name, second.count, second.element.name
            )));
        }
        views.push((name, view));
    }
    check(&groups, length, source)?;
    let mut read = BTreeMap::new();
    for (key, (storage, views)) in &groups {
        let mut bytes = source.open(storage)?;
        let tensors = read_group(storage, views, &mut bytes, length);
        read.extend(tensors.map_err(|error| match error {
            NumberError::Io(source) if source.raw_os_error().is_none() => {
                NumberError::Value(archive::damaged_entry(&format!("storage {key}"), &source))
            }
            other => other,
        })?);
    }
    Ok(read)
}

/// Compares what the pickle claims with the file's length.
fn check(
    groups: &BTreeMap<String, Group>,
    length: u64,
    source: &mut dyn Storages,
) -> Result<(), NumberError> {
    let (mut stored, mut expanded) = (0u64, 0u64);
    for (key, (storage, views)) in groups {
        let claimed = storage.count as u64 * storage.element.size as u64;
        let found = source.size(storage)?;
        if claimed != found {
            let (count, kind) = (storage.count, storage.element.name);
            let what = format!("storage {key}: {count} of {kind} need {claimed} bytes, found {found}");
            return Err(NumberError::Value(what));
        }
        stored = stored.saturating_add(claimed);
        for (_, view) in views {
            expanded = expanded.saturating_add(view.count as u64 * 4);
        }
    }
    for (what, bytes, of, [each, more]) in
        [("storages", stored, length, UNPACKED), ("tensors", expanded, stored, EXPANDED)]
    {
        let most = of.saturating_mul(each).saturating_add(more);
        if bytes > most {
            let what = format!("expected {what} of at most {most} bytes together, found {bytes}");
            return Err(NumberError::Value(what));
        }
    }
    Ok(())
}

/// Reads the tensors `views` of `storage`, whose bytes are `from`, out of a file of `length` bytes.
fn read_group(
    storage: &Storage,
    views: &[(String, View)],
    from: &mut dyn Read,
    length: u64,
) -> Result<Vec<(String, Tensor)>, NumberError> {
    let size = storage.element.size;
    // What is compressed may be larger than the file; memory for that is allocated as it arrives.
    let trusted = usize::try_from(length).unwrap_or(usize::MAX);
    let mut tensors = Vec::with_capacity(views.len());
    let mut add = |name: &String, view: &View, numbers: Numbers<'_>| {
        let mut values = storage.element.read(numbers).map_err(|error| match error {
            NumberError::Value(message) => NumberError::Value(format!("tensor {name}: {message}")),
            io => io,
        })?;
        if view.negated {
            values.iter_mut().for_each(|value| *value = -*value);
        }
        let tensor = Tensor::new(view.shape.clone(), values);
        tensors.push((name.clone(), tensor.map_err(|error| NumberError::Value(error.to_string()))?));
        Ok::<_, NumberError>(())
    };
    match views {
        [(name, view)] if view.is_contiguous() => {
            skip(from, view.offset * size)?;
            add(name, view, Numbers::Stream(from, view.count, trusted / size))?;
        }
        _ => {
            let used = || views.iter().map(|(_, view)| view).filter(|view| view.count > 0);
            let first = used().map(|view| view.offset).min().unwrap_or(0);
            let end = used().map(|view| view.offset + view.span).max().unwrap_or(0);
            skip(from, first * size)?;
            let needed = (end - first) * size;
            let mut bytes = Vec::with_capacity(needed.min(trusted));
            if Read::take(&mut *from, needed as u64).read_to_end(&mut bytes)? < needed {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            for (name, view) in views {
                let begin = view.offset.saturating_sub(first);
                let mut places = Places::new(&view.shape, &view.strides).map(|place| begin + place);
                add(name, view, Numbers::Places(&bytes, &mut places))?;
            }
        }
    }
    // The zip reader verifies a checksum only at its end.
    io::copy(from, &mut io::sink())?;
    Ok(tensors)
}

fn skip(from: &mut dyn Read, bytes: usize) -> io::Result<()> {
    match io::copy(&mut Read::take(from, bytes as u64), &mut io::sink())? {
        skipped if skipped == bytes as u64 => Ok(()),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}
