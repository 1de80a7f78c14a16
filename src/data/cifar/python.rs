//! The Python version of CIFAR's files: a pickled dictionary of images (`data`, rows of 3072 bytes as in the binary version)
//! and labels, as Python 2 and NumPy wrote it, or as newer ones write it again. Nothing in it is run (`pickle`).

use super::PIXELS;
use crate::error::{Error, Result};
use crate::pickle::{self, Pickle, Value};
use std::borrow::Cow;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Longest file that is read, in bytes: three times CIFAR-100's training images.
const MAX_FILE: u64 = 512 << 20;

/// Most bytes that labels and names of files may take; those of CIFAR-100 take about 20 million.
const MEMORY: usize = 256 << 20;

/// Longest name of a class in bytes. A small file may refer to one name many times.
const LONGEST_NAME: usize = 1000;

/// What is wrong with a file, without its name.
type Found<T> = std::result::Result<T, String>;

/// Adds labels, called `key`, and pixels of the batch at `path` to `labels` and `images`.
pub(super) fn read_batch(
    path: &Path,
    key: &str,
    classes: usize,
    labels: &mut Vec<u32>,
    images: &mut Vec<u8>,
) -> Result<()> {
    let bytes = load(path)?;
    let memory =
        |count: usize| Error::Memory(format!("{count} images of 3x32x32 bytes do not fit in memory"));
    let added = pickle::read(&bytes, MEMORY).and_then(|pickle| {
        let own = batch_labels(&pickle, key, classes)?;
        let data = batch_images(&pickle, own.len())?;
        let room = images.try_reserve_exact(data.len()).and_then(|()| labels.try_reserve_exact(own.len()));
        if room.is_ok() {
            images.extend_from_slice(&data);
            labels.extend(&own);
        }
        Ok(room.map_err(|_| memory(labels.len() + own.len())))
    });
    added.map_err(|what| Error::data(path, what))?
}

/// The names of classes, called `key`, in the file at `path`.
pub(super) fn read_names(path: &Path, key: &str, classes: usize) -> Result<Vec<String>> {
    let bytes = load(path)?;
    let names = pickle::read(&bytes, MEMORY).and_then(|pickle| {
        let value = entry(&pickle, key)?;
        let items = pickle.sequence(value);
        let items =
            items.ok_or_else(|| format!("\"{key}\": expected a list, found {}", pickle.kind(value)))?;
        if items.len() != classes {
            return Err(format!("\"{key}\": expected {classes} class names, found {}", items.len()));
        }
        let name = |&item| {
            let found = || {
                let kind = pickle.kind(item);
                format!("\"{key}\": expected strings of at most {LONGEST_NAME} bytes, found {kind}")
            };
            text(&pickle, item, LONGEST_NAME).ok_or_else(found)
        };
        items.iter().map(name).collect()
    });
    names.map_err(|what| Error::data(path, what))
}

/// The bytes of `path`, if they are not too many.
fn load(path: &Path) -> Result<Vec<u8>> {
    let wrong = |error| Error::io(path, error);
    let file = File::open(path).map_err(wrong)?;
    let length = file.metadata().map_err(wrong)?.len();
    if length > MAX_FILE {
        return Err(Error::data(path, format!("expected at most {MAX_FILE} bytes, found {length}")));
    }
    let mut bytes = Vec::new();
    let room = bytes.try_reserve_exact(length as usize);
    room.map_err(|_| Error::Memory(format!("{length} bytes do not fit in memory")))?;
    file.take(length).read_to_end(&mut bytes).map_err(wrong)?;
    Ok(bytes)
}

/// The value of `key` in the dictionary that was pickled.
fn entry<'a>(pickle: &Pickle<'a>, key: &str) -> Found<Value<'a>> {
    let Some(entries) = pickle.mapping(pickle.root()) else {
        return Err(format!("expected a pickled dictionary, found {}", pickle.kind(pickle.root())));
    };
    let is_key = |name| text(pickle, name, key.len()).is_some_and(|name| name == key);
    let mut values = entries.iter().filter(|(name, _)| is_key(*name));
    match (values.next(), values.next()) {
        (Some((_, value)), None) => Ok(*value),
        (None, _) => Err(format!("expected a dictionary with \"{key}\", found it without")),
        _ => Err(format!("expected \"{key}\" once, found it twice")),
    }
}

