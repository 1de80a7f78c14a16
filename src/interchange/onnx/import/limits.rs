//! Limits that are checked before a file is decoded. A message of two bytes decodes to a structure of hundreds, and a
//! number of one byte to one of eight. So the bytes are scanned once, without allocating, to count what they decode to.
//!
//! Encoding: <https://protobuf.dev/programming-guides/encoding/>.

use super::super::schema::ModelProto;
use crate::error::{Error, Result};
use prost::Message as _;
use prost::bytes::Bytes;
use std::fs;
use std::io::Read;
use std::path::Path;

/// Longest file in bytes, which is also the limit of protocol buffers. Larger networks store their weights in other files.
const LENGTH: u64 = (1 << 31) - 1;

/// Most parts of a file (nodes, tensors, attributes, names, dimensions); a network of a thousand layers has about ten
/// thousand.
const PARTS: usize = 100_000;

/// Most integers in shapes and attribute lists.
const NUMBERS: usize = 1 << 20;

/// Most numbers in lists of 32-bit numbers, which may hold half-precision weights. One byte in the file can take twelve
/// bytes while they are read. All of AlexNet's weights fit.
const LISTED: usize = 1 << 26;

/// Reads the bytes of the file at `path`.
pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    let io = |error| Error::io(path, error);
    // Checked before opening, because opening a pipe would block.
    let metadata = fs::metadata(path).map_err(io)?;
    if !metadata.is_file() {
        return Err(Error::data(path, "expected a regular file"));
    }
    if metadata.len() > LENGTH {
        let found = metadata.len();
        return Err(Error::data(
            path,
            format!("expected an ONNX file of at most {LENGTH} bytes, found {found}"),
        ));
    }
    let mut bytes = Vec::with_capacity(metadata.len() as usize);
    fs::File::open(path).map_err(io)?.take(LENGTH).read_to_end(&mut bytes).map_err(io)?;
    Ok(bytes)
}

/// Decodes `bytes`; the raw data of tensors are slices of them. An error is one line without the file's name.
pub(super) fn decode(bytes: Vec<u8>) -> Result<ModelProto, String> {
    check(&bytes)?;
    ModelProto::decode(Bytes::from(bytes)).map_err(|error| format!("not an ONNX file, or damaged: {error}"))
}

/// Rejects bytes that are not a protocol buffer, or that would decode to more than the limits allow.
fn check(bytes: &[u8]) -> Result<(), String> {
    if bytes.len() as u64 > LENGTH {
        return Err(format!("expected an ONNX file of at most {LENGTH} bytes, found {}", bytes.len()));
    }
    let mut scanner = WireScanner { bytes, at: 0, parts: 0, numbers: 0, values: 0 };
    scanner.message(bytes.len(), &MODEL)
}

