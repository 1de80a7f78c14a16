//! Whether a footer or a page header is a sound structure in Thrift's compact protocol, before the library reads it: where it skips a
//! field that it does not know, it repeats an element as often as the file claims, and elements that take no bytes cost a
//! file nothing. Fields that it knows must have their types, so that it finds the same values here as this does.
//!
//! Source: <https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md>.

use super::fields::{Fields, Kind, PAGE_HEADER};
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

/// Bytes that the structure with these `fields` and others at the start of `bytes` takes.
pub(super) fn length(bytes: &[u8], fields: Fields) -> Result<usize, Fault> {
    let mut walk = Walk { left: bytes };
    walk.value(STRUCT, Some(&Kind::Struct(fields)), DEPTH)?;
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

    fn fields(&mut self, expected: Option<&Kind>, depth: usize) -> Result<(), Fault> {
        let known = match expected {
            Some(Kind::Struct(fields)) => *fields,
            _ => &[],
        };
        let mut field = 0i16;
        loop {
            let head = self.byte()?;
            if head & 15 == 0 {
                return Ok(());
            }
            // The number of the field: the last one's and a little, or in full, its sign in the lowest bit.
            let number = match i16::from(head >> 4) {
                0 => {
                    let number = self.number()?;
                    i16::try_from((number >> 1) as i64 ^ -((number & 1) as i64)).ok()
                }
                more => field.checked_add(more),
            };
            field = number.ok_or(Fault::Wrong("a field with too large a number"))?;
            let kind = known.iter().find(|(number, _)| *number == field).map(|(_, kind)| kind);
            self.value(head & 15, kind, depth)?;
        }
    }

    /// Elements, which take at least a byte each.
    fn elements(
        &mut self,
        count: u64,
        kinds: &[u8],
        expected: Option<&Kind>,
        depth: usize,
    ) -> Result<(), Fault> {
        if kinds.iter().any(|kind| [TRUE, FALSE].contains(kind)) {
            return Err(Fault::Wrong("a list of truth values, which Parquet has none of here"));
        }
        if count > self.left.len() as u64 {
            return Err(Fault::Short);
        }
        for _ in 0..count {
            for &kind in kinds {
                self.value(kind, expected, depth)?;
            }
        }
        Ok(())
    }

    /// A value that the file says to be of type `kind`.
    fn value(&mut self, kind: u8, expected: Option<&Kind>, depth: usize) -> Result<(), Fault> {
        let depth = depth.checked_sub(1).ok_or(Fault::Wrong("structures nested too deeply"))?;
        if !expected.is_none_or(|expected| is(kind, expected)) {
            return Err(Fault::Wrong("a value of another type than Parquet has there"));
        }
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
                let expected = match expected {
                    Some(Kind::List(element)) => Some(*element),
                    _ => None,
                };
                self.elements(count, &[head & 15], expected, depth)
            }
            MAP => match self.number()? {
                0 => Ok(()),
                count => {
                    let kinds = self.byte()?;
                    self.elements(count, &[kinds >> 4, kinds & 15], None, depth)
                }
            },
            STRUCT => self.fields(expected, depth),
            _ => Err(Fault::Wrong("a value of an unknown type")),
        }
    }
}

/// Whether a file says so of a value of type `expected`.
fn is(kind: u8, expected: &Kind) -> bool {
    match expected {
        Kind::Bool => kind == TRUE || kind == FALSE,
        Kind::Byte => kind == BYTE,
        Kind::Int => [I16, I32, I64].contains(&kind),
        Kind::Double => kind == DOUBLE,
        Kind::Binary => kind == BINARY,
        Kind::List(_) => kind == LIST,
        Kind::Struct(_) => kind == STRUCT,
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
            match length(&bytes, PAGE_HEADER) {
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
    use super::super::fields::{FOOTER, PAGE_HEADER};
    use super::{Fault, length};

    #[test]
    fn structures_have_the_length_of_their_fields() {
        // Fields 101: i32 5; 102: list of two i32; 103: binary of 3 bytes; 140: a truth value; 141: an empty map; the end; and a
        // byte behind it.
        let bytes = [0x05, 202, 1, 10, 0x19, 0x25, 2, 4, 0x18, 3, 7, 7, 7, 0x01, 152, 2, 0x1b, 0, 0, 99];
        assert_eq!(length(&bytes, FOOTER), Ok(19));
        for end in 0..19 {
            assert_eq!(length(&bytes[..end], FOOTER), Err(Fault::Short), "{end} bytes");
        }
    }

    #[test]
    fn fields_of_parquet_have_their_types() {
        // Field 1 as an i32 and as bytes; field 2 of a footer, the schema, as a list of i32.
        assert_eq!(length(&[0x15, 10, 0], PAGE_HEADER), Ok(3));
        let other = Err(Fault::Wrong("a value of another type than Parquet has there"));
        assert_eq!(length(&[0x18, 0, 0], PAGE_HEADER), other);
        assert_eq!(length(&[0x29, 0x1c, 0, 0], FOOTER), Ok(4));
        assert_eq!(length(&[0x29, 0x15, 0, 0], FOOTER), other);
        // A field's number in full, also a negative one, which Parquet does not have.
        assert_eq!(length(&[0x05, 2, 10, 0], PAGE_HEADER), Ok(4));
        assert_eq!(length(&[0x08, 2, 0, 0], PAGE_HEADER), other);
        assert_eq!(length(&[0x08, 1, 0, 0], PAGE_HEADER), Ok(4));
    }

    #[test]
    fn elements_are_counted_before_they_are_read() {
        // 2^31 - 1 truth values, as a list, and as the keys of a map; as many integers; a type that does not exist.
        let field = |kind: u8| [kind, 202, 1];
        let many = [0xff, 0xff, 0xff, 0xff, 7];
        for (head, fault) in [
            (0xf1, Fault::Wrong("a list of truth values, which Parquet has none of here")),
            (0xf2, Fault::Wrong("a list of truth values, which Parquet has none of here")),
            (0xf5, Fault::Short),
        ] {
            assert_eq!(
                length(&[&field(9)[..], &[head], &many, &[0; 8]].concat(), FOOTER),
                Err(fault),
                "{head}"
            );
        }
        let map = [&field(11)[..], &many, &[0x15], &[0; 8]].concat();
        assert!(matches!(length(&map, FOOTER), Err(Fault::Wrong(_))));
        let unknown = [&field(14)[..], &[0]].concat();
        assert_eq!(length(&unknown, FOOTER), Err(Fault::Wrong("a value of an unknown type")));
        let nested = [&field(12)[..], &[0x1c; 40]].concat();
        assert_eq!(length(&nested, FOOTER), Err(Fault::Wrong("structures nested too deeply")));
    }
}