/// The string that `value` is, if it has at most `most` bytes, also where Python 3 wrote bytes. A longer one is not converted,
/// since a pickle may refer to it many times.
fn text<'a>(pickle: &Pickle<'a>, value: Value<'a>, most: usize) -> Option<String> {
    let text = match (pickle.text(value), pickle.bytes(value)) {
        (Some(text), _) => (text.len() <= most).then(|| text.into()),
        (None, Some(_)) => None,
        (None, None) => {
            // A character of Latin-1 takes at most two bytes.
            let encoded = pickle.object(value).and_then(|object| pickle.sequence(object.args));
            let is_long = |&part: &Value<'a>| {
                let bytes = pickle.bytes(part).map(<[u8]>::len);
                bytes.or_else(|| pickle.text(part).map(str::len)).is_some_and(|length| length > 2 * most)
            };
            let first = encoded.and_then(|parts| parts.first());
            match first.is_some_and(is_long) {
                true => None,
                false => String::from_utf8(values(pickle, value).ok()?.into_owned()).ok(),
            }
        }
    };
    text.filter(|text: &String| text.len() <= most)
}

/// The labels of a batch: a list, or an array of one dimension.
fn batch_labels(pickle: &Pickle<'_>, key: &str, classes: usize) -> Found<Vec<u32>> {
    let value = entry(pickle, key)?;
    let labels: Vec<i64> = match pickle.sequence(value) {
        Some(items) => {
            let number = |&item: &Value<'_>| match item {
                Value::Int(label) => Ok(label),
                other => Err(format!("\"{key}\": expected whole numbers, found {}", pickle.kind(other))),
            };
            items.iter().map(number).collect::<Found<_>>()?
        }
        None => {
            let array = Array::read(pickle, value).map_err(|what| format!("\"{key}\": {what}"))?;
            if array.shape.len() != 1 {
                return Err(format!("\"{key}\": expected one dimension, found {}", array.shape.len()));
            }
            array.whole_numbers().map_err(|what| format!("\"{key}\": {what}"))?
        }
    };
    let wrong = |label: &i64| !(0..classes as i64).contains(label);
    match labels.iter().position(wrong) {
        Some(row) => Err(format!("\"{key}\" {row}: expected a class below {classes}, found {}", labels[row])),
        None => Ok(labels.into_iter().map(|label| label as u32).collect()),
    }
}

/// The pixels of the `count` images of a batch.
fn batch_images<'p>(pickle: &'p Pickle<'_>, count: usize) -> Found<Cow<'p, [u8]>> {
    let array = Array::read(pickle, entry(pickle, "data")?).map_err(|what| format!("\"data\": {what}"))?;
    if array.kind != "u1" {
        return Err(format!("\"data\": expected bytes (u1), found {}", array.kind));
    }
    match array.shape[..] {
        [rows, PIXELS] | [rows, 3, 32, 32] if rows > 0 => {
            if rows != count {
                return Err(format!("expected as many labels as images, found {count} and {rows}"));
            }
            Ok(array.bytes)
        }
        _ => Err(format!("\"data\": expected rows of {PIXELS} values, found an array of {:?}", array.shape)),
    }
}

/// An array of NumPy, row by row.
struct Array<'p> {
    shape: Vec<usize>,
    /// Its type as NumPy spells it, without the order of bytes: u1, i8.
    kind: String,
    /// Bytes of a value, at least 1.
    width: usize,
    is_big: bool,
    bytes: Cow<'p, [u8]>,
}

