//! The header of a `.npy` file, versions 1 to 3: a magic word, a length, and a Python dictionary of three literals for
//! type, order and shape (`numpy.lib.format`). Only headers that NumPy itself writes for numeric arrays are accepted.

use std::io::{self, Read};

const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// Longest accepted dictionary in bytes; NumPy's own limit is 10000.
const LONGEST: usize = 1 << 16;

/// Most axes of an array, NumPy's own limit.
const MOST_AXES: usize = 64;

/// Most uncompressed bytes of an archive of arrays, in addition to [`MOST_PER_BYTE`] per byte of the file. Weights hardly
/// compress, but a network of all zeros compresses far.
const MOST_UNPACKED: u64 = 256 << 20;
const MOST_PER_BYTE: u64 = 64;

/// The data starts at a multiple of this many bytes.
const ALIGNMENT: usize = 64;

/// The reason why a header could not be read.
#[derive(Debug)]
pub(crate) enum HeaderError {
    Io(io::Error),
    /// What was expected and found.
    Value(String),
}

impl From<io::Error> for HeaderError {
    fn from(error: io::Error) -> Self {
        HeaderError::Io(error)
    }
}

/// The element type of an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NpyType {
    F16,
    F32,
    F64,
    I32,
    I64,
    U8,
}

impl NpyType {
    /// Size of one element in bytes.
    pub fn size(self) -> usize {
        match self {
            NpyType::U8 => 1,
            NpyType::F16 => 2,
            NpyType::F32 | NpyType::I32 => 4,
            NpyType::F64 | NpyType::I64 => 8,
        }
    }
}

/// Type, order and shape of the data after the header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NpyHeader {
    pub number: NpyType,
    pub big_endian: bool,
    /// Whether the first axis varies fastest (Fortran order), not the last.
    pub fortran_order: bool,
    pub shape: Vec<usize>,
    /// Number of elements; their size in bytes is known to fit a `usize`, too.
    pub count: usize,
    /// Bytes from the start of the file to the data.
    pub length: usize,
}

/// The header of a row-major array of `shape` whose type is `descr` in NumPy's notation (`<f4`).
pub(crate) fn bytes(descr: &str, shape: &[usize]) -> Vec<u8> {
    let axes: Vec<String> = shape.iter().map(usize::to_string).collect();
    let comma = if axes.len() == 1 { "," } else { "" };
    let mut text =
        format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({}{comma}), }}", axes.join(", "));
    // Magic, version and length are 10 bytes; a line feed ends the header.
    let length = (10 + text.len() + 1).next_multiple_of(ALIGNMENT) - 10;
    text.extend(std::iter::repeat_n(' ', length - 1 - text.len()));
    text.push('\n');
    let mut bytes = MAGIC.to_vec();
    bytes.extend([1, 0]);
    // A shape has few axes, so the length fits 16 bits.
    bytes.extend((length as u16).to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes
}

/// An error if the entries of a zip archive of `length` bytes together claim to be `unpacked` bytes, more than any such archive may.
pub(crate) fn check_unpacked(length: u64, unpacked: u64) -> Result<(), String> {
    let most = length.saturating_mul(MOST_PER_BYTE).saturating_add(MOST_UNPACKED);
    if unpacked > most {
        let what = "bytes in the archive's entries together";
        return Err(format!("expected at most {most} {what} (it has {length}), found {unpacked}"));
    }
    Ok(())
}

/// Reads the header at the start of `from`.
pub(crate) fn read(from: &mut impl Read) -> Result<NpyHeader, HeaderError> {
    let mut start = [0; 8];
    from.read_exact(&mut start)?;
    let [magic @ .., major, _minor] = &start;
    if magic != MAGIC {
        return Err(HeaderError::Value(
            "expected an array in NumPy's format (.npy), found other bytes".into(),
        ));
    }
    let (width, text) = match major {
        1 => {
            let mut length = [0; 2];
            from.read_exact(&mut length)?;
            (2, usize::from(u16::from_le_bytes(length)))
        }
        2 | 3 => {
            let mut length = [0; 4];
            from.read_exact(&mut length)?;
            (4, u32::from_le_bytes(length) as usize)
        }
        other => {
            return Err(HeaderError::Value(format!("expected .npy version 1, 2 or 3, found {other}")));
        }
    };
    if text > LONGEST {
        let what = format!("expected a .npy header of at most {LONGEST} bytes, found {text}");
        return Err(HeaderError::Value(what));
    }
    let mut dictionary = vec![0; text];
    from.read_exact(&mut dictionary)?;
    parse(&dictionary, start.len() + width + text).map_err(HeaderError::Value)
}

