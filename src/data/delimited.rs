//! Text in rows and columns: fields between commas, semicolons or tabs, which may stand in quotes (RFC 4180), or between blanks. Rows
//! are read one by one, each of a limited length, so that memory depends neither on the length of the file nor on what it
//! claims.

use crate::error::{Error, Result};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// Longest row, in bytes.
const LONGEST: usize = 1 << 20;

/// What stands between two fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Separator {
    Byte(u8),
    /// One or more blanks, as in the lists of Caffe.
    Blanks,
}

impl Separator {
    /// The separator of a file called `path` whose first row is `text`: the first of tab, comma and semicolon in it, else
    /// blanks, except in a table by its name.
    fn of(path: &Path, text: &str) -> Separator {
        let extension = path.extension().unwrap_or_default();
        if extension.eq_ignore_ascii_case("tsv") {
            return Separator::Byte(b'\t');
        }
        let has = |byte: &u8| is_outside_quotes(text.as_bytes(), *byte);
        match [b'\t', b',', b';'].into_iter().find(has) {
            Some(byte) => Separator::Byte(byte),
            None if extension.eq_ignore_ascii_case("csv") => Separator::Byte(b','),
            None => Separator::Blanks,
        }
    }
}

/// The rows of a file, without empty ones.
pub(super) struct Rows<'a> {
    path: &'a Path,
    reader: BufReader<File>,
    separator: Option<Separator>,
    /// Lines that were read.
    line: u64,
}

/// One row.
#[derive(Clone, Debug)]
pub(super) struct Row {
    /// The number of its first line, from 1.
    pub line: u64,
    /// What it says, without the end of the line.
    pub text: String,
    /// Its fields, without quotes and blanks around them.
    pub fields: Vec<String>,
}