impl<'p> Array<'p> {
    /// The array that `value` is: what NumPy calls to make it, and with what, in versions 1 and 2, protocols 0 to 5.
    fn read<'a>(pickle: &'p Pickle<'a>, value: Value<'a>) -> Found<Array<'p>> {
        let other = || format!("expected an array of NumPy, found {}", pickle.kind(value));
        let object = pickle.object(value).ok_or_else(other)?;
        let class = pickle.global(object.class).ok_or_else(other)?;
        let (shape, kind, bytes, is_by_column) = match class {
            ("numpy.core.multiarray" | "numpy._core.multiarray", "_reconstruct") => {
                let state = object.state.and_then(|state| pickle.sequence(state));
                match state {
                    // The version, which has always been 1.
                    Some(&[Value::Int(1), shape, kind, order, bytes]) => {
                        (shape, kind, bytes, order != Value::Bool(false) && order != Value::Int(0))
                    }
                    _ => return Err("expected an array of NumPy, found one without its values".into()),
                }
            }
            ("numpy.core.numeric" | "numpy._core.numeric", "_frombuffer") => {
                match pickle.sequence(object.args) {
                    Some(&[bytes, kind, shape, order]) => {
                        (shape, kind, bytes, pickle.text(order) != Some("C"))
                    }
                    _ => return Err("expected an array of NumPy, found one without its values".into()),
                }
            }
            (module, name) => return Err(format!("expected an array of NumPy, found {module}.{name}")),
        };
        let shape = pickle.sequence(shape).unwrap_or_default().iter().map(|&side| match side {
            Value::Int(side) => usize::try_from(side).ok(),
            _ => None,
        });
        let shape: Vec<usize> = shape.collect::<Option<_>>().ok_or("expected a shape of whole numbers")?;
        if is_by_column && shape.len() > 1 {
            return Err("expected values row by row, found them column by column".into());
        }
        let (kind, is_big) = data_type(pickle, kind)?;
        let bytes = values(pickle, bytes)?;
        let width = kind[1..].parse::<usize>().unwrap_or(0);
        let needed = shape.iter().try_fold(width, |all, &side| all.checked_mul(side));
        if needed != Some(bytes.len()) {
            return Err(format!(
                "expected values of {kind} for a shape of {shape:?}, found {} bytes",
                bytes.len()
            ));
        }
        Ok(Array { shape, kind, width, is_big, bytes })
    }

    fn whole_numbers(&self) -> Found<Vec<i64>> {
        let number = |bytes: &[u8]| {
            let most_first = |value: i64, &byte: &u8| value << 8 | i64::from(byte);
            let mut ordered = bytes.to_vec();
            if !self.is_big {
                ordered.reverse();
            }
            let negative = self.kind.starts_with('i') && ordered.first().is_some_and(|byte| byte & 128 != 0);
            ordered.iter().fold(if negative { -1 } else { 0 }, most_first)
        };
        match self.kind.as_str() {
            "u1" | "i1" | "u2" | "i2" | "u4" | "i4" | "i8" => {
                Ok(self.bytes.chunks_exact(self.width).map(number).collect())
            }
            other => Err(format!("expected whole numbers, found {other}")),
        }
    }
}

/// A type of NumPy (`numpy.dtype`): its name without the order of bytes, and whether the most significant byte comes first.
fn data_type<'a>(pickle: &Pickle<'a>, value: Value<'a>) -> Found<(String, bool)> {
    let other = || "expected a type of NumPy, found another object".to_string();
    let object = pickle.object(value).ok_or_else(other)?;
    let name = pickle.sequence(object.args).and_then(|args| pickle.text(*args.first()?));
    match (pickle.global(object.class), name) {
        (Some(("numpy", "dtype")), Some(name)) => {
            let mut letters = name.chars();
            let is_plain = letters.next().is_some_and(|letter| letter.is_ascii_lowercase())
                && letters.clone().next().is_some()
                && letters.all(|digit| digit.is_ascii_digit());
            if !is_plain {
                return Err(format!("expected a type such as u1, found {name:?}"));
            }
            let order = object.state.and_then(|state| pickle.text(*pickle.sequence(state)?.get(1)?));
            Ok((name.into(), order == Some(">")))
        }
        _ => Err(other()),
    }
}

/// The bytes of an array. Protocols below 3 have no bytes: Python 3 writes them there as `_codecs.encode(text, "latin1")`.
fn values<'p, 'a>(pickle: &'p Pickle<'a>, value: Value<'a>) -> Found<Cow<'p, [u8]>> {
    let other = || format!("expected bytes as the values of an array, found {}", pickle.kind(value));
    if let Some(bytes) = pickle.bytes(value) {
        return Ok(Cow::Borrowed(bytes));
    }
    let object = pickle.object(value).ok_or_else(other)?;
    match (pickle.global(object.class), pickle.sequence(object.args)) {
        (Some(("_codecs", "encode")), Some(&[text, encoding])) if pickle.text(encoding) == Some("latin1") => {
            let bytes = pickle.text(text).ok_or_else(other)?.chars().map(|letter| u8::try_from(letter).ok());
            Ok(Cow::Owned(bytes.collect::<Option<_>>().ok_or_else(other)?))
        }
        // Of nothing.
        (Some(("builtins" | "__builtin__", "bytes")), Some([])) => Ok(Cow::Borrowed(&[])),
        (Some(("builtins" | "__builtin__", "bytearray")), Some(&[bytes])) => {
            pickle.bytes(bytes).map(Cow::Borrowed).ok_or_else(other)
        }
        _ => Err(other()),
    }
}