fn parse(text: &[u8], length: usize) -> Result<NpyHeader, String> {
    let mut cursor = Cursor { text, at: 0 };
    let (mut descr, mut order, mut shape) = (None, None, None);
    cursor.expect(b'{')?;
    while !cursor.take(b'}') {
        let key = cursor.string()?;
        cursor.expect(b':')?;
        let again = match key {
            "descr" => descr.replace(cursor.descr()?).is_some(),
            "fortran_order" => order.replace(cursor.boolean()?).is_some(),
            "shape" => shape.replace(cursor.shape()?).is_some(),
            other => {
                return Err(format!(
                    "the .npy header: expected descr, fortran_order and shape, found {other:?}"
                ));
            }
        };
        if again {
            return Err(format!("the .npy header: {key} is there twice"));
        }
        if !cursor.take(b',') {
            cursor.expect(b'}')?;
            break;
        }
    }
    cursor.end()?;
    let missing = |key: &str| format!("the .npy header: {key} is missing");
    let (number, big_endian) = descr.ok_or_else(|| missing("descr"))?;
    let shape = shape.ok_or_else(|| missing("shape"))?;
    let fortran_order = order.ok_or_else(|| missing("fortran_order"))?;
    let too_large = || format!("the .npy header: the shape {shape:?} has more elements than can be counted");
    // Checked even if another extent is 0.
    let count = shape.iter().try_fold(number.size(), |product, &extent| product.checked_mul(extent.max(1)));
    count.filter(|&bytes| bytes <= isize::MAX as usize).ok_or_else(too_large)?;
    let count = shape.iter().product();
    Ok(NpyHeader { number, big_endian, fortran_order, shape, count, length })
}