/// How the content of a field is counted.
enum FieldRule {
    /// A message, or a list of them.
    Message(&'static MessageRule),
    /// A list of strings.
    Texts,
    /// A list of integers.
    Numbers,
    /// A list of numbers that may be weights.
    Values,
    /// A field that could nest without end, with the message that rejects it.
    Refused(&'static str),
}

/// The counted fields of a message, by number. The depth of these tables bounds the recursion for any file.
struct MessageRule(&'static [(u64, FieldRule)]);

const MODEL: MessageRule = MessageRule(&[
    (7, FieldRule::Message(&GRAPH)),
    (8, FieldRule::Message(&LEAF)),
    (14, FieldRule::Message(&LEAF)),
]);
const GRAPH: MessageRule = MessageRule(&[
    (1, FieldRule::Message(&NODE)),
    (5, FieldRule::Message(&TENSOR)),
    (11, FieldRule::Message(&VALUE_INFO)),
    (12, FieldRule::Message(&VALUE_INFO)),
]);
const NODE: MessageRule =
    MessageRule(&[(1, FieldRule::Texts), (2, FieldRule::Texts), (5, FieldRule::Message(&ATTRIBUTE))]);
const ATTRIBUTE: MessageRule = MessageRule(&[
    (5, FieldRule::Message(&TENSOR)),
    (6, FieldRule::Message(&BRANCH)),
    (8, FieldRule::Numbers),
]);
// Graphs of branches, which may not contain further branches.
const BRANCH: MessageRule = MessageRule(&[
    (1, FieldRule::Message(&BRANCH_NODE)),
    (5, FieldRule::Message(&TENSOR)),
    (11, FieldRule::Message(&VALUE_INFO)),
    (12, FieldRule::Message(&VALUE_INFO)),
]);
const BRANCH_NODE: MessageRule =
    MessageRule(&[(1, FieldRule::Texts), (2, FieldRule::Texts), (5, FieldRule::Message(&BRANCH_ATTRIBUTE))]);
const BRANCH_ATTRIBUTE: MessageRule = MessageRule(&[
    (5, FieldRule::Message(&TENSOR)),
    (6, FieldRule::Refused("expected no branches within a branch")),
    (8, FieldRule::Numbers),
]);
const TENSOR: MessageRule = MessageRule(&[
    (1, FieldRule::Numbers),
    (5, FieldRule::Values),
    (7, FieldRule::Numbers),
    (13, FieldRule::Message(&LEAF)),
]);
const VALUE_INFO: MessageRule = MessageRule(&[(2, FieldRule::Message(&TYPE))]);
const TYPE: MessageRule = MessageRule(&[(1, FieldRule::Message(&TENSOR_TYPE))]);
const TENSOR_TYPE: MessageRule = MessageRule(&[(2, FieldRule::Message(&SHAPE))]);
const SHAPE: MessageRule = MessageRule(&[(1, FieldRule::Message(&LEAF))]);
const LEAF: MessageRule = MessageRule(&[]);

/// A scanner over the wire format, with the counts so far.
struct WireScanner<'a> {
    bytes: &'a [u8],
    at: usize,
    parts: usize,
    numbers: usize,
    values: usize,
}

impl WireScanner<'_> {
    /// Scans a message that ends at `end`.
    fn message(&mut self, end: usize, message: &MessageRule) -> Result<(), String> {
        while self.at < end {
            let start = self.at;
            let tag = self.varint(end)?;
            let field = message.0.iter().find(|(number, _)| *number == tag >> 3).map(|(_, field)| field);
            match tag & 7 {
                0 => {
                    self.varint(end)?;
                    self.count_numbers(field, 1)?;
                }
                1 => self.skip(8, end)?,
                5 => self.skip(4, end)?,
                2 => {
                    let length = self.varint(end)?;
                    let from = self.at;
                    self.skip(length, end)?;
                    match field {
                        Some(FieldRule::Message(inner)) => {
                            self.count_part()?;
                            let inner_end = std::mem::replace(&mut self.at, from);
                            self.message(inner_end, inner)?;
                        }
                        Some(FieldRule::Texts) => self.count_part()?,
                        Some(FieldRule::Numbers | FieldRule::Values) => {
                            // The last byte of each number is below 128.
                            let list = &self.bytes[from..self.at];
                            self.count_numbers(field, list.iter().filter(|&&byte| byte < 128).count())?;
                        }
                        Some(FieldRule::Refused(what)) => return Err((*what).into()),
                        None => {}
                    }
                }
                // Groups, which ONNX does not use.
                other => {
                    return Err(format!("not an ONNX file, or damaged: wire type {other} at byte {start}"));
                }
            }
        }
        Ok(())
    }

    fn skip(&mut self, length: u64, end: usize) -> Result<(), String> {
        let left = end - self.at;
        if length > left as u64 {
            let at = self.at;
            return Err(format!(
                "not an ONNX file, or damaged: expected {length} bytes at byte {at}, found {left}"
            ));
        }
        self.at += length as usize;
        Ok(())
    }

    fn varint(&mut self, end: usize) -> Result<u64, String> {
        let (start, mut value) = (self.at, 0);
        for (index, byte) in self.bytes[start..end].iter().take(10).enumerate() {
            value |= u64::from(byte & 127) << (7 * index);
            if byte & 128 == 0 {
                self.at += index + 1;
                return Ok(value);
            }
        }
        Err(format!("not an ONNX file, or damaged: no end of the number at byte {start}"))
    }

    fn count_part(&mut self) -> Result<(), String> {
        self.parts += 1;
        if self.parts > PARTS {
            return Err(format!("expected at most {PARTS} nodes, tensors and attributes, found more"));
        }
        Ok(())
    }

    /// Counts `more` numbers of `field`, if that field is counted.
    fn count_numbers(&mut self, field: Option<&FieldRule>, more: usize) -> Result<(), String> {
        let (count, most, what) = match field {
            Some(FieldRule::Numbers) => (&mut self.numbers, NUMBERS, "shapes and attributes"),
            Some(FieldRule::Values) => (&mut self.values, LISTED, "lists of 32-bit numbers"),
            _ => return Ok(()),
        };
        *count += more;
        if *count > most {
            return Err(format!("expected at most {most} numbers in {what}, found more"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A length-delimited field.
    fn field(number: u8, content: &[u8]) -> Vec<u8> {
        let mut bytes = vec![number << 3 | 2];
        let mut length = content.len();
        while length > 127 {
            bytes.push(length as u8 | 128);
            length >>= 7;
        }
        bytes.push(length as u8);
        bytes.extend(content);
        bytes
    }

    fn graph(content: Vec<u8>) -> Vec<u8> {
        field(7, &content)
    }

    fn refused(bytes: Vec<u8>) -> String {
        let message = decode(bytes).unwrap_err();
        assert!(!message.contains('\n'), "{message}");
        message
    }

    #[test]
    fn counts_the_parts_that_two_bytes_decode_to() {
        assert_eq!(decode(graph([10, 0].repeat(1000))).unwrap().graph.unwrap().node.len(), 1000);
        for content in [
            // Nodes; initializers; inputs of a node; attributes of a node; dimensions of a shape.
            [10, 0].repeat(PARTS + 1),
            [42, 0].repeat(PARTS + 1),
            field(1, &[10, 0].repeat(PARTS + 1)),
            field(1, &[42, 0].repeat(PARTS + 1)),
            field(11, &field(2, &field(1, &field(2, &[10, 0].repeat(PARTS + 1))))),
        ] {
            assert!(refused(graph(content)).contains("at most 100000 nodes"));
        }
        // Across many graphs, which merge into one.
        assert!(refused(graph([10, 0].repeat(1000)).repeat(101)).contains("at most 100000 nodes"));
        // Dimensions of a tensor, packed and not; integers; numbers of an attribute.
        for tensor in
            [field(1, &vec![1; NUMBERS + 1]), [8, 1].repeat(NUMBERS + 1), field(7, &vec![1; NUMBERS + 1])]
        {
            assert!(refused(graph(field(5, &tensor))).contains("at most 1048576 numbers"));
        }
        for tensor in [field(5, &vec![1; LISTED + 1]), [40, 1].repeat(LISTED + 1)] {
            assert!(refused(graph(field(5, &tensor))).contains("at most 67108864 numbers"));
        }
        let attribute = field(5, &field(8, &vec![1; NUMBERS + 1]));
        assert!(refused(graph(field(1, &attribute))).contains("at most 1048576 numbers"));
    }

    #[test]
    fn ten_million_empty_nodes_are_refused() {
        refused(graph([10, 0].repeat(10_000_000)));
    }

    #[test]
    fn nesting_has_a_bottom() {
        // A subgraph in an attribute in a node, 100,000 times, from the inside out: lengths differ, so put the heads in front.
        let mut heads: Vec<u8> = Vec::new();
        let mut length = 0;
        for level in 0..99_999 {
            let mut head = field([6, 5, 1][level % 3], &[]);
            head.pop();
            let mut left = length;
            while left > 127 {
                head.push(left as u8 | 128);
                left >>= 7;
            }
            head.push(left as u8);
            length += head.len();
            heads.extend(head.iter().rev());
        }
        heads.reverse();
        assert!(refused(graph(heads)).contains("no branches within a branch"));
        // Groups, which no ONNX file uses.
        assert!(refused(vec![0x13; 200_000]).contains("wire type 3"));
        // Messages nested in unknown fields.
        let mut nested = Vec::new();
        for _ in 0..200 {
            nested = field(15, &nested);
        }
        assert!(decode(nested).is_ok());
    }

    #[test]
    fn cuts_and_lying_lengths_are_refused() {
        let whole = graph(field(5, &[field(8, b"weight"), vec![16, 1], field(9, &[0; 300])].concat()));
        assert!(decode(whole.clone()).is_ok());
        for length in 1..whole.len() {
            assert!(refused(whole[..length].to_vec()).contains("damaged"), "{length}");
        }
        assert!(refused(vec![10, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1]).contains("expected"));
        assert!(refused(vec![8; 1].into_iter().chain([255; 20]).collect()).contains("no end of the number"));
    }
}