impl<'a> Rows<'a> {
    /// Opens `path`.
    ///
    /// Errors: those of the operating system, and something other than a file.
    pub fn open(path: &'a Path) -> Result<Rows<'a>> {
        let io = |error| Error::io(path, error);
        // Before it is opened: opening a pipe would wait for its other end.
        if !std::fs::metadata(path).map_err(io)?.is_file() {
            return Err(Error::data(path, "expected a file of rows, found a folder, a pipe or a device"));
        }
        let reader = BufReader::with_capacity(1 << 16, File::open(path).map_err(io)?);
        Ok(Rows { path, reader, separator: None, line: 0 })
    }

    /// As [`Rows::open`], of a file whose fields stand between `separator`.
    pub fn separated(path: &'a Path, separator: Separator) -> Result<Rows<'a>> {
        Ok(Rows { separator: Some(separator), ..Rows::open(path)? })
    }

    /// What stands between the fields, once a row was read.
    pub fn separator(&self) -> Option<Separator> {
        self.separator
    }

    /// The next row that says something.
    ///
    /// Errors, with the line: text other than UTF-8, a row of more than 1 MiB, a quote that is never closed.
    pub fn next(&mut self) -> Result<Option<Row>> {
        loop {
            let Some(mut text) = self.line()? else { return Ok(None) };
            let line = self.line;
            if text.trim().is_empty() {
                continue;
            }
            let separator = *self.separator.get_or_insert_with(|| Separator::of(self.path, &text));
            if let Separator::Byte(byte) = separator {
                let mut quoted = scan(text.as_bytes(), byte, false).1;
                while quoted {
                    let more = self.line()?.ok_or_else(|| {
                        wrong(self.path, line, "expected a closing quote (\"), found the end of the file")
                    })?;
                    // Only what is new: a long field must not be gone through again for each of its lines.
                    quoted = scan(more.as_bytes(), byte, true).1;
                    text.push('\n');
                    text.push_str(&more);
                    if text.len() > LONGEST {
                        let what = format!(
                            "expected a row of at most {LONGEST} bytes, found a quote that is not closed"
                        );
                        return Err(wrong(self.path, line, what));
                    }
                }
            }
            let fields = fields(&text, separator).map_err(|what| wrong(self.path, line, what))?;
            return Ok(Some(Row { line, text, fields }));
        }
    }

    /// The next line without its end.
    fn line(&mut self) -> Result<Option<String>> {
        let mut bytes = Vec::new();
        let limit = LONGEST as u64 + 2;
        let read = self.reader.by_ref().take(limit).read_until(b'\n', &mut bytes);
        if read.map_err(|error| Error::io(self.path, error))? == 0 {
            return Ok(None);
        }
        self.line += 1;
        let wrong = |what: String| Err(wrong(self.path, self.line, what));
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
        }
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
        if self.line == 1 {
            let zeros = bytes.iter().filter(|&&byte| byte == 0).count();
            let has_mark = bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff");
            // Every other byte of Latin text in UTF-16 is 0.
            if has_mark || (zeros > 0 && zeros * 3 >= bytes.len()) {
                return wrong("expected text in UTF-8, found UTF-16; save the file as UTF-8".into());
            }
            // Spreadsheets put a byte order mark at the start of a file.
            if bytes.starts_with(b"\xef\xbb\xbf") {
                bytes.drain(..3);
            }
        }
        if bytes.len() > LONGEST {
            return wrong(format!("expected a row of at most {LONGEST} bytes, found a longer one"));
        }
        if bytes.contains(&b'\r') {
            return wrong(
                "expected lines that end with a line feed, found carriage returns (CR) alone".into(),
            );
        }
        match String::from_utf8(bytes) {
            Ok(text) if text.contains('\0') => wrong("expected text, found a zero byte".into()),
            Ok(text) => Ok(Some(text)),
            Err(error) => {
                let at = error.utf8_error().valid_up_to();
                wrong(format!("expected text in UTF-8, found another encoding at byte {}", at + 1))
            }
        }
    }
}

/// An error about line `line` of `path`.
pub(super) fn wrong(path: &Path, line: u64, what: impl AsRef<str>) -> Error {
    Error::data(path, format!("line {line}: {}", what.as_ref()))
}

/// Whether `byte` stands in `text` outside quotes.
fn is_outside_quotes(text: &[u8], byte: u8) -> bool {
    scan(text, byte, false).0
}

/// Whether `separator` stands outside quotes, and whether `text` ends within them; it begins within them if `quoted`. A quote opens
/// a field only at its start.
fn scan(text: &[u8], separator: u8, mut quoted: bool) -> (bool, bool) {
    let (mut found, mut at_start) = (false, !quoted);
    let mut bytes = text.iter().peekable();
    while let Some(&byte) = bytes.next() {
        match byte {
            b'"' if quoted => {
                // Two quotes stand for one.
                if bytes.next_if_eq(&&b'"').is_none() {
                    quoted = false;
                }
            }
            b'"' if at_start => (quoted, at_start) = (true, false),
            _ if quoted => {}
            _ => {
                at_start = byte == separator;
                found |= byte == separator;
            }
        }
    }
    (found, quoted)
}

fn fields(text: &str, separator: Separator) -> Result<Vec<String>, String> {
    let trimmed = |field: &str| field.trim().to_string();
    let byte = match separator {
        Separator::Blanks => return Ok(text.split_whitespace().map(String::from).collect()),
        Separator::Byte(byte) => byte,
    };
    if !text.contains('"') {
        return Ok(text.split(char::from(byte)).map(trimmed).collect());
    }
    let mut reader = csv::ReaderBuilder::new();
    reader.has_headers(false).flexible(true).delimiter(byte).buffer_capacity(1 << 10);
    match reader.from_reader(text.as_bytes()).into_records().next() {
        Some(Ok(record)) => Ok(record.iter().map(trimmed).collect()),
        Some(Err(error)) => Err(format!("expected fields between separators: {error}")),
        None => Ok(Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_open_at_the_start_of_a_field_only() {
        let is_open = |text: &[u8]| scan(text, b',', false).1;
        assert!(is_open(b"a,\"b"));
        assert!(!is_open(b"a,5\" disk"));
        assert!(!is_open(b"\"a \"\"b\"\", c\",d"));
        assert!(is_open(b"\"a\"\""));
        assert!(scan(b"b, c", b',', true).1 && !scan(b"b\", c", b',', true).1);
        let of = |text| fields(text, Separator::Byte(b',')).unwrap();
        assert_eq!(of("\"a, b\" ,\"c \"\"d\"\"\""), ["a, b", "c \"d\""]);
        assert_eq!(of(" a ,"), ["a", ""]);
        assert_eq!(fields("a  b\tc", Separator::Blanks).unwrap(), ["a", "b", "c"]);
    }
}
