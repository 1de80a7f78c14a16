//! Whether a footer or a page header is a sound structure in Thrift's compact protocol, before the library reads it: where it skips a
//! field that it does not know, it repeats an element as often as the file claims, and elements that take no bytes cost a
//! file nothing.
//!
//! Source: <https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md>.

use crate::data::read_at::read_at;
use std::fs::File;
use std::io::{self, Cursor, Read};
use std::sync::Arc;

/// Structures within structures; Parquet's own need ten or so.
const DEPTH: usize = 32;

/// Bytes of a page header that are read at first, and most bytes of one: statistics may hold whole values.
const FIRST: u64 = 1 << 10;
const MOST: u64 = 16 << 20;

/// Types of fields and elements.
const TRUE: u8 = 1;
const FALSE: u8 = 2;
const BYTE: u8 = 3;
const I16: u8 = 4;
const I32: u8 = 5;
const I64: u8 = 6;
const DOUBLE: u8 = 7;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const SET: u8 = 10;
const MAP: u8 = 11;
const STRUCT: u8 = 12;
const UUID: u8 = 13;

/// What keeps bytes from being a structure.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// They end before it does.
    Short,
    Wrong(&'static str),
}

/// Bytes that the structure at the start of `bytes` takes.
pub(super) fn length(bytes: &[u8]) -> Result<usize, Fault> {
    let mut walk = Walk { left: bytes };
    walk.value(STRUCT, DEPTH)?;
    Ok(bytes.len() - walk.left.len())
}

struct Walk<'a> {
    left: &'a [u8],
}

impl Walk<'_> {
    fn skip(&mut self, count: u64) -> Result<(), Fault> {
        let left = usize::try_from(count).ok().and_then(|count| self.left.get(count..));
        self.left = left.ok_or(Fault::Short)?;
        Ok(())
    }

    fn byte(&mut self) -> Result<u8, Fault> {
        let (&byte, left) = self.left.split_first().ok_or(Fault::Short)?;
        self.left = left;
        Ok(byte)
    }

    fn number(&mut self) -> Result<u64, Fault> {
        varint(&mut || self.byte())
    }

    /// Elements that take at least a byte each.
    fn elements(&mut self, count: u64, kinds: &[u8], depth: usize) -> Result<(), Fault> {
        if kinds.iter().any(|kind| [TRUE, FALSE].contains(kind)) {
            return Err(Fault::Wrong("a list of truth values, which Parquet has none of here"));
        }
        if count > self.left.len() as u64 {
            return Err(Fault::Short);
        }
        for _ in 0..count {
            for &kind in kinds {
                self.value(kind, depth)?;
            }
        }
        Ok(())
    }

    fn value(&mut self, kind: u8, depth: usize) -> Result<(), Fault> {
        let depth = depth.checked_sub(1).ok_or(Fault::Wrong("structures nested too deeply"))?;
        match kind {
            TRUE | FALSE => Ok(()),
            BYTE => self.skip(1),
            I16 | I32 | I64 => self.number().map(drop),
            DOUBLE => self.skip(8),
            UUID => self.skip(16),
            BINARY => {
                let length = self.number()?;
                self.skip(length)
            }
            LIST | SET => {
                let head = self.byte()?;
                let count = match head >> 4 {
                    15 => self.number()?,
                    count => count.into(),
                };
                self.elements(count, &[head & 15], depth)
            }
            MAP => match self.number()? {
                0 => Ok(()),
                count => {
                    let kinds = self.byte()?;
                    self.elements(count, &[kinds >> 4, kinds & 15], depth)
                }
            },
            STRUCT => loop {
                let head = self.byte()?;
                if head & 15 == 0 {
                    return Ok(());
                }
                if head >> 4 == 0 {
                    // The number of the field, where it is not the last one's plus a little.
                    self.number()?;
                }
                self.value(head & 15, depth)?;
            },
            _ => Err(Fault::Wrong("a value of an unknown type")),
        }
    }
}

/// An integer of up to 64 bits, seven to a byte, the lowest first.
pub(super) fn varint<E: From<Fault>>(next: &mut impl FnMut() -> Result<u8, E>) -> Result<u64, E> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = next()?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(Fault::Wrong("an integer of more than 64 bits").into())
}

/// Reads the page header at a place in a file, checked before its first byte is given.
pub(super) struct HeaderReader {
    file: Arc<File>,
    at: u64,
    left: u64,
    header: Option<Cursor<Vec<u8>>>,
}

impl HeaderReader {
    /// `left`: bytes of the file from `at` on.
    pub fn new(file: Arc<File>, at: u64, left: u64) -> HeaderReader {
        HeaderReader { file, at, left, header: None }
    }

    fn header(&self) -> io::Result<Vec<u8>> {
        let most = self.left.min(MOST);
        let mut count = FIRST.min(most);
        loop {
            let mut bytes = vec![0; count as usize];
            read_at(&self.file, &mut bytes, self.at)?;
            let wrong = |what| Err(io::Error::new(io::ErrorKind::InvalidData, what));
            match length(&bytes) {
                Ok(length) => {
                    bytes.truncate(length);
                    return Ok(bytes);
                }
                Err(Fault::Short) if count < most => count = count.saturating_mul(8).min(most),
                Err(Fault::Short) => return wrong("a page header ends early"),
                Err(Fault::Wrong(what)) => return wrong(what),
            }
        }
    }
}

impl Read for HeaderReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.header.is_none() {
            self.header = Some(Cursor::new(self.header()?));
        }
        match &mut self.header {
            Some(header) => header.read(into),
            None => Ok(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Fault, length};

    #[test]
    fn structures_have_the_length_of_their_fields() {
        // Fields 1: i32 5; 2: list of two i32; 3: binary of 3 bytes; 40: a truth value; 41: an empty map; the end; and a byte behind it.
        let bytes = [0x15, 10, 0x19, 0x25, 2, 4, 0x18, 3, 7, 7, 7, 0x01, 80, 0x1b, 0, 0, 99];
        assert_eq!(length(&bytes), Ok(16));
        for end in 0..16 {
            assert_eq!(length(&bytes[..end]), Err(Fault::Short), "{end} bytes");
        }
    }

    #[test]
    fn elements_are_counted_before_they_are_read() {
        // 2^31 - 1 truth values, as a list, and as the values of a map; as many integers; a type that does not exist.
        let many = [0xff, 0xff, 0xff, 0xff, 7];
        for (head, fault) in [
            (vec![0x19, 0xf1], Fault::Wrong("a list of truth values, which Parquet has none of here")),
            (vec![0x19, 0xf2], Fault::Wrong("a list of truth values, which Parquet has none of here")),
            (vec![0x19, 0xf5], Fault::Short),
        ] {
            assert_eq!(length(&[&head[..], &many, &[0; 8]].concat()), Err(fault), "{head:?}");
        }
        assert!(matches!(length(&[&[0x1b], &many[..], &[0x51], &[0; 8]].concat()), Err(Fault::Wrong(_))));
        assert!(matches!(length(&[0x1e, 0]), Err(Fault::Wrong(_))));
        assert!(matches!(length(&[0x1c; 40]), Err(Fault::Wrong("structures nested too deeply"))));
    }
}
