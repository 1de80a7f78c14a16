//! The first directory of a TIFF file (TIFF 6.0, section 2; BigTIFF): its entries and their values.

use super::damaged;
use crate::data::limits::Decoded;

/// Most entries that a directory may have; writers put some dozens there.
const MAX_ENTRIES: u64 = 4096;

/// Lengths of the values of each kind, from 1 on (0 where there is none): BYTE, ASCII, SHORT, LONG, RATIONAL, SBYTE, UNDEFINED,
/// SSHORT, SLONG, SRATIONAL, FLOAT, DOUBLE, IFD, LONG8, SLONG8, IFD8.
const LENGTHS: [usize; 18] = [1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8];

/// Those that are whole numbers: BYTE, SHORT, LONG, UNDEFINED, IFD, LONG8, IFD8.
const WHOLE: [u16; 7] = [1, 3, 4, 7, 13, 16, 18];

/// RATIONAL, two LONGs.
const FRACTION: u16 = 5;

/// An entry of a directory.
struct Entry<'a> {
    tag: u16,
    kind: u16,
    /// Its values; `None` if they lie behind the end of the file.
    values: Option<&'a [u8]>,
}

/// The whole numbers of an entry. A large file may have very many, so they are read when they are asked for.
#[derive(Clone, Copy)]
pub(super) struct Numbers<'a> {
    values: &'a [u8],
    /// Bytes of each.
    each: usize,
    is_little: bool,
}

/// The entries of the first directory.
pub(super) struct Directory<'a> {
    pub is_little: bool,
    entries: Vec<Entry<'a>>,
    /// Whether another directory follows.
    pub has_next: bool,
}

/// The number in up to eight bytes.
fn number(bytes: &[u8], is_little: bool) -> u64 {
    let join = |value: u64, &byte: &u8| value << 8 | u64::from(byte);
    if is_little { bytes.iter().rev().fold(0, join) } else { bytes.iter().fold(0, join) }
}

impl<'a> Numbers<'a> {
    /// At least one.
    pub fn len(&self) -> usize {
        self.values.len() / self.each
    }

    pub fn iter(self) -> impl Iterator<Item = u64> + 'a {
        self.values.chunks_exact(self.each).map(move |value| number(value, self.is_little))
    }

    pub fn first(self) -> u64 {
        number(&self.values[..self.each], self.is_little)
    }

    /// Whether they are `others`.
    pub fn are(self, others: &[u64]) -> bool {
        self.len() == others.len() && self.iter().eq(others.iter().copied())
    }
}

impl<'a> Directory<'a> {
    pub fn read(file: &'a [u8]) -> Decoded<Directory<'a>> {
        let is_little = file.starts_with(b"II");
        let take = |at: usize, length: usize| match file.get(at..at.saturating_add(length)) {
            Some(bytes) => Ok(number(bytes, is_little)),
            None => damaged("its directory lies behind the end of the file"),
        };
        let is_big = take(2, 2)? == 43;
        // Where the place of the directory is; lengths of its number of entries, of an entry, and of a value or its place.
        let (start, counts, length, value) = if is_big { (8, 8, 20, 8) } else { (4, 2, 12, 4) };
        let mut at = take(start, value)? as usize;
        let count = take(at, counts)?;
        if count == 0 || count > MAX_ENTRIES {
            return damaged(format!("a directory of {count} entries"));
        }
        at += counts;
        let mut entries: Vec<Entry> = Vec::new();
        for _ in 0..count {
            let (tag, kind) = (take(at, 2)? as u16, take(at + 2, 2)? as u16);
            if entries.iter().any(|entry| entry.tag == tag) {
                return damaged(format!("its directory has two entries of tag {tag}"));
            }
            let each = LENGTHS.get(usize::from(kind).wrapping_sub(1)).copied().unwrap_or(0);
            let bytes = (take(at + 4, value)? as usize).saturating_mul(each);
            let inside = at + 4 + value;
            let place = if bytes <= value { inside } else { take(inside, value)? as usize };
            entries.push(Entry { tag, kind, values: file.get(place..place.saturating_add(bytes)) });
            at += length;
        }
        // The last value, which few bytes of are read.
        take(at - value, value)?;
        // Some writers end the file behind the last entry.
        let has_next = take(at, value).is_ok_and(|next| next != 0);
        Ok(Directory { is_little, entries, has_next })
    }

    fn entry(&self, tag: u16) -> Option<&Entry<'a>> {
        self.entries.iter().find(|entry| entry.tag == tag)
    }

    pub fn has(&self, tag: u16) -> bool {
        self.entry(tag).is_some()
    }

    /// The bytes of an entry.
    pub fn bytes(&self, tag: u16) -> Option<&'a [u8]> {
        self.entry(tag)?.values
    }

    /// The whole numbers of an entry; `None` if it is not there.
    pub fn numbers(&self, tag: u16) -> Decoded<Option<Numbers<'a>>> {
        let Some(entry) = self.entry(tag) else { return Ok(None) };
        match entry.values {
            Some(values) if WHOLE.contains(&entry.kind) && !values.is_empty() => {
                let each = LENGTHS[usize::from(entry.kind) - 1];
                Ok(Some(Numbers { values, each, is_little: self.is_little }))
            }
            Some(_) => damaged(format!("tag {tag} has no whole numbers")),
            None => damaged(format!("the values of tag {tag} lie behind the end of the file")),
        }
    }

    /// The first whole number of an entry, or `default` without one.
    pub fn number(&self, tag: u16, default: u64) -> Decoded<u64> {
        Ok(self.numbers(tag)?.map_or(default, Numbers::first))
    }

    /// Whether the entry is missing or has these fractions, to a thousandth.
    pub fn has_usual(&self, tag: u16, usual: &[f64]) -> bool {
        let Some(entry) = self.entry(tag) else { return true };
        let (values, _) = entry.values.unwrap_or_default().as_chunks::<8>();
        let fraction = |value: &[u8; 8]| {
            let (above, below) = value.split_at(4);
            number(above, self.is_little) as f64 / number(below, self.is_little) as f64
        };
        // Written so that a division by zero is not as usual.
        let is_usual = |(value, usual): (&[u8; 8], &f64)| (fraction(value) - usual).abs() < 1e-3;
        entry.kind == FRACTION && values.len() == usual.len() && values.iter().zip(usual).all(is_usual)
    }
}