/// A position in a Python literal.
struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn peek(&mut self) -> Option<u8> {
        while self.text.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        self.text.get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn wrong(&mut self, expected: &str) -> String {
        let found = match self.peek() {
            Some(byte) => format!("'{}'", char::from(byte)),
            None => "its end".into(),
        };
        format!("the .npy header: expected {expected} at byte {}, found {found}", self.at)
    }

    fn expect(&mut self, byte: u8) -> Result<(), String> {
        if self.take(byte) { Ok(()) } else { Err(self.wrong(&format!("'{}'", char::from(byte)))) }
    }

    fn end(&mut self) -> Result<(), String> {
        if self.peek().is_none() { Ok(()) } else { Err(self.wrong("its end")) }
    }

    fn run(&mut self, of: impl Fn(&u8) -> bool) -> &'a [u8] {
        let rest = &self.text[self.at..];
        let length = rest.iter().position(|byte| !of(byte)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    /// Parses a string without escapes, in single or double quotes.
    fn string(&mut self) -> Result<&'a str, String> {
        let quote = match self.peek() {
            Some(quote @ (b'\'' | b'"')) => quote,
            _ => return Err(self.wrong("a string")),
        };
        self.at += 1;
        let text = self.run(|&byte| byte != quote && byte != b'\\' && byte.is_ascii_graphic());
        if self.text.get(self.at) != Some(&quote) {
            return Err(self.wrong("a plain string"));
        }
        self.at += 1;
        std::str::from_utf8(text).map_err(|_| self.wrong("a plain string"))
    }

    fn boolean(&mut self) -> Result<bool, String> {
        self.peek();
        let start = self.at;
        match self.run(u8::is_ascii_alphabetic) {
            b"True" => Ok(true),
            b"False" => Ok(false),
            _ => {
                self.at = start;
                Err(self.wrong("True or False"))
            }
        }
    }

    /// Parses the element type and its byte order (true: big-endian).
    fn descr(&mut self) -> Result<(NpyType, bool), String> {
        const KNOWN: &str = "numbers of type f2, f4, f8, i4, i8 or u1";
        if matches!(self.peek(), Some(b'[' | b'(')) {
            return Err(format!("expected {KNOWN}, found records"));
        }
        let descr = self.string()?;
        let number = match descr.get(1..) {
            Some("f2") => NpyType::F16,
            Some("f4") => NpyType::F32,
            Some("f8") => NpyType::F64,
            Some("i4") => NpyType::I32,
            Some("i8") => NpyType::I64,
            Some("u1") => NpyType::U8,
            Some(other) if other.starts_with('O') => {
                return Err(format!("expected {KNOWN}, found Python objects (pickle), which are never read"));
            }
            _ => return Err(format!("expected {KNOWN}, found '{descr}'")),
        };
        match descr.as_bytes()[0] {
            b'<' => Ok((number, false)),
            b'>' => Ok((number, true)),
            b'|' if number.size() == 1 => Ok((number, false)),
            _ => Err(format!("expected {KNOWN} with < or > before it, found '{descr}'")),
        }
    }

    /// Parses a tuple of integers, each with an optional `L` suffix from Python 2.
    fn shape(&mut self) -> Result<Vec<usize>, String> {
        let mut shape = Vec::new();
        self.expect(b'(')?;
        while !self.take(b')') {
            self.peek();
            let start = self.at;
            let digits = self.run(u8::is_ascii_digit);
            let extent = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
            let Some(extent) = extent else {
                self.at = start;
                return Err(self.wrong("an extent of the shape"));
            };
            if shape.len() == MOST_AXES {
                return Err(format!(
                    "the .npy header: expected a shape of at most {MOST_AXES} axes, found more"
                ));
            }
            shape.push(extent);
            self.take(b'L');
            if !self.take(b',') {
                self.expect(b')')?;
                break;
            }
        }
        Ok(shape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<NpyHeader, String> {
        parse(text.as_bytes(), 128)
    }

    #[test]
    fn what_is_written_is_read_and_aligned() {
        for shape in [&[][..], &[3], &[2, 0, 5], &[7; 40]] {
            let bytes = bytes("<f4", if shape.len() == 40 { &[1; 40] } else { shape });
            assert_eq!(bytes.len() % ALIGNMENT, 0);
            assert_eq!(bytes.last(), Some(&b'\n'));
            let Ok(header) = read(&mut bytes.as_slice()) else { panic!("{shape:?}") };
            assert_eq!((header.number, header.fortran_order), (NpyType::F32, false));
            assert_eq!(header.shape.len(), shape.len());
            assert_eq!(header.length, bytes.len());
        }
    }

    #[test]
    fn python_literals_are_read_in_any_order_and_spacing() {
        let header = parsed(" {\"shape\" :( 2L ,3 ),'fortran_order':True , 'descr':'>i8' } \n").unwrap();
        assert_eq!((header.number, header.big_endian, header.fortran_order), (NpyType::I64, true, true));
        assert_eq!((header.shape, header.count), (vec![2, 3], 6));
    }

    #[test]
    fn everything_else_is_an_error() {
        let header = |descr: &str, shape: &str| {
            parsed(&format!("{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}"))
        };
        for descr in
            ["'<f3'", "'|O'", "'|f4'", "''", "'f4'", "[('a', '<f4')]", "'<U8'", "4", "'<f4", "'<c8'", "'é4'"]
        {
            assert!(header(descr, "(2,)").is_err(), "{descr}");
        }
        let deep = "(".repeat(60_000);
        let many = format!("({})", "1,".repeat(MOST_AXES + 1));
        let huge = format!("({0},{0},0)", u64::MAX);
        for shape in ["2", "(-1,)", "(2.5,)", "(2 3)", "(,)", "(2", "[2]", "None", &deep, &many, &huge] {
            assert!(header("'<f4'", shape).is_err(), "{}", &shape[..shape.len().min(40)]);
        }
        for text in ["", "{", "{}", "{'descr': '<f4'}", "[]", "{'descr': '<f4', 'descr': '<f4'}"] {
            assert!(parsed(text).is_err(), "{text}");
        }
        let good = "{'descr': '<f4', 'fortran_order': False, 'shape': ()}";
        assert_eq!(parsed(good).unwrap().count, 1);
        assert!(parsed(&format!("{good} x")).is_err());
        assert!(parsed(&good.replace("False", "Falsehood")).is_err());
        assert!(parsed(&good.replace("()", "(), 'more': 1")).is_err());
    }
}
